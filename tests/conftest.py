"""Shared by all tests. Lab tests (marker `lab`) live in tests/lab.

Property-based tests draw the same examples each time, so that one commit has one answer; `make campaign`
draws others, ten times as many ($AGENT_SEED repeats them).
"""

from hypothesis import settings

settings.register_profile("same", derandomize=True)
settings.register_profile("campaign", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("same")
