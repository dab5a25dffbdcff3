"""Import and look-up of feeds: time and peak memory, in processes of their own.

python bench/feeds.py [FOLDER]              the real feeds ($AGENT_TEST_FEEDS, else ../shared/feeds)
python bench/feeds.py --synthetic 1000000   so many advisories of six statements each
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOSTS, PACKAGES = 23, 600
AT = datetime(2026, 11, 22, tzinfo=UTC)


def peak() -> int:
    """Peak RSS of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def load(state: Path, folder: Path) -> dict[str, float]:
    """Import a folder, then the same again."""
    from agent.advisories.intake import read_feeds
    from agent.advisories.store import open_feeds

    with open_feeds(state) as store:
        start = time.perf_counter()
        done = read_feeds(store, [folder], who="bench", at=AT)
        first = time.perf_counter() - start
        start = time.perf_counter()
        read_feeds(store, [folder], who="bench", at=AT)
        again = time.perf_counter() - start
    return {
        "seconds": first,
        "again": again,
        "MiB": peak(),
        "records": sum(done.result.added.values()),
        "refused": len(done.refused),
    }


def _raw(folder: Path) -> Iterator[bytes]:
    """Every document of a folder, decompressed."""
    import gzip
    import io
    import tarfile

    import zstandard

    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".zip"):
        raw = path.read_bytes()
        if path.suffix == ".zst":
            raw = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read()
        elif path.suffix == ".gz":
            raw = gzip.decompress(raw)
        if ".tar" not in path.suffixes:
            yield raw
            continue
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            for member in archive:
                held = archive.extractfile(member)
                yield held.read() if held else b""


def _parse(raw: bytes) -> None:
    import io

    from lxml import etree

    head = raw[:200].lstrip()
    if head.startswith(b"<"):
        with contextlib.suppress(etree.LxmlError):
            etree.parse(io.BytesIO(raw))
    elif head.startswith(b"{"):
        with contextlib.suppress(ValueError):
            for document in [raw] if raw.count(b"\n{") == 0 else raw.splitlines():
                json.loads(document)
    else:
        [line.split(b";") for line in raw.splitlines()]


def bare(folder: Path) -> dict[str, float]:
    """The floor: decompress everything and parse it, keep nothing."""
    start = time.perf_counter()
    for raw in _raw(folder):
        _parse(raw)
    return {"seconds": time.perf_counter() - start, "MiB": peak()}


def synthetic(state: Path, count: int) -> dict[str, float]:
    """Import made-up advisories straight into the store."""
    from agent.advisories.store import open_feeds
    from agent.model.advisory import Advisory, Affected, Authority, Header, Scheme

    def advisories() -> Iterator[Advisory]:
        for number in range(count):
            fixed = f"{number % 9}.{number % 97}-{number % 13}.el9"
            yield Advisory(
                f"XX-{number:07d}",
                f"Important: update of package {number % 30_000}",
                severity="Important",
                score=7.5,
                cves=(f"CVE-{2010 + number % 15}-{number % 90_000}",),
                modified=f"20{10 + number % 15}-01-02T03:04:05Z",
                affected=tuple(
                    Affected(f"rhel:{6 + part % 4}", f"package-{(number + part * 7) % 30_000}", Scheme.RPM, fixed=fixed)
                    for part in range(6)
                ),
            )

    start = time.perf_counter()
    with open_feeds(state) as store, store.importing(who="bench", at=AT, source="synthetic") as work:
        work.document(Header("bench/synthetic", "*", "Bench", Authority.VENDOR), name="synthetic", sha256="0" * 64)
        for one in advisories():
            work.add(one)
    return {"seconds": time.perf_counter() - start, "MiB": peak(), "records": count}


def look(state: Path) -> dict[str, float]:
    """What 23 hosts of 600 packages ask for, from a process that has just begun, and again."""
    start = time.perf_counter()
    from agent.advisories.store import open_feeds

    begun = time.perf_counter() - start
    with open_feeds(state, readonly=True) as store:
        keys = _keys(store)
        figures = []
        for _ in range(3):
            start = time.perf_counter()
            found = store.known(keys)
            figures.append(time.perf_counter() - start)
        cves = {cve for several in found.values() for one in several for cve in one.head.cves}
        start = time.perf_counter()
        store.cves(cves)
        facts = time.perf_counter() - start
    count = sum(len(several) for several in found.values())
    return {
        "start": begun, "keys": len(keys), "candidates": count, "cold": figures[0], "warm": min(figures),
        "cves": len(cves), "facts": facts, "MiB": peak(),
    }  # fmt: skip


def _keys(store: object) -> list[tuple[str, str]]:
    """Packages that are known in each stream, the most named first, filled up with ones that are not."""
    rows = store._db.execute(  # type: ignore[attr-defined]  # noqa: SLF001 - a benchmark may look inside
        "SELECT s.name, a.package, count(*) FROM affected a JOIN stream s ON s.id = a.stream"
        " WHERE s.name != 'cpe' GROUP BY 1, 2 ORDER BY 3 DESC"
    ).fetchall()
    by_stream: dict[str, list[str]] = {}
    for stream, package, _ in rows:
        by_stream.setdefault(stream, []).append(package)
    streams = sorted(by_stream, key=lambda stream: -len(by_stream[stream]))
    keys = set()
    for host in range(HOSTS):
        stream = streams[host % len(streams)]
        named = by_stream[stream][host * 7 % 50 :][: PACKAGES // 2]
        keys.update((stream, package) for package in named)
        keys.update((stream, f"unknown-{host}-{number}") for number in range(PACKAGES - len(named)))
    return sorted(keys)


def run(*arguments: object) -> dict[str, float]:
    """One part in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), *map(str, arguments)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return json.loads(done.stdout)


def table(title: str, figures: dict[str, float]) -> None:
    """Print them."""
    shown = ", ".join(
        f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )
    print(f"| {title} | {shown} |", flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=os.environ.get("AGENT_TEST_FEEDS") or ROOT.parent / "shared/feeds")
    parser.add_argument("--synthetic", type=int, default=0)
    parser.add_argument("--part", choices=["bare", "load", "synthetic", "look"])
    parser.add_argument("--state", type=Path)
    asked = parser.parse_args()
    if asked.part:
        parts = {
            "bare": lambda: bare(Path(asked.folder)),
            "load": lambda: load(asked.state, Path(asked.folder)),
            "synthetic": lambda: synthetic(asked.state, asked.synthetic),
            "look": lambda: look(asked.state),
        }
        print(json.dumps(parts[asked.part]()))
        return
    with tempfile.TemporaryDirectory() as place:
        state = ["--state", Path(place) / "state"]
        if asked.synthetic:
            table("import, synthetic", run("--part", "synthetic", "--synthetic", asked.synthetic, *state))
        else:
            table("import of all feeds", run("--part", "load", asked.folder, *state))
        print(f"| feeds.db | {(Path(place) / 'state/feeds.db').stat().st_size >> 20} MiB |")
        table("look-up", run("--part", "look", *state))


if __name__ == "__main__":
    main()
