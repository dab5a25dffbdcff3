"""A small feed format for tests of the store and the intake, and stores to import it into."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import zstandard

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

PACK = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.ZstdCompressor().compress,
}


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


def file(folder: Path, content: bytes, name: str = "feed") -> Path:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def tarred(*members: tuple[str, bytes] | tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as opened:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                opened.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            opened.addfile(info, io.BytesIO(member[1]))
    return out.getvalue()


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as opened:
        for name, content in members:
            opened.writestr(name, content, method)
    return out.getvalue()
