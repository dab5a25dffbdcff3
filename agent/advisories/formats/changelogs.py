"""Facts out of Debian changelogs: this upload of this source package to this suite says that it fixes these CVEs.

One JSON object a line: source, fixed, suite, date, cves, and from where. What counts is the release that an upload was
made for: its suite's code name, or the version's own mark (`+deb12u5`), which outranks a suite that was mistyped.

Uploads to unstable and experimental are left out. Those from before a release are in the release, so that nothing can
be older than them; where an upload to the release names the CVE again, the earlier fix did not hold, and must not be
taken for the earliest (rule 3); and those from after it reach the release as `VERSION~deb12u1`, which is older than
VERSION, so that a mended package would be called vulnerable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Authority, Header, Record, Scheme

_KEYS = (b'"source"', b'"fixed"', b'"suite"', b'"cves"')
_MARK = re.compile(r"[+~]deb(\d{1,2})u\d")
_ROLLING = {"unstable", "sid", "experimental", "rc-buggy"}


class Changelogs:
    """A dump of such facts. It is no snapshot: what a changelog once said stays said."""

    name = "changelogs"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the keys of the first line."""
        first = head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0]
        return first.startswith(b"{") and all(key in first for key in _KEYS)

    def read(self, source: Source) -> Iterator[Header | Record]:
        """An `Advisory` for each upload to a release. Raises FeedError with the line."""
        yield Header(
            feed="changelog/debian",
            scope=fields.line(source.base),
            ecosystem="Debian changelogs",
            authority=Authority.CHANGELOG,
        )
        for number, raw in source.lines():
            value = source.parse(raw, f"line {number}")
            try:
                found = _advisory(fields.obj(value))
            except ValueError as error:
                raise source.error(str(error), f"line {number}") from error
            if found:
                yield found


def _advisory(fact: dict[str, Any]) -> Advisory | None:
    package, fixed = fields.required(fact, "source"), fields.required(fact, "fixed")
    cves = fields.cves(fields.texts(fact, "cves"))
    published = fields.utc(fields.text(fact, "date"))
    stream = _stream(fields.required(fact, "suite"), fixed)
    if not stream or not cves:
        return None
    return Advisory(
        id=f"changelog:{package}-{fixed}",
        title=f"{package} {fixed}: " + ("one CVE" if len(cves) == 1 else f"{len(cves)} CVEs") + " in its changelog",
        cves=cves,
        published=published,
        url=fields.link(f"https://security-tracker.debian.org/tracker/source-package/{package}"),
        affected=(Affected(stream, package, Scheme.DPKG, "source", fixed=fixed),),
    )


def _stream(suite: str, fixed: str) -> str:
    """The stream of the release that an upload was made for; empty for none that we know."""
    mark = _MARK.search(fixed)
    if mark:
        return f"debian:{mark[1]}"
    code = suite.lower().partition("-")[0]
    if code in _ROLLING:
        return ""
    if code in streams.DEBIAN:
        return streams.join("debian", code)
    return streams.join("ubuntu", code) if code in streams.UBUNTU else ""


FORMATS = (Changelogs(),)
