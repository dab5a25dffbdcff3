"""A small feed format for tests of the store and the intake, and stores to import it into."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from agent.advisories.intake import Imported, read_feeds
from agent.advisories.source import Source
from agent.advisories.store import FeedStore
from agent.model.advisory import (
    Advisory,
    Affected,
    Authority,
    CveNote,
    Exploited,
    Header,
    Lifecycle,
    Likelihood,
    Record,
    Scheme,
)

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
KINDS = {"note": CveNote, "exploited": Exploited, "likelihood": Likelihood, "lifecycle": Lifecycle}


class Tiny:
    """`TINY`, then one JSON object a line: a header (`feed`), an advisory (`id`), another record (its kind), or pad."""

    name = "tiny"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the protocol's form
        return head.startswith(b"TINY")

    def read(self, source: Source) -> Iterator[Header | Record]:
        for number, line in source.lines():
            if line == b"TINY" or line.startswith(b"#"):
                continue
            said = source.parse(line, f"line {number}")
            kind = next((kind for kind in KINDS if kind in said), "")
            if "crash" in said:
                raise KeyError(said["crash"])
            if "feed" in said:
                yield header(**said)
            elif kind:
                yield KINDS[kind](**said[kind])
            else:
                yield advisory(**said)


KNOWN = (Tiny(),)


def header(feed: str = "tiny/test", scope: str = "*", date: str = "", *, snapshot: bool = False, **more: str) -> Header:
    authority = Authority(more.get("authority", "vendor"))
    return Header(feed, scope, "Test", authority, date, more.get("licence", "MIT"), snapshot)


def advisory(
    id: str,  # noqa: A002 - as the record calls it
    fixed: str = "1.0",
    package: str = "pkg",
    stream: str = "debian:12",
    modified: str = "",
    cves: tuple[str, ...] = ("CVE-2099-0001",),
    *,
    withdrawn: bool = False,
) -> Advisory:
    rows = (Affected(stream, package, Scheme.DPKG, fixed=fixed),)
    return Advisory(id, f"about {package}", cves=tuple(cves), modified=modified, withdrawn=withdrawn, affected=rows)


def tiny(*lines: dict[str, object], feed: str = "tiny/test", **head: object) -> bytes:
    """A document of the format."""
    return b"\n".join([b"TINY", *(json.dumps(line).encode() for line in ({"feed": feed, **head}, *lines))]) + b"\n"


def take(store: FeedStore, *paths: Path, **more: object) -> Imported:
    return read_feeds(store, paths, who="tester", at=AT, known=KNOWN, **more)


def fixes(store: FeedStore, package: str = "pkg", stream: str = "debian:12") -> dict[str, str]:
    """Advisory to the version that fixes."""
    return {one.head.id: one.row.fixed for one in store.known([(stream, package)]).get((stream, package), ())}


def dump(store: FeedStore) -> list[str]:
    """All that lies in the database."""
    return list(store._db.iterdump())
