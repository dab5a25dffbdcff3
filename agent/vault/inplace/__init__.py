"""How guesses are held against a target's own record of passwords, there: pure composers; a flow carries them."""

from agent.vault.inplace.contract import Script, Tester
from agent.vault.inplace.registry import TESTERS

__all__ = ["TESTERS", "Script", "Tester"]
