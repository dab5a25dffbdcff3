"""Windows servers at the builds of some months, against the table of another project (wesng), which knows no builds.

Its table says for each CVE and product which KB mends it, and what that KB replaces. A host with the cumulative update
K lacks a CVE's fix when none of its KBs is K, is replaced by K through any number of steps, or came out before K. We
are asked by the build that K brought, and again by K alone. CVEs that the table has from before Microsoft's feed begins
are closed on every one of these hosts.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.judge import windows
from agent.judge.windows import Unjudged
from agent.model.advisory import Candidate, Listing
from bench.truth_table import Open, Tally, by_cve, store

TABLE = "windows-wesng/definitions.zip"
HOSTS = (
    ("Windows Server 2016", "10.0.14393", ((3025, 4503267), (4169, 4598243), (5192, 5014702), (6351, 5031362),
                                           (7070, 5039214), (7969, 5055521))),
    ("Windows Server 2019", "10.0.17763", ((557, 4503327), (1697, 4598230), (3046, 5014692), (4974, 5031361),
                                           (5936, 5039217), (7136, 5055519))),
    ("Windows Server 2022", "10.0.20348", ((469, 5009555), (770, 5014678), (2031, 5031364), (2527, 5039227),
                                           (3453, 5055526))),
    ("Windows Server 2025", "10.0.26100", ((2314, 5046617), (3775, 5055523), (6899, 5066835))),
    ("Windows Server 2012 R2", "6.3.9600", ((20402, 5014738), (21620, 5031419), (22023, 5039294))),
    ("Windows Server 2012", "6.2.9200", ((23736, 5014747), (24523, 5031442), (24919, 5039260))),
)  # fmt: skip
"""Product, line of builds, and hosts: UBR and the KB that brought it."""


@dataclass
class _Product:
    """What the table says of one product."""

    mends: dict[str, set[str]] = field(default_factory=dict)
    """CVE to KBs."""
    replaces: dict[str, set[str]] = field(default_factory=dict)
    days: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, row: dict[str, str]) -> None:
        """Take in one line."""
        update = row["BulletinKB"]
        if update:
            self.mends.setdefault(row["CVE"], set()).add(update)
            self.replaces.setdefault(update, set()).update(one for one in row["Supersedes"].split(";") if one)
            self.days.setdefault(update, Counter())[row["DatePosted"]] += 1

    def day(self, update: str) -> str:
        """The day on which most of an update's lines were posted; some are posted again later."""
        return self.days[update].most_common(1)[0][0]

    def open(self, update: str) -> set[str]:
        """CVEs that a host with this update still has."""
        seen, waiting = {update}, [update]
        while waiting:
            fresh = self.replaces.get(waiting.pop(), set()) - seen
            seen |= fresh
            waiting += fresh
        day = self.day(update)
        return {
            cve
            for cve, every in self.mends.items()
            if cve.startswith("CVE-") and not every & seen and all(self.day(one) > day for one in every)
        }


def _table(file: Path) -> dict[str, _Product]:
    found = {product: _Product() for product, _, _ in HOSTS}
    with zipfile.ZipFile(file) as packed:
        name = next(one for one in packed.namelist() if one.startswith("CVEs_"))
        with packed.open(name) as raw:
            for row in csv.DictReader(io.TextIOWrapper(raw, "latin-1", newline="")):
                product = found.get(" ".join(row["AffectedProduct"].split()))
                if product is not None:
                    product.add(row)
    return found


def _told(listing: Listing, rows: Sequence[Candidate]) -> Open:
    found = windows.match(listing, rows)
    if isinstance(found, Unjudged):
        raise RuntimeError(found.reason)  # noqa: TRY004 - not a wrong type: a host that must be judged was not
    return by_cve(found)


def tallies(feeds: Path, place: Path) -> Iterator[Tally]:
    """One row a product and way of asking; nothing where the table or the feed is missing."""
    if not (feeds / TABLE).is_file() or not (feeds / "msrc-cvrf").is_dir():
        return
    table = _table(feeds / TABLE)
    (place / "windows").mkdir()
    with store(place / "windows", [feeds / "msrc-cvrf"]) as known:
        for product, line, hosts in HOSTS:
            key = (f"windows:{product}", product)
            rows = known.known([key])[key]
            builds, updates = (Tally(f"{product} by its {what}", "wesng's table") for what in ("build", "installed KB"))
            for revision, update in hosts:
                truth = {(cve, product) for cve in table[product].open(str(update))}
                asked = Listing("windows", f"{line}.{revision}", product)
                builds.add(truth, _told(asked, rows), asked.os_version)
                bare = Listing("windows", line, product, patches=(f"KB{update}",))
                updates.add(truth, _told(bare, rows), f"KB{update}")
            yield builds
            yield updates
