"""AlmaLinux hosts "updated on day D": the dates of the advisories say what is open, no version is compared.

A host of day D has of each package the version that the newest advisory up to D brought to its stream. Open are
exactly the CVEs of which the package's stream saw its first advisory after D.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.flows.match import Matcher
from bench.truth_table import Open, Tally, by_cve, judge, records, store

FEED = "almalinux-osv/almalinux-osv.jsonl.zst"
DAYS = {
    "8": ("2020-06-30", "2021-06-30", "2022-05-31", "2023-06-30", "2024-06-30", "2025-06-30", "2026-06-30"),
    "9": ("2022-06-30", "2023-01-31", "2023-11-30", "2024-06-30", "2025-06-30", "2026-06-30"),
    "10": ("2025-07-31", "2025-12-31", "2026-06-30"),
}
ENABLED = (
    ("nodejs:18", "postgresql:13", "php:8.0", "container-tools:rhel8", "perl:5.32", "python39:3.9", "ruby:3.1",
     "mariadb:10.5", "redis:6", "nginx:1.22", "httpd:2.4", "virt:rhel", "idm:DL1", "mysql:8.0", "go-toolset:rhel8",
     "squid:4", "389-ds:1.4", "maven:3.6", "python27:2.7"),
    ("nodejs:20", "postgresql:15", "php:8.2", "container-tools:4.0", "perl:5.30", "python38:3.8", "ruby:3.3",
     "mariadb:10.3", "redis:7", "nginx:1.24", "httpd:2.4", "virt:rhel", "idm:client", "mysql:8.4", "go-toolset:rhel8",
     "squid:4", "rust-toolset:rhel8", "maven:3.8", "freeradius:3.0"),
    ("nodejs:12", "postgresql:12", "php:7.4", "container-tools:2.0", "ruby:2.5", "mariadb:10.11", "nginx:1.20",
     "postgresql:12", "nodejs:12", "inkscape:0.92.3", "gimp:2.8", "varnish:6", "python36:3.6", "subversion:1.10"),
    (),
)  # fmt: skip
"""Module streams that a host has enabled; the last has none."""
UNNAMED = {
    "ALSA-2023:5989": "varnish:6", "ALSA-2024:1690": "varnish:6", "ALSA-2024:4235": "389-ds:1.4",
    "ALSA-2024:4237": "go-toolset:rhel8", "ALSA-2024:4246": "container-tools:rhel8", "ALSA-2024:4367": "pki-core:10.6",
    "ALSA-2024:4499": "ruby:2.5",
}  # fmt: skip
"""Advisories whose summary leaves the stream out ("Moderate: ruby security update"), read by hand."""
NOTES = {"8": "the feed's dates run backwards for expat, php:7.4, squid:4 and containers-common"}
"""An older build was published after a newer one; all other differences of lists without labels are streams that share
their packages (idm:DL1 and idm:client) or a day's build (container-tools)."""
UNLISTED = "rpm -qa, unlisted builds"
PACKAGES = 600
_ASIDE = re.compile(
    r"kernel-(?!core$|uki-virt$|modules$|modules-core$|modules-extra$).*|perf|python3-perf|bpftool|rtla|rv|libperf"
)
"""Built from the kernel's source, yet not the kernel that runs."""
_KERNEL = re.compile(r"kernel|kernel-(?:core|uki-virt|modules|modules-core|modules-extra)")


@dataclass(frozen=True)
class _Fix:
    """One package's fix in one advisory."""

    order: tuple[str, int, str]
    """Day, then number: the order in which a mirror got them."""
    package: str
    version: str
    module: str
    cves: tuple[str, ...]


@dataclass
class _Release:
    fixes: dict[tuple[str, str], list[_Fix]] = field(default_factory=dict)
    """(package, module stream or none) to its fixes, oldest first."""

    def at(self, day: str, enabled: tuple[str, ...]) -> list[tuple[_Fix, list[_Fix]]]:
        """Installed packages of a host of that day, each with all fixes of its stream; the most mended first."""
        there: dict[str, tuple[_Fix, list[_Fix]]] = {}
        for (package, module), fixes in self.fixes.items():
            before = [one for one in fixes if one.order[0] <= day]
            if before and (not module or module in enabled) and (module or package not in there):
                there[package] = (before[-1], fixes)
        kept = sorted(there.values(), key=lambda one: (-len(one[1]), one[0].package))
        must = [one for one in kept if _KERNEL.fullmatch(one[0].package) or one[0].module]
        return (must + [one for one in kept if one not in must])[:PACKAGES]


def _releases(feeds: Path) -> dict[str, _Release]:
    found: dict[str, _Release] = {release: _Release() for release in DAYS}
    for record in records(feeds / FEED):
        number = int(re.sub(r"\D", "", record["id"].partition(":")[2]) or 0)
        day = record["published"][:10]
        # "php:8.0 ..." and "virt:rhel and virt-devel:rhel ..."; a package bears the first label
        named = re.findall(r"(?<![\w.:/-])((?!AL[SBE]A)[A-Za-z0-9][\w.+-]*:\w[\w.+-]*)", record["summary"])
        for entry in record["affected"]:
            release = entry["package"]["ecosystem"].partition(":")[2]
            (span,) = entry["ranges"]
            fixed = span["events"][1]["fixed"]
            modular = ".module" in fixed
            if modular and not named:
                named = [UNNAMED[record["id"]]] if record["id"] in UNNAMED else []
            if modular and not named:
                continue
            fix = _Fix(
                (day, number, record["id"]),
                entry["package"]["name"],
                fixed,
                named[0] if modular else "",
                tuple(one for one in record.get("related", ()) if one.startswith("CVE-")),
            )
            found[release].fixes.setdefault((fix.package, fix.module), []).append(fix)
    for release in found.values():
        for fixes in release.fixes.values():
            fixes.sort(key=lambda one: one.order)
    return found


def _open(host: list[tuple[_Fix, list[_Fix]]], day: str) -> Open:
    """What the dates say."""
    truth: Open = set()
    for installed, fixes in host:
        if _ASIDE.fullmatch(installed.package):
            continue
        first: dict[str, _Fix] = {}
        for one in fixes:
            for cve in one.cves:
                first.setdefault(cve, one)
        truth |= {
            (cve, installed.package)
            for cve, one in first.items()
            if one.order[0] > day and _plain(one.version) != _plain(installed.version)
        }
    return truth


def _plain(version: str) -> str:
    """A module is rebuilt whole: a package that is listed with the version that it had was not mended."""
    return re.sub(r"\.module_el[^+]*[+]\d+[+][0-9a-f]+", "", version)


def _source(package: str, version: str) -> str:
    bare = version.rpartition(":")[2]
    name = "kernel" if _KERNEL.fullmatch(package) or _ASIDE.fullmatch(package) else package
    return f"{name}-{bare}.src.rpm"


def _unlisted(bare: str) -> str:
    """A modular version as a bug-fix build between two advisories would have it: neither it nor its build is known."""
    changed = re.sub(r"(\.module_el[^+]*)[+]\d+[+][0-9a-f]+", r"\1+99999+0f0f0f0f", bare)
    return changed if changed == bare else f"{changed}.0"


def _forms(host: list[tuple[_Fix, list[_Fix]]], major: str) -> dict[str, str]:
    """The same packages as four commands print them."""
    forms: dict[str, list[str]] = {
        "full query": [],
        "query without label": [],
        "query to ARCH": [],
        "rpm -qa": [],
        UNLISTED: [],
    }
    for one, _ in host:
        epoch, _, bare = one.version.rpartition(":")
        version, _, release = bare.partition("-")
        label = f"{one.module}:{major}0900020240101000000:489197e6" if one.module else "(none)"
        row = f"{one.package} {epoch or 0} {version} {release} x86_64"
        source = _source(one.package, one.version)
        forms["full query"].append(f"{row} {source} {label}")
        forms["query without label"].append(f"{row} {source}")
        forms["query to ARCH"].append(row)
        forms["rpm -qa"].append(f"{one.package}-{bare}.x86_64")
        forms[UNLISTED].append(f"{one.package}-{_unlisted(bare)}.x86_64")
    return {name: "\n".join(lines) + "\n" for name, lines in forms.items()}


def tallies(feeds: Path, place: Path) -> Iterator[Tally]:
    """A row for each release and form."""
    releases = _releases(feeds)
    with store(place / "alma", [feeds / FEED]) as opened:
        matcher = Matcher(opened)
        for major, days in DAYS.items():
            rows: dict[str, Tally] = {}
            for day in days:
                for number, enabled in enumerate(ENABLED):
                    host = releases[major].at(day, enabled)
                    if not host:
                        continue
                    kernel = next((one.version for one, _ in host if one.package == "kernel-core"), "")
                    truth = _open(host, day)
                    for form, text in _forms(host, major).items():
                        name = f"AlmaLinux {major}, {form}"
                        row = rows.setdefault(form, Tally(name, "dates of the advisories", note=NOTES.get(major, "")))
                        told = judge(matcher, text, "almalinux", f"{major}.9", kernel=f"{kernel}.x86_64")
                        row.add(truth, by_cve(told), f"{form}/{day}/{number}")
            yield from rows.values()
