"""Red Hat's and Oracle's OVAL: what another project (vuln-list-update) extracted from the same files.

Each of its definitions becomes a host that is one step below each fix, one that has it, and, where nothing mends it,
one with any version.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from agent.flows.match import Matcher
from bench.truth_table import Open, Tally, judge, store

FEED = "redhat-samples/redhat-samples.tar.zst"
_KERNEL = re.compile(r"kernel(?:-uek)?")


@dataclass
class _Definition:
    """What the other project has of one definition."""

    ident: str
    system: tuple[str, str]
    fixes: dict[str, str] = field(default_factory=dict)
    """Package to fixed version."""
    unfixed: set[str] = field(default_factory=set)


def _goldens(feeds: Path) -> Iterator[_Definition]:
    with (
        (feeds / FEED).open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as plain,
        tarfile.open(fileobj=plain, mode="r|") as members,
    ):
        for one in members:
            hit = re.search(r"/golden/(?:(\d)/.*/definitions/|ELSA)", one.name)
            text = members.extractfile(one) if hit else None
            if hit and text and (found := _definition(json.load(text), hit[1] or "")):
                yield from _by_release(found)


def _definition(said: dict[str, Any], major: str) -> _Definition | None:
    title = said["Metadata"]["Title"] if "Metadata" in said else said["Title"]
    hit = re.match(r"((?:RH|EL)[SBE]A-\d+[:-][\d-]*\d|CVE-\d+-\d+)", title)
    if not hit or said.get("Class") == "compliance":
        return None
    found = _Definition(hit[1], ("rhel" if major else "ol", major))
    resolution = said.get("Metadata", {}).get("Advisory", {}).get("Affected", {}).get("Resolution", {})
    for comment in _comments(said["Criteria"]):
        if fix := re.fullmatch(r"(\S+) is earlier than (\S+)", comment):
            found.fixes[fix[1]] = fix[2]
        elif (there := re.fullmatch(r"(\S+) is installed", comment)) and said.get("Class") == "vulnerability":
            found.unfixed.add(there[1])
    if resolution.get("State", "") == "Not affected" or "unaffected" in said.get("ID", ""):
        return None
    return found


def _by_release(one: _Definition) -> Iterator[_Definition]:
    """Oracle's definitions speak of several releases at once; the fix's own tag tells which."""
    if one.system[1]:
        yield one
        return
    by_major: dict[str, dict[str, str]] = {}
    for name, fixed in one.fixes.items():
        if hit := re.search(r"\.el(\d+)", fixed):
            by_major.setdefault(hit[1], {})[name] = fixed
    for major, fixes in by_major.items():
        yield _Definition(one.ident, (one.system[0], major), fixes)


def _comments(criteria: dict[str, Any]) -> Iterator[str]:
    for one in criteria.get("Criterions") or ():
        yield one["Comment"]
    for one in criteria.get("Criterias") or ():
        yield from _comments(one)


def _list(one: _Definition, below: str) -> tuple[str, str]:
    """A list with every package of the definition, and the kernel that runs."""
    lines, kernel = [], ""
    for name, fixed in {**dict.fromkeys(one.unfixed, "1-1"), **one.fixes}.items():
        epoch, _, bare = fixed.rpartition(":")
        version, _, release = bare.partition("-")
        lines.append(f"{name} {epoch or 0} {version} {release}{below} x86_64 {name}-{bare}.src.rpm (none)")
        kernel = f"{bare}{below}.x86_64" if _KERNEL.fullmatch(name) else kernel
    return "\n".join(lines), kernel


def _judged(name: str) -> bool:
    aside = name.startswith("kernel") or name in {"perf", "python-perf"}
    return not aside or _KERNEL.fullmatch(name) is not None


def tallies(feeds: Path, place: Path) -> Iterator[Tally]:
    """A row for each vendor."""
    rows = {
        name: Tally(f"{title} OVAL, samples", "vuln-list-update's extraction")
        for name, title in (("rhel", "Red Hat"), ("ol", "Oracle"))
    }
    rows["rhel"].note = "missing: fixes of Ansible Engine, a layered product, which has no stream"
    with store(place / "redhat", [feeds / FEED]) as opened:
        matcher = Matcher(opened)
        for one in _goldens(feeds):
            for below in ("~0", ""):
                text, kernel = _list(one, below)
                if not text:
                    continue
                told = judge(matcher, text, *one.system, kernel=kernel)
                right: Open = {(one.ident, name) for name in one.unfixed | (set(one.fixes) if below else set())}
                seen = {(match.advisory, match.package) for match in told if match.advisory == one.ident}
                rows[one.system[0]].add({it for it in right if _judged(it[1])}, seen, f"{one.ident}{below}")
    yield from rows.values()
