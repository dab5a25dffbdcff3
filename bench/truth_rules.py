"""Hand-made systems, a row for each of the eight rules and for each family: fictional CVEs, the real formats.

Each case is a small feed, a list as rpm or dpkg prints it, and what a person who knows the distribution answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.flows.match import Matcher
from bench.truth_cases_deb import DEBIAN, UBUNTU
from bench.truth_cases_rpm import CENTOS, ENTERPRISE, MODULES, OPENEULER
from bench.truth_table import Tally, by_cve, judge, store

SYSTEMS = (DEBIAN, UBUNTU, ENTERPRISE, MODULES, CENTOS, OPENEULER)


def _write(place: Path, feeds: dict[str, Any]) -> list[Path]:
    place.mkdir(parents=True, exist_ok=True)
    for name, content in feeds.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (place / name).write_text(text, encoding="utf-8")
    return [place / name for name in feeds]


def tallies(feeds: Path, place: Path) -> Iterator[Tally]:  # noqa: ARG001 - every set is called alike
    """A row for each family."""
    for number, system in enumerate(SYSTEMS):
        row = Tally(system.name, "by hand")
        paths = _write(place / f"rules-{number}-feeds", system.feeds)
        with store(place / f"rules-{number}", paths) as opened:
            matcher = Matcher(opened)
            for case in system.cases:
                text = case.text if case.text.startswith(("Package:", "Desired")) else _stripped(case.text)
                found = judge(matcher, text, *system.system, os_name=system.pretty, kernel=case.kernel)
                row.add({(cve, name) for name, cves in case.right.items() for cve in cves}, by_cve(found), case.name)
        yield row


def _stripped(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines()) + "\n"
