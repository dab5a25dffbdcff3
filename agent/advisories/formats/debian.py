"""Debian's security tracker: its JSON by source package, and the lists of advisories that it is made from.

The JSON (security-tracker.debian.org/tracker/data/json) is read one source package at a time, as it has 70 MB; its
advisories are CVEs, so a CVE in two source packages comes twice, each time with the rows of one of them: they add up.
Both kinds are whole, hence snapshots. CPE-list holds no advisories.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agent.advisories import fields, jsonstream
from agent.advisories.source import Source
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Authority, Header, Record, Scheme, Status

_TRACKER = "https://security-tracker.debian.org/tracker/"
_URGENCIES = ("high", "medium", "low", "unimportant", "end-of-life", "not yet assigned")
"""Debian's words, the gravest first."""
_NO_DSA = {"": Status.DEFERRED, "postponed": Status.DEFERRED, "ignored": Status.WILL_NOT_FIX}
"""Why no advisory comes: left to a point release, put off, or given up (security-team.debian.org, triage)."""
_MARKERS = {
    "unfixed": Status.AFFECTED, "not-affected": Status.NOT_AFFECTED, "end-of-life": Status.END_OF_LIFE,
    "removed": Status.END_OF_LIFE, "undetermined": Status.UNDER_INVESTIGATION, "no-dsa": Status.DEFERRED,
    "postponed": Status.DEFERRED, "ignored": Status.WILL_NOT_FIX,
}  # fmt: skip
"""What stands in place of a version in the lists; `<itp>` is no package yet."""


def _header(feed: str) -> Header:
    return Header(feed=feed, scope="*", ecosystem="Debian", authority=Authority.VENDOR, snapshot=True)


def _row(release: str, package: str, status: Status, fixed: str = "") -> Affected:
    return Affected(streams.join("debian", release), package, Scheme.DPKG, "source", fixed=fixed, status=status)


class Tracker:
    """`{source: {CVE: {description, releases: {bookworm: {status, fixed_version, urgency, nodsa_reason}}}}}`."""

    name = "debian-tracker"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By its three upper levels."""
        return b'"releases"' in head and bool(
            re.match(rb'[\xef\xbb\xbf\s]*\{\s*"[^"]+"\s*:\s*\{\s*"(?:CVE|TEMP)-[^"]*"\s*:\s*\{', head)
        )

    def read(self, source: Source) -> Iterator[Header | Record]:
        """An `Advisory` for each CVE of each source package. Raises FeedError with line, package and CVE."""
        yield _header("debian-tracker/debian")
        place = ""
        try:
            for package, line, issues in jsonstream.members(source):
                place = f"line {line}"
                name = fields.word(package, "a source package")
                place = f"line {line} {name}"
                for issue, entry in fields.obj(issues, "a source package").items():
                    identifier = fields.word(issue, "an issue")
                    place = f"line {line} {name} {identifier}"
                    yield _issue(name, identifier, fields.obj(entry, "an issue"))
        except ValueError as error:
            raise source.error(str(error), place) from error


def _issue(package: str, identifier: str, entry: dict[str, Any]) -> Advisory:
    releases = fields.child(entry, "releases")
    found = {fields.word(name, "a release"): fields.obj(one, "a release") for name, one in releases.items()}
    urgencies = {fields.text(one, "urgency").rstrip("*").strip() for one in found.values()}
    return Advisory(
        id=identifier,
        title=fields.line(fields.text(entry, "description")) or f"{package}: {identifier}",
        severity=next((word for word in _URGENCIES[:4] if word in urgencies), ""),
        cves=fields.cves(identifier),
        url=fields.link(_TRACKER + identifier),
        affected=tuple(row for name, one in found.items() for row in _release(name, package, one)),
    )


def _release(name: str, package: str, entry: dict[str, Any]) -> Iterator[Affected]:
    state, fixed = fields.text(entry, "status"), fields.word(fields.text(entry, "fixed_version"), "'fixed_version'")
    if state == "resolved":
        if fixed in {"", "0"}:
            yield _row(name, package, Status.NOT_AFFECTED)
        else:
            yield _row(name, package, Status.FIXED, fixed)
    elif state == "undetermined":
        yield _row(name, package, Status.UNDER_INVESTIGATION)
    elif state == "open":
        status = Status.AFFECTED
        if entry.get("nodsa") is not None:
            status = _NO_DSA.get(fields.text(entry, "nodsa_reason"), Status.DEFERRED)
        if fields.text(entry, "urgency") == "end-of-life":
            status = Status.END_OF_LIFE
        yield _row(name, package, status)
    else:
        raise ValueError(f"field 'status' is {fields.line(state)[:40]!r}, not open, resolved or undetermined")


_DAY = rb"\[\d{1,2} [A-Z][a-z]{2} \d{4}\] "
_LIST = re.compile(rb"[\xef\xbb\xbf\s]*" + _DAY + rb"(DSA|DLA|DTSA)-\d")
_ADVISORY = re.compile(r"\[(\d{1,2} [A-Za-z]{3} \d{4})\] ((?:DSA|DLA|DTSA)-[\w-]+)(?:\s+(.*))?")
_FIX = re.compile(r"\[([\w-]+)\]\s+-\s+([A-Za-z0-9][A-Za-z0-9.+-]*)\s+(?:<([\w-]+)>|([^\s<>]+))(?:\s.*)?")
_NOTE = re.compile(r"(NOTE|TODO|STOP|REJECTED|RESERVED)\b")


@dataclass(slots=True)
class _Entry:
    """An advisory of a list under construction."""

    identifier: str
    title: str
    published: str
    cves: list[str] = field(default_factory=list)
    rows: list[Affected] = field(default_factory=list)

    def advisory(self) -> Advisory:
        return Advisory(
            id=self.identifier,
            title=self.title or self.identifier,
            cves=fields.cves(self.cves),
            published=self.published,
            url=_TRACKER + self.identifier,
            affected=tuple(self.rows),
        )


class Lists:
    """DSA/list, DLA/list, DTSA/list (salsa.debian.org, security-tracker): lines by hand, indented under each head.

    A regression update (`-2`) is an advisory of its own and often without CVEs. A fix whose version is none (Debian
    Policy 5.6.12: it begins with a digit) is left out: nothing compares with it.
    """

    name = "debian-list"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the first line: `[29 Mar 2023] DSA-5380-1 ...`."""
        return bool(_LIST.match(head))

    def read(self, source: Source) -> Iterator[Header | Record]:
        """An `Advisory` for each head. Raises FeedError with the line."""
        entry: _Entry | None = None
        number = 0
        try:
            for number, raw in source.lines(limit=1 << 20):
                text = raw.decode().strip()
                if head := _ADVISORY.fullmatch(text):
                    if entry is None:
                        yield _header(f"debian-{head[2].partition('-')[0].lower()}/debian")
                    else:
                        yield entry.advisory()
                    entry = _Entry(head[2], fields.line(head[3] or ""), fields.utc(head[1]))
                elif entry is None:
                    raise source.error("no advisory begins here", f"line {number}")
                else:
                    _under(entry, text)
        except UnicodeDecodeError as error:
            raise source.error("broken UTF-8", f"line {number}") from error
        except ValueError as error:
            raise source.error(str(error), f"line {number}") from error
        if entry is None:
            raise source.error("holds no advisory")
        yield entry.advisory()


def _under(entry: _Entry, text: str) -> None:
    """Take a line that stands under a head."""
    if text.startswith("{"):
        entry.cves.append(text)
    elif fix := _FIX.fullmatch(text):
        release, package, marker, version = fix.groups()
        if marker:
            if status := _MARKERS.get(marker):
                entry.rows.append(_row(release, package, status))
        elif version[0].isdigit():
            entry.rows.append(_row(release, package, Status.FIXED, fields.word(version, "a version")))
    elif not _NOTE.match(text):
        raise ValueError(f"{fields.line(text)[:80]!r} is neither CVEs, a fixed version nor a note")


FORMATS = (Tracker(), Lists())
