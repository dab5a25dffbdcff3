"""openEuler: scan reports of others said which package needed which version; advisories' numbers say in what order.

A host that has the version of one advisory has open exactly the later ones of that package. Headers of the kernel,
of which the reports are full, are no finding (rule 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from agent.flows.match import Matcher
from bench.truth_table import Open, Tally, judge, records, store

FEED = "openeuler/openeuler-sa-fixed.jsonl.zst"
EPOCHS = {"vim": 2, "bind": 32, "openssl": 1, "perl": 4, "dhcp": 12, "shadow": 2, "dbus": 1}
"""Epochs of openEuler's packages, by the beginning of the name: its advisories leave them out."""
STEPS = 12


def _number(advisory: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", advisory)))


def _systems(feeds: Path) -> dict[str, dict[str, list[tuple[str, str]]]]:
    """System to package to (advisory, fixed), in the order in which they came."""
    found: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for one in records(feeds / FEED):
        if one["os"]:
            found.setdefault(one["os"], {}).setdefault(one["package"], []).append((one["advisory"], one["fixed"]))
    for packages in found.values():
        for fixes in packages.values():
            fixes.sort(key=lambda one: _number(one[0]))
    return found


def _host(packages: dict[str, list[tuple[str, str]]], step: int, tag: str) -> tuple[str, str, Open]:
    """The full query and the bare one of a host that has taken `step` fixes of each package, and what is open."""
    full, bare = [], []
    truth: Open = set()
    for name, fixes in packages.items():
        # before the first fix: a build that came before it
        installed = fixes[step - 1][1] if 0 < step <= len(fixes) else fixes[0][1] + "~0" if step == 0 else fixes[-1][1]
        version, _, release = installed.rpartition("-")
        epoch = next((number for begin, number in EPOCHS.items() if name.startswith(begin)), 0)
        full.append(f"{name} {epoch} {version} {release}.{tag} x86_64 {name}-{version}-{release}.{tag}.src.rpm (none)")
        bare.append(f"{name}-{version}-{release}.{tag}.x86_64")
        if not name.startswith("kernel"):
            truth |= {(advisory, name) for advisory, fixed in fixes[step:] if fixed != installed}
    return "\n".join(full), "\n".join(bare), truth


def tallies(feeds: Path, place: Path) -> Iterator[Tally]:
    """A row for each form of the list."""
    rows = {form: Tally(f"openEuler, {form}", "others' scan reports") for form in ("full query", "rpm -qa")}
    with store(place / "openeuler", [feeds / FEED]) as opened:
        matcher = Matcher(opened)
        for system, packages in _systems(feeds).items():
            version = system.removeprefix("openEuler-")
            plain = re.sub(r"\D", "", version.partition("-")[0])
            tag = f"oe{plain}" + "".join(re.findall(r"-(SP\d)", version)).lower()
            name = f"{version.partition('-')[0]} ({version.partition('-')[2]})"
            for step in range(STEPS):
                full, bare, truth = _host(packages, step, tag)
                for form, text in (("full query", full), ("rpm -qa", bare)):
                    told = judge(matcher, text, "openEuler", version.partition("-")[0], os_name=f"openEuler {name}")
                    rows[form].add(truth, {(one.advisory, one.package) for one in told}, f"{form}/{system}/{step}")
    yield from rows.values()
