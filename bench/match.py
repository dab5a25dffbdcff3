"""Matching: 23 hosts cold and warm, 10,000 hosts of 1,000 distinct lists, in processes of their own.

python bench/match.py STATE      a folder with feeds.db (bench/run.py makes one of the real feeds)
"""

from __future__ import annotations

import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.model.advisory import Listing

ROOT = Path(__file__).parents[1]
HOSTS, PACKAGES = 23, 600
MANY, DISTINCT = 10_000, 1_000
SYSTEMS = (("almalinux:9", "almalinux", "9.4"), ("almalinux:8", "almalinux", "8.9"), ("debian:12", "debian", "12"))


def peak() -> int:
    """Peak RSS of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def known(state: Path, stream: str) -> list[tuple[str, list[str]]]:
    """Packages that the feeds know in a stream, each with its fixed versions."""
    with sqlite3.connect(f"file:{state / 'feeds.db'}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT a.package, a.fixed FROM affected a JOIN stream s ON s.id = a.stream"
            " WHERE s.name = ? AND a.fixed != '' AND a.package NOT LIKE 'kernel%'",
            (stream,),
        ).fetchall()
    found: dict[str, set[str]] = {}
    for package, fixed in rows:
        found.setdefault(package, set()).add(fixed)
    return sorted((name, sorted(versions)) for name, versions in found.items())


def lists(state: Path, count: int, seed: int = 1) -> list[Listing]:
    """So many distinct lists of 600 packages, of which half are known to the feeds, at versions of some past day."""
    from agent.model.advisory import Listing
    from agent.model.facts import Package

    chance = random.Random(seed)
    pools = {stream: known(state, stream) for stream, _, _ in SYSTEMS}
    made = []
    for number in range(count):
        stream, os_id, version = SYSTEMS[number % len(SYSTEMS)]
        manager = "dpkg" if os_id == "debian" else "rpm"
        pool = pools[stream]
        held = chance.sample(pool, min(PACKAGES // 2, len(pool)))
        packages = [Package(name, chance.choice(fixed), "x86_64", name, "", manager) for name, fixed in held]
        packages = [Package(one.name, one.version, one.arch, one.name, one.version, manager) for one in packages]
        packages += [
            Package(f"own-{each}", f"1.{each}-1", "x86_64", f"own-{each}", f"1.{each}-1", manager)
            for each in range(PACKAGES - len(packages))
        ]
        made.append(Listing(os_id, version, packages=tuple(packages)))
    return made


def few(state: Path) -> dict[str, float]:
    """23 hosts: from a process that has just begun, then again."""
    hosts = lists(state, HOSTS)
    start = time.perf_counter()
    from agent.advisories.store import open_feeds
    from agent.flows.match import Matcher

    imported = time.perf_counter() - start
    figures = []
    with open_feeds(state, readonly=True) as store:
        for _ in range(3):
            start = time.perf_counter()
            matcher = Matcher(store)
            found = sum(len(matches) for _, matches in matcher.match_all(hosts))
            figures.append(time.perf_counter() - start)
    return {"findings": found, "cold": imported + figures[0], "warm": min(figures), "MiB": peak()}


def many(state: Path, count: int) -> dict[str, float]:
    """Hosts as they come, in the order of chance; only the lists themselves are held."""
    from agent.advisories.store import open_feeds
    from agent.flows.match import Matcher

    distinct = lists(state, DISTINCT)
    before = peak()
    chance = random.Random(2)

    def stream() -> Iterator[Listing]:
        for number in range(count):
            yield distinct[number if number < DISTINCT else chance.randrange(DISTINCT)]

    start = time.perf_counter()
    with open_feeds(state, readonly=True) as store:
        found = sum(len(matches) for _, matches in Matcher(store).match_all(stream()))
    return {"findings": found, "seconds": time.perf_counter() - start, "MiB before": before, "MiB": peak()}


def command(state: Path) -> float:
    """`agent match` of one list, as a user starts it."""
    listing = lists(state, 1)[0]
    path = state / "list.txt"
    lines = []
    for one in listing.packages:
        version, _, release = one.version.rpartition(":")[2].rpartition("-")
        lines.append(f"{one.name} 0 {version} {release} x86_64 (none) (none)\n")
    path.write_text("".join(lines), encoding="utf-8")
    workspace = state / "w"
    agent = [sys.executable, "-m", "agent"]
    if not workspace.exists():
        subprocess.run([*agent, "init", str(workspace)], check=True, capture_output=True, cwd=ROOT)
        (workspace / "state").mkdir(mode=0o700, exist_ok=True)
        (workspace / "state" / "feeds.db").symlink_to(state / "feeds.db")
    start = time.perf_counter()
    done = subprocess.run(
        [*agent, "-C", str(workspace), "match", "--os", "almalinux:9.4", "--packages", str(path), "--json"],
        check=False, capture_output=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    return time.perf_counter() - start


def run(part: str, *arguments: object) -> dict[str, float]:
    """One part in a process of its own."""
    words = [sys.executable, __file__, part, *map(str, arguments)]
    done = subprocess.run(
        words, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    return dict(json.loads(done.stdout))


def rows(state: Path) -> Iterator[tuple[str, str, str]]:
    """What was measured, the figure, the goal."""
    got = run("few", state)
    told = f"{got['cold']:.2f} s cold, {got['warm']:.2f} s warm, {got['findings']:,} matches, {got['MiB']} MiB"
    yield "matching 23 hosts of 600 packages", told, "< 2 s cold, < 1 s warm"
    half, whole = run("many", state, MANY // 2), run("many", state, MANY)
    told = f"{whole['seconds']:.1f} s, {whole['findings']:,} matches, {whole['MiB']} MiB ({half['MiB']} MiB for half)"
    yield "matching 10,000 hosts of 1,000 lists", told, "< 60 s, flat"
    yield "`agent match` of one list, process and all", f"{command(state):.2f} s", "-"


if __name__ == "__main__":
    if sys.argv[1] == "few":
        print(json.dumps(few(Path(sys.argv[2]))))
    elif sys.argv[1] == "many":
        print(json.dumps(many(Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        for line in rows(Path(sys.argv[1])):
            print("|", " | ".join(line), "|", flush=True)
