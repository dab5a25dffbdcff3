"""Judge a bare package list that somebody brought: no host, no inventory, only the store."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.flows.match import Matcher
from agent.judge import feedcover, packages, remediation, windows
from agent.model import kernels
from agent.model.advisory import Listing
from agent.model.errors import AgentError
from agent.observe import listing

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app import App
    from agent.model.advisory import CveFacts, Match
    from agent.model.severity import Severity

SHOWN = 5
"""Lines of a list that are named when they were not understood."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A list that was judged."""

    matches: tuple[Match, ...]
    grades: tuple[Severity, ...]
    """One a match: by CVSS, else the publisher's word."""
    cves: dict[str, CveFacts]
    streams: tuple[str, ...]
    """Streams that speak of the system; empty: no feed does, and nothing was judged."""
    notes: tuple[str, ...]
    """What whoever asked must know: what was taken for granted, what was not understood."""


def judge_list(app: App, system: str, path: Path | None, *, kernel: str = "", product: str = "") -> Judged:
    """Judge a bare list.

    Args:
        system: `ID:VERSION` as in os-release, in any case.
        path: the list; `-` is standard input; may be left out for Windows.
        kernel: `uname -r`; empty: the newest installed.
        product: Windows: the product's name.

    Raises:
        AgentError: the system or the list is not understood.
    """
    os_id, colon, version = system.partition(":")
    if not colon or not os_id.strip() or not version.strip():
        raise AgentError(
            f"{system!r} is not ID:VERSION", where="--os", remedy="write it as os-release has it: debian:12"
        )
    windows_host = os_id.strip().lower() == "windows"
    if path is None and not windows_host:
        raise AgentError("no package list", where="--packages", remedy="name the file, or `-` for standard input")
    if windows_host and not product:
        raise AgentError(
            "Windows needs its product's name", where="--product", remedy='e.g. --product "Windows Server 2016"'
        )
    text = b"" if path is None else sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    asked = Listing(os_id.strip().lower(), version.strip(), product, kernel)
    if path is not None:  # an empty list is an error, not a system without anything to mend
        asked = listing.parse(text, os_id=os_id, os_version=version, os_name=product, kernel=kernel)
    matcher = Matcher(app.feeds)
    notes = [f"{path}: {line}" for line in asked.skipped[:SHOWN]]
    if len(asked.skipped) > SHOWN:
        notes.append(f"{path}: {len(asked.skipped) - SHOWN} more lines not understood")
    matches, streams, told = _windows(matcher, asked) if windows_host else _linux(matcher, asked)
    cves = matcher.facts(matches)
    ordered = tuple(sorted(matches, key=lambda one: (one.package, one.advisory, one.arch)))
    grades = tuple(remediation.grade(remediation.scores(one.cves, [one], cves), [one.severity])[0] for one in ordered)
    return Judged(ordered, grades, cves, streams, tuple(notes + told))


def _linux(matcher: Matcher, asked: Listing) -> tuple[tuple[Match, ...], tuple[str, ...], list[str]]:
    streams = packages.stream_of(asked, matcher.sizes)
    if not streams:
        looked = ", ".join(one for choice in packages.choices(asked) for one in choice)
        return (), (), [f"无漏洞库: no imported feed speaks of {looked or asked.os_id}; nothing was judged"]
    notes = []
    count = sum(matcher.sizes.get(stream, 0) for stream in streams)
    if count < feedcover.FEW:
        notes.append(
            f"the imported feeds hold only {count} advisories of {', '.join(streams)}: what is not told may be open"
        )
    if not asked.sources:
        told = "taken from a table of Debian 12" if _manager(asked) == "dpkg" else "taken to bear their packages' names"
        notes.append(f"the list tells no sources; they were {told}: give the query of `agent match --help` to be sure")
    if odd := _other_release(asked, streams):
        notes.append(odd)
    running = packages.running(asked)
    if running and not asked.kernel:
        notes.append(f"the running kernel is not known; the newest installed, {running}, was taken for it (--kernel)")
    if asked.kernel and not any(kernels.runs(one, asked.kernel) for one in asked.packages):
        notes.append(f"no package of the running kernel {asked.kernel} is in the list; no kernel was judged")
    aside = len(asked.packages) - len(packages.judged(asked))
    if aside:
        notes.append(f"{aside} packages of a kernel's source that does not run were left out (headers, tools)")
    return matcher.match(asked), streams, notes


def _other_release(asked: Listing, streams: tuple[str, ...]) -> str:
    """A warning where most packages bear the mark of another major version than the one that was named."""
    marks = Counter(hit[1] for one in asked.packages if (hit := re.search(r"\.el(\d+)", one.version)))
    major = streams[0].partition(":")[2]
    if marks and major.isdecimal() and marks[major] * 2 < sum(marks.values()):
        return f"most packages are of el{marks.most_common(1)[0][0]}, not of {streams[0]}: is --os right?"
    return ""


def _manager(asked: Listing) -> str:
    return asked.packages[0].manager if asked.packages else ""


def _windows(matcher: Matcher, asked: Listing) -> tuple[tuple[Match, ...], tuple[str, ...], list[str]]:
    product = windows.exact_product(asked.os_name, asked.os_version)
    stream = f"windows:{product}"
    if stream not in matcher.streams:
        return (), (), [f"无漏洞库: no imported feed speaks of {product or asked.os_name!r}; nothing was judged"]
    found = windows.match(replace(asked, os_name=product), matcher.rows((stream, product)))
    if isinstance(found, windows.Unjudged):
        return (), (), [f"not judged: {found.reason}"]
    return tuple(packages.standing(found, matcher.facts(found))), (stream,), []
