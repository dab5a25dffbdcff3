"""Databases observed: one batch of read-only queries out, a sealed payload, facts back.

`collect` needs an open `SqlSession` and answers bytes that can be sealed as they are; `facts` is pure
and reads nothing but those bytes, so that any round can be judged again from its evidence.
"""

from agent.observe.database.collect import collect
from agent.observe.database.parse import facts

__all__ = ["collect", "facts"]
