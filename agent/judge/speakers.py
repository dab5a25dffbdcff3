"""Who says it: how much each authority weighs, how sure a match by it is, and CVE ids in their order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.model.advisory import Authority, Confidence

if TYPE_CHECKING:
    from collections.abc import Iterable

SURE = {
    Authority.VENDOR: Confidence.VENDOR,
    Authority.CUSTOMER: Confidence.VENDOR,
    Authority.CHANGELOG: Confidence.CHANGELOG,
    Authority.THIRD_PARTY: Confidence.CPE_EXACT,
    Authority.NVD: Confidence.CPE_EXACT,
}
"""How sure a match is that this authority supports."""
WEIGHT = {authority: rank for rank, authority in enumerate(Authority)}
"""0 weighs the most."""


def cve_order(cve: str) -> tuple[int, int, str]:
    """Sort key of CVE ids: year, then number."""
    hit = re.fullmatch(r"CVE-(\d{4})-(\d{4,15})", cve)
    return (int(hit[1]), int(hit[2]), cve) if hit else (0, 0, cve)


def named(ids: Iterable[str]) -> tuple[str, ...]:
    """The CVE ids among what an advisory speaks of, in order."""
    return tuple(sorted((one for one in ids if one.startswith("CVE-")), key=cve_order))
