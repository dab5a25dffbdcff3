"""Shared by all tests. Lab tests (marker `lab`) live in tests/lab."""
