"""How a password is changed, by kind of target: pure composers of scripts; a flow carries them there."""

from agent.vault.drivers.contract import Change, Driver, Landed, Login
from agent.vault.drivers.registry import DRIVERS

__all__ = ["DRIVERS", "Change", "Driver", "Landed", "Login"]
