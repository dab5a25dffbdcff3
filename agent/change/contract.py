"""What a resource type is. It is pure: shell out, readings in, steps out; a flow carries them to the target.

Reading, writing and proving are one path: after a change the target is read again by the
same `read`, and `plan` must then find nothing left to do. So a plan applied twice changes
nothing the second time, and no resource has a check of its own that could disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.model.change import Item, Skip, Step
from agent.model.frames import Answer


@dataclass(frozen=True, slots=True)
class Facts:
    """What the planning read tells of every host, besides what resources ask for."""

    values: Mapping[str, str]
    """`os`, `version`, `family` (debian, rhel, openeuler, kylin, uos, anolis ...), `init` (systemd or none), `login` (the
    account we came in by), `from` (our address as the target sees it), `container` (yes or no), `selinux`
    (enforcing, permissive, off), `have:PROGRAM` (yes) for each of LOOKED_FOR."""

    def __getitem__(self, key: str) -> str:
        """The value; empty when it was not told."""
        return self.values.get(key, "")

    def has(self, program: str) -> bool:
        """Whether the target has that program."""
        return bool(self.values.get(f"have:{program}"))


class FixError(ValueError):
    """A control's `fix` is not of the resource's form. Its text names the field and the remedy."""


class Resource(Protocol):
    """One type of thing that can be changed.

    A type whose steps write a whole file as it was read (and refuse when it is another by then) has an attribute
    `alone = True`: each of its items then makes a transaction of its own and is planned anew just before it, so that
    several items on one file follow one another. Before every transaction all its items are planned anew.

    A type of which several items may mean one place has `together = True`: each item's options then hold `also`, the
    `want` and `options` of the others of that target, and its steps bring that place to what all of them want.
    """

    name: str
    """As `fix.resource` writes it."""
    library: tuple[str, ...]
    """Shell modules of agent/change/sh, without `.sh`, that its reads and writes need besides `core` and `edit`."""

    def check(self, item: Item) -> None:
        """Raise FixError unless `want` and `options` are of this resource's form. Called for every control at load."""
        ...

    def read(self, item: Item, facts: Facts) -> str:
        """POSIX sh that prints the state, effective value and source; changes nothing; prints no secret.

        Runs as root with `$R` (root prefix), in one script with all other reads of the host. Exit code >= 2 means that
        the state could not be read. `facts` are those of an earlier look and may be empty.
        """
        ...

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """What is to be done for that state; no steps when all is as wanted.

        Never raises for anything that a target says: what cannot be understood is Skip(Why.ERROR).
        """
        ...
