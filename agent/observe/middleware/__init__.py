"""Middleware observed: live nginx, Redis and Tomcat processes and each one's effective configuration.

`sections` gives the piece of the host's one script, `parse` reads its answers, `unseen` names what was there and
could not be looked at.
"""

from agent.observe.middleware.parse import parse, unseen
from agent.observe.middleware.script import sections

__all__ = ["parse", "sections", "unseen"]
