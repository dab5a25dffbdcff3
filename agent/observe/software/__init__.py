"""Software observed beyond the package manager: servers of all kinds, jar files of known names, OpenSSL of their own.

`sections` gives the piece of the host's one script, `parse` reads its answers, `unseen` names what was left out.
"""

from agent.observe.software.parse import parse, unseen
from agent.observe.software.script import sections

__all__ = ["parse", "sections", "unseen"]
