"""Tests, objects, states and variables of an OVAL document, as far as definitions read before refer to them.

They stand behind the definitions, so only what is asked for is kept: a test leads to names of packages and to the
versions that it looks for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from agent.advisories import fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lxml import etree

KINDS = ("rpminfo", "dpkginfo", "textfilecontent54")
"""The last is how Ubuntu looks packages up in the list of an image."""
TAGS = (*(f"{kind}_{part}" for part in ("test", "object", "state") for kind in KINDS), "constant_variable")
_ARCHES = re.compile(r"[a-z0-9_]+(?:\|[a-z0-9_]+)*")
_OPERATIONS = {"less than": "fixed", "less than or equal": "last"}
_END = re.compile(r"\(\?|\\s|\$")
"""Where the name ends in a pattern such as `^libssh-4(?::\\w+|)\\s+(.*)$`."""


class State(NamedTuple):
    """Which versions a test looks for."""

    fixed: str = ""
    last: str = ""
    arches: tuple[str, ...] = ()
    other: bool = False
    """It looks at something else: a signature, an exact version."""


class Package(NamedTuple):
    """What a test comes to."""

    names: tuple[str, ...]
    state: State
    dpkg: bool


_NONE, _OTHER = State(), State(other=True)


class Tests:
    """Read `wanted` first, then elements in the order of the document."""

    def __init__(self) -> None:
        """Nothing is wanted yet."""
        self.wanted: set[str] = set()
        """Ids of tests."""
        self._tests: dict[str, tuple[str, tuple[str, ...], bool]] = {}
        self._objects: dict[str, tuple[str, str]] = {}
        """Id to name and variable; empty until it is read."""
        self._states: dict[str, State] = {}
        self._variables: dict[str, tuple[str, ...]] = {}
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def take(self, kind: str, element: etree._Element) -> None:
        """Keep what is wanted of an element of TAGS. Raises ValueError."""
        ident = element.get("id", "")
        if kind.endswith("_test"):
            if ident in self.wanted:
                self._test(ident, element, dpkg=not kind.startswith("rpminfo"))
        elif kind.endswith("_object"):
            if ident in self._objects:
                self._object(ident, element)
        elif kind.endswith("_state"):
            if ident in self._states:
                self._states[ident] = _state(element)
        elif ident in self._variables:
            self._variables[ident] = tuple(
                filter(None, (_bare(one.text or "") for one in element.iterfind("{*}value")))
            )

    def _test(self, ident: str, element: etree._Element, *, dpkg: bool) -> None:
        found = element.find("{*}object")
        if found is None or not (ref := found.get("object_ref", "")):
            raise ValueError(f"test {fields.line(ident)} names no object")
        refs = tuple(one.get("state_ref", "") for one in element.iterfind("{*}state"))
        self._objects.setdefault(ref, ("", ""))
        for one in refs:
            self._states.setdefault(one, _OTHER)
        # many tests lead to one object, and to one state
        (ref,), refs = self._known.setdefault((ref,), (ref,)), self._known.setdefault(refs, refs)
        self._tests[ident] = (ref, refs, dpkg)

    def _object(self, ident: str, element: etree._Element) -> None:
        textual = str(element.tag).endswith("textfilecontent54_object")
        name = element.find("{*}pattern" if textual else "{*}name")
        if name is None:
            return
        variable = name.get("var_ref", "")
        if variable:
            self._variables.setdefault(variable, ())
            self._objects[ident] = ("", variable)
        elif not textual and name.get("operation", "equals") == "equals":
            self._objects[ident] = (fields.word(name.text or "", "a package"), "")

    def has(self, test: str) -> bool:
        """Whether the document holds this test of packages."""
        return test in self._tests

    def package(self, test: str) -> Package | None:
        """What a test looks for; None when it is not of packages."""
        found = self._tests.get(test)
        if found is None:
            return None
        ref, states, dpkg = found
        name, variable = self._objects[ref]
        names = self._variables[variable] if variable else (name,) if name else ()
        return Package(names, _joined(self._states[one] for one in states), dpkg) if names else None


def told(name: str, version: str, *, dpkg: bool) -> Package:
    """What a comment comes to, in place of a test that is missing: some mirrors keep definitions only."""
    return Package((name,), State(version_of(version, rpm=not dpkg)), dpkg)


def _bare(value: str) -> str:
    """A name as a variable has it, or the one that its pattern looks for."""
    if value.startswith("^"):
        value = _END.split(value[1:], maxsplit=1)[0].replace("\\", "")
    return fields.word(value, "a package")


def _state(element: etree._Element) -> State:
    told: dict[str, str] = {}
    arches: tuple[str, ...] = ()
    other = False
    for one in element.iterchildren("*"):
        kind, text = str(one.tag).rpartition("}")[2], (one.text or "").strip()
        if kind in {"evr", "subexpression"} and one.get("operation", "equals") in _OPERATIONS:
            told[_OPERATIONS[one.get("operation", "")]] = version_of(
                text, rpm=str(element.tag).endswith("rpminfo_state")
            )
        elif kind == "arch" and _ARCHES.fullmatch(text.strip("^$()")):
            arches = tuple(text.strip("^$()").split("|"))
        else:
            other = True
    return State(told.get("fixed", ""), told.get("last", ""), arches, other)


def version_of(text: str, *, rpm: bool) -> str:
    """Without an epoch of 0, and without what Anolis puts before it: `32:chroot-9.18.34-1.an23` of bind-chroot."""
    version = fields.word(text, "a version").removeprefix("0:")
    if rpm and version.count("-") > 1:
        epoch, colon, rest = version.rpartition(":")
        version = epoch + colon + "-".join(rest.split("-")[-2:])
    return version


def _joined(states: Iterable[State]) -> State:
    every = tuple(states)
    if len(every) <= 1:
        return every[0] if every else _NONE
    return State(
        next((one.fixed for one in every if one.fixed), ""),
        next((one.last for one in every if one.last), ""),
        next((one.arches for one in every if one.arches), ()),
        any(one.other for one in every),
    )
