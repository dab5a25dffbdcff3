"""What the criteria of an OVAL definition say: tests of packages, and under which conditions each counts.

A criteria tree of AND and OR is brought to a flat list of package tests. Conditions (a platform, a module stream, an
architecture) hold for all that stands beside and below them in an AND; several in an OR are alternatives. What is no
matter of versions (signatures, "is set to boot up on next boot") counts as true, as every scanner takes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from agent.advisories import fields
from agent.model import streams
from agent.model.advisory import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

MAX_DEPTH = 60
"""Levels of criteria; the deepest of real feeds (live patches) have eight."""
_ASIDE = re.compile(
    r"is signed with|must be installed|is not installed|not installed for|currently running|set to boot up|"
    r"kernel version (?:equals|comparison)|^Is kernel|^(?:all|[\w-]+) architecture$|part of the unix family"
)
_MODULE = re.compile(r"Module (?P<name>[\w.+-]+:[\w.+-]+) is enabled")
_ARCH = re.compile(r" arch is (?P<arch>\w+)")
_INSTALLED = re.compile(r"(?P<what>.+?) (?:is|must be) installed\.?")
_TOLD = re.compile(r"(?P<name>\S+)(?: DPKG)? is (?:earlier than (?P<version>\S+)|installed\.?)")
_UBUNTU = re.compile(
    r"(?:\((?P<cve>CVE-\d+-\d+)\) )?(?:The (?:vulnerability of the )?)?'?(?P<source>[^\s':]+)'?"
    r"(?: (?:source )?(?:package|kernel) in [\w/-]+|(?=: while related))(?P<rest>.*)",
    re.DOTALL,
)
_NOTE = re.compile(r"has been fixed \(note: '([^']+)'\)")
_PHRASES = (
    ("is not affected", Status.NOT_AFFECTED),
    ("may need fixing", Status.UNDER_INVESTIGATION),
    ("is not known", Status.UNDER_INVESTIGATION),
    ("pending evaluation", Status.UNDER_INVESTIGATION),
    ("decision has been made to defer", Status.DEFERRED),
    ("decision has been made to ignore", Status.WILL_NOT_FIX),
    ("is affected", Status.AFFECTED),
    ("is vulnerable", Status.AFFECTED),
)
"""Words of Ubuntu's comments (generate-oval of ubuntu-cve-tracker), the more particular first."""


class Where(NamedTuple):
    """Under which conditions a test counts; None and empty: none said."""

    streams: tuple[str, ...] | None = None
    """Of the platforms named; empty: platforms that we do not know."""
    modules: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()


class Said(NamedTuple):
    """What a comment of Ubuntu's says of a source package."""

    source: str
    status: Status | None
    """None: fixed before any version that could be named."""
    fixed: str
    cve: str
    """Named where a definition is of a package, not of a CVE."""


class Leaf(NamedTuple):
    """A test that may be of a package."""

    where: Where
    test: str
    said: Said | None
    told: tuple[str, str]
    """Package and version, or none, of a comment `X is earlier than E:V-R`; it speaks where the test is missing."""


@dataclass(slots=True)
class _Node:
    every: bool
    """AND."""
    conditions: list[Where] = field(default_factory=list)
    leaves: list[tuple[str, Said | None, tuple[str, str]]] = field(default_factory=list)
    kids: list[_Node] = field(default_factory=list)
    bare: bool = True
    """No package is tested here or below."""


def leaves(definition: etree._Element) -> list[Leaf]:
    """Every package test of a definition. Raises ValueError."""
    root = definition.find("{*}criteria")
    return [] if root is None else list(_walk(_parsed(root, 0), Where()))


def _parsed(element: etree._Element, depth: int) -> _Node:
    if depth > MAX_DEPTH:
        raise ValueError(f"criteria of more than {MAX_DEPTH} levels")
    operator = element.get("operator", "AND")
    if operator not in {"AND", "OR"}:
        raise ValueError(f"criteria with the operator {fields.line(operator)!r}")
    node = _Node(operator == "AND")
    for one in element.iterchildren("*"):
        if one.get("negate") in {"true", "1"}:
            continue
        kind = str(one.tag).rpartition("}")[2]
        if kind == "criteria":
            node.kids.append(_parsed(one, depth + 1))
        elif kind in {"criterion", "extend_definition"}:
            _leaf(node, one.get("comment", ""), one.get("test_ref", ""))
    node.bare = not node.leaves and all(kid.bare for kid in node.kids)
    return node


def _leaf(node: _Node, comment: str, test: str) -> None:
    comment = " ".join(comment.split())
    if _ASIDE.search(comment):
        return
    if condition := _condition(comment):
        node.conditions.append(condition)
    elif test:
        hit = _TOLD.fullmatch(comment)
        told = (fields.word(hit["name"], "a package"), hit["version"] or "") if hit else ("", "")
        node.leaves.append((fields.word(test, "a test"), None if hit else _said(comment), told))


def _condition(comment: str) -> Where | None:
    if hit := _MODULE.search(comment):
        return Where(modules=(hit["name"],))
    hit = _INSTALLED.fullmatch(comment)
    # a package's name holds no space, a platform's does, but for `openEuler-22.03-LTS`
    if hit and (" " in hit["what"] or re.match(r"openEuler-\d", hit["what"])):
        stream = streams.of_name(hit["what"])
        return Where(streams=(stream,) if stream else ())
    hit = _ARCH.search(comment)
    return Where(arches=(hit["arch"],)) if hit else None


def _said(comment: str) -> Said | None:
    hit = _UBUNTU.match(comment)
    if not hit:
        return None
    source, rest, cve = fields.word(hit["source"], "a source package"), hit["rest"], hit["cve"] or ""
    if note := _NOTE.search(rest):
        return Said(source, Status.FIXED, fields.word(note[1].partition(" ")[0], "a version"), cve)
    status = next((status for words, status in _PHRASES if words in rest), None)
    return Said(source, status, "", cve)


def _walk(node: _Node, where: Where) -> Iterator[Leaf]:
    if node.every:
        held = _merged([_alternatives(kid) for kid in node.kids if kid.bare] + node.conditions, all_of=True)
        where = _merged([where, held], all_of=True)
    for test, said, told in node.leaves:
        yield Leaf(where, test, said, told)
    for kid in node.kids:
        if not kid.bare:
            yield from _walk(kid, where)


def _alternatives(node: _Node) -> Where:
    """What a branch without packages demands."""
    return _merged([*node.conditions, *map(_alternatives, node.kids)], all_of=node.every)


def _merged(every: list[Where], *, all_of: bool) -> Where:
    """Conditions brought together; those of one kind are alternatives, in an AND the later one is the narrower."""
    if all_of:
        platforms = [one.streams for one in every if one.streams is not None]
        return Where(
            platforms[-1] if platforms else None,
            next((one.modules for one in reversed(every) if one.modules), ()),
            next((one.arches for one in reversed(every) if one.arches), ()),
        )
    told = [one.streams for one in every if one.streams is not None]
    return Where(
        tuple(dict.fromkeys(stream for some in told for stream in some)) if told else None,
        tuple(dict.fromkeys(module for one in every for module in one.modules)),
        tuple(dict.fromkeys(arch for one in every for arch in one.arches)),
    )
