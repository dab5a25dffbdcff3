"""The shell library: modules of agent/change/sh, composed as a script needs them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from shlex import quote

from agent.model.change import Act, Handle

TXROOT = "/var/lib/secops-agent"
"""Where a target keeps the journal of its transactions; root's alone."""

_ORDER = ("file", "meta", "links", "sysctl")
"""Kinds that are put back first, in this order; then the rest; `unit` last of all."""


@cache
def module(name: str) -> str:
    """The text of a module. Raises FileNotFoundError, for a name that no module has."""
    return files("agent.change").joinpath("sh", f"{name}.sh").read_text(encoding="utf-8")


def modules(names: Iterable[str], handles: Iterable[Handle] = ()) -> str:
    """`core`, `arm`, `acts`, `edit`, the named modules and those of the handles' kinds, each once."""
    wanted = dict.fromkeys(["core", "arm", "acts", "edit", *names, *(f"h_{handle.kind}" for handle in handles)])
    return "\n".join(module(name) for name in wanted)


def ranked(handles: Iterable[Handle]) -> tuple[Handle, ...]:
    """Each handle once, in the order of restoring: what lies on the disk before what runs."""

    def rank(handle: Handle) -> int:
        if handle.kind == "unit":
            return len(_ORDER) + 1
        return _ORDER.index(handle.kind) if handle.kind in _ORDER else len(_ORDER)

    return tuple(sorted(dict.fromkeys(handles), key=rank))


def handles_function(handles: Iterable[Handle]) -> str:
    """`handles()`: calls `h N KIND ARG...` for each, numbered from 1."""
    lines = [
        f"  h {number} {handle.kind} {' '.join(quote(arg) for arg in handle.args)}"
        for number, handle in enumerate(handles, 1)
    ]
    return "handles() {\n" + "\n".join(lines or ["  :"]) + "\n}"


def acts_function(acts: Iterable[Act]) -> str:
    """`acts()`: every act once, in order; it fails when one of them does."""
    lines = [f"  act_{act.verb} {' '.join(quote(arg) for arg in act.args)} || _rc=1" for act in dict.fromkeys(acts)]
    return "acts() {\n  _rc=0\n" + "\n".join(lines) + "\n  return $_rc\n}"
