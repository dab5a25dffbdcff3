"""Debian hosts of a day by the dates of DSAs (11) and of changelogs (12), and what apt says of this machine."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.flows.match import Matcher
from bench.truth_table import Open, Tally, by_cve, judge, records, store

DSA = "debian-dsa/DSA-list.gz"
CHANGELOGS = "debian-bookworm/bookworm-changelog-cves.jsonl.zst"
DAYS = ("2021-10-31", "2022-02-28", "2022-06-30", "2022-10-31", "2023-01-31", "2023-03-15")
_HEAD = re.compile(r"\[(\d+ \w+ \d{4})\] (DSA-\d+(?:-\d+)?) ")


@dataclass(frozen=True)
class _Fix:
    order: tuple[str, int]
    """Day, then the place in the list."""
    source: str
    version: str
    cves: tuple[str, ...]


def _dsas(feeds: Path) -> Iterator[_Fix]:
    """Fixes of bullseye, oldest first."""
    text = gzip.decompress((feeds / DSA).read_bytes()).decode()
    found: list[_Fix] = []
    day, cves = "", ()
    for number, line in enumerate(text.splitlines()):
        if hit := _HEAD.match(line):
            day, cves = datetime.strptime(hit[1], "%d %b %Y").date().isoformat(), ()  # noqa: DTZ007 - a day
        elif line.startswith("\t{"):
            cves = tuple(re.findall(r"CVE-\d{4}-\d{4,}", line))
        elif hit := re.match(r"\t\[bullseye\] - (\S+) (\d\S*)", line):
            found.append(_Fix((day, -number), hit[1], hit[2], cves))
    yield from sorted(found, key=lambda one: one.order)


def _of_bookworm(one: dict[str, str]) -> bool:
    """Made for this release; an upload of libarchive 3.6.2-1+deb12u5 says bullseye-security by mistake."""
    return one["suite"].startswith("bookworm") or "+deb12u" in one["fixed"]


def _changelogs(feeds: Path) -> Iterator[_Fix]:
    rows = [one for one in records(feeds / CHANGELOGS) if _of_bookworm(one)]
    # the changelog has the newest upload on top
    fixes = [
        _Fix((one["date"], -place), one["source"], one["fixed"], tuple(one["cves"])) for place, one in enumerate(rows)
    ]
    yield from sorted(fixes, key=lambda one: one.order)


def _host(fixes: Iterable[_Fix], day: str) -> tuple[list[_Fix], Open]:
    """What a host of that day has, and what is open in each source's library and program."""
    by_source: dict[str, list[_Fix]] = {}
    for one in fixes:
        by_source.setdefault(one.source, []).append(one)
    installed: list[_Fix] = []
    truth: Open = set()
    for source, every in by_source.items():
        before = [one for one in every if one.order[0] <= day]
        if before:
            installed.append(before[-1])
            first: dict[str, _Fix] = {}
            for one in every:
                for cve in one.cves:
                    first.setdefault(cve, one)
            late = {cve for cve, one in first.items() if one.order[0] > day and one.version != before[-1].version}
            truth |= {(cve, name) for cve in late for name in _binaries(source)}
    return installed, truth


QUERY = "${binary:Package},${db:Status-Abbrev},${Version},${source:Package},${source:Version}\\n"
_IMAGE = "linux-image-9.9.0-9-amd64"


def _binaries(source: str) -> tuple[str, ...]:
    """Two packages built from a source; of the kernel's the image that runs."""
    return (_IMAGE,) if source == "linux" else (source, f"lib{source}-x")


def _forms(installed: Iterable[_Fix]) -> dict[str, str]:
    queries, stanzas, tables = [], [], []
    for one in installed:
        for name in ("linux-libc-dev", "linux-perf", _IMAGE) if one.source == "linux" else _binaries(one.source):
            version, origin, built = f"{one.version}+b1", one.source, one.version
            if one.source == "linux":
                version = one.version
            if name == _IMAGE:  # the signed kernel is numbered apart
                origin, built = "linux-signed-amd64", re.sub(r"-(?=[^-]*$)", "+", one.version)
            queries.append(f"{name},ii ,{version},{origin},{built}")
            tables.append(f"ii  {name}:amd64  {version}  amd64  something that has a name")
            stanzas.append(
                f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
                f"Source: {origin} ({built})\nVersion: {version}\n"
            )
    forms = {"dpkg-query": "\n".join(queries), "status file": "\n".join(stanzas), "dpkg -l": "\n".join(tables)}
    return {name: text + "\n" for name, text in forms.items()}


def _dated(name: str, decided: str, fixes: list[_Fix], days: Iterable[str], matcher: Matcher) -> Iterator[Tally]:
    rows: dict[str, Tally] = {}
    for day in days:
        installed, truth = _host(fixes, day)
        if not installed:
            continue
        for form, text in _forms(installed).items():
            row = rows.setdefault(form, Tally(f"{name}, {form}", decided))
            told = judge(matcher, text, "debian", name.rpartition(" ")[2], kernel="9.9.0-9-amd64")
            # a table does not tell sources: of the two packages of a source only the one of its name can be judged
            right = {one for one in truth if not (one[1].startswith("lib") and one[1].endswith("-x"))}
            row.add(right if form == "dpkg -l" else truth, by_cve(told), f"{form}/{day}")
            if form == "dpkg -l":
                row.note = "a table tells no sources; counted are packages that bear their source's name"
    yield from rows.values()


def _machine(feeds: Path, matcher: Matcher) -> Tally:
    """What apt would update from the security archive, of sources of which the feed knows a security upload.

    Point releases bring earlier security uploads along: apt then names those as the origin, and is not asked for more.
    """
    row = Tally("Debian 12, this machine", "apt", note="counts packages, not CVEs")
    listed = subprocess.run(
        ["dpkg-query", "-W", f"-f={QUERY}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    pending = subprocess.run(["apt-get", "-s", "upgrade"], capture_output=True, text=True, check=False).stdout
    offered = re.findall(r"^Inst (\S+) \[[^]]*\] \([^ )]+ (\S+)", pending, re.MULTILINE)
    known = {one["source"] for one in records(feeds / CHANGELOGS) if _of_bookworm(one)} - {"linux"}
    sources = {line.split(",")[0].partition(":")[0]: line.split(",")[3] for line in listed.splitlines()}
    ours = [(name, archive) for name, archive in offered if sources.get(name) in known]
    secure: Open = {("update", name) for name, archive in ours if archive.startswith("Debian-Security")}
    told = judge(matcher, listed, "debian", "12", kernel="9.9.0-9-amd64")
    seen: Open = {("update", one.package) for one in told if sources.get(one.package) in known}
    row.add(secure | (seen & {("update", name) for name, _ in ours}), seen, "this machine")
    return row


def tallies(feeds: Path, place: Path) -> Iterator[Tally]:
    """A row for each release and form."""
    with store(place / "dsa", [feeds / DSA]) as opened:
        yield from _dated("Debian 11", "dates of DSAs", list(_dsas(feeds)), DAYS, Matcher(opened))
    with store(place / "changelogs", [feeds / CHANGELOGS]) as opened:
        matcher = Matcher(opened)
        fixes = list(_changelogs(feeds))
        days = sorted({one.order[0] for one in fixes})
        yield from _dated("Debian 12", "dates in changelogs", fixes, days[:: max(1, len(days) // 12)], matcher)
        release = Path("/etc/os-release")
        if release.is_file() and "VERSION_CODENAME=bookworm" in release.read_text(encoding="utf-8"):
            yield _machine(feeds, matcher)
