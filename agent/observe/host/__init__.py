"""The host collector: one script out, one sealed answer back, facts by pure functions.

`script` composes what is run, `pack` makes the payload that is sealed, and `facts` reads
a sealed payload again; nothing is judged here.
"""

from __future__ import annotations

from agent.observe.host.compose import script
from agent.observe.host.parse import facts, parse
from agent.observe.host.payload import Payload, pack, unpack

__all__ = ["Payload", "facts", "pack", "parse", "script", "unpack"]
