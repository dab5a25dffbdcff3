"""An incident: a suspected leak of passwords, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """What was done about one account."""

    account: str
    ended: str
    """A `flows.rotation.Ended` value, or `manual`: a person must do it."""
    at: str
    """ISO, UTC."""
    why: str = ""
    locked: bool = False
    sessions: tuple[str, ...] = ()
    """Live ones before: from where, since when, what."""
    left: tuple[str, ...] = ()
    """Those that are still live."""
    dependents: tuple[str, ...] = ()
    """Programs that must get the new password."""
    tasks: tuple[str, ...] = ()
    """What is left to people, in the order in which it is safe."""

    @property
    def settled(self) -> bool:
        """Whether whoever knew the old password can do nothing with it any more."""
        return self.ended in {"rotated", "unproven"} or self.locked


@dataclass(frozen=True, slots=True)
class Incident:
    """One suspected leak."""

    id: str
    """`INC-YYYYMMDD-NN`."""
    noticed_at: str
    noticed_by: str
    reason: str
    measures: tuple[Measure, ...] = ()
    tell: tuple[str, ...] = ()
    """Whom the contract's roles say to tell: role and name."""
    note: str = ""
