"""Builds of Windows: which product has which, and which build an update brought before Microsoft's feed said so. Pure.

The security feed gives fixed builds from spring 2021 on. For Windows Server 2016 and 2019 the older ones are told here,
out of Microsoft's update histories (support.microsoft.com, "Windows 10, version 1607 / 1809 and Windows Server update
history": each update's page bears its KB and OS build).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SP2 = 6003
"""Server 2008 with its last service pack."""
SERVERS: Mapping[int, str] = {
    26100: "Windows Server 2025",
    25398: "Windows Server 2022, 23H2 Edition (Server Core installation)",
    20348: "Windows Server 2022",
    19042: "Windows Server, version 20H2 (Server Core Installation)",
    19041: "Windows Server, version 2004 (Server Core installation)",
    18363: "Windows Server, version 1909 (Server Core installation)",
    18362: "Windows Server, version 1903 (Server Core installation)",
    17763: "Windows Server 2019",
    17134: "Windows Server, version 1803 (Server Core Installation)",
    16299: "Windows Server, version 1709 (Server Core Installation)",
    14393: "Windows Server 2016",
    9600: "Windows Server 2012 R2",
    9200: "Windows Server 2012",
    7601: "Windows Server 2008 R2 for x64-based Systems Service Pack 1",
    6003: "Windows Server 2008 for x64-based Systems Service Pack 2",
    6002: "Windows Server 2008 for x64-based Systems Service Pack 2",
}
"""Microsoft's exact name of the server of a build."""
CLIENTS: Mapping[int, str] = {
    28000: "Windows 11 version 26H1 for x64-based Systems",
    26200: "Windows 11 Version 25H2 for x64-based Systems",
    26100: "Windows 11 Version 24H2 for x64-based Systems",
    22631: "Windows 11 Version 23H2 for x64-based Systems",
    22621: "Windows 11 Version 22H2 for x64-based Systems",
    22000: "Windows 11 version 21H2 for x64-based Systems",
    19045: "Windows 10 Version 22H2 for x64-based Systems",
    19044: "Windows 10 Version 21H2 for x64-based Systems",
    19043: "Windows 10 Version 21H1 for x64-based Systems",
    19042: "Windows 10 Version 20H2 for x64-based Systems",
    19041: "Windows 10 Version 2004 for x64-based Systems",
    18363: "Windows 10 Version 1909 for x64-based Systems",
    18362: "Windows 10 Version 1903 for x64-based Systems",
    17763: "Windows 10 Version 1809 for x64-based Systems",
    17134: "Windows 10 Version 1803 for x64-based Systems",
    16299: "Windows 10 Version 1709 for x64-based Systems",
    15063: "Windows 10 Version 1703 for x64-based Systems",
    14393: "Windows 10 Version 1607 for x64-based Systems",
    10586: "Windows 10 Version 1511 for x64-based Systems",
    10240: "Windows 10 for x64-based Systems",
}
"""Microsoft's exact name of the client of a build."""
TWINS: Mapping[int, int] = {
    18363: 18362, 19042: 19041, 19043: 19041, 19044: 19041, 19045: 19041, 22631: 22621, 26200: 26100,
}  # fmt: skip
"""Builds that are one system with features switched on: their updates count alike."""


def _kbs(text: str) -> dict[str, int]:
    words = text.split()
    return {f"KB{update}": int(revision) for update, revision in zip(words[::2], words[1::2], strict=True)}


BROUGHT: Mapping[int, Mapping[str, int]] = {
    14393: _kbs(
        "3189866 187 3194798 321 3200970 447 3206632 576 3213986 693 4013429 953 4015217 1066 4019472 1198"
        " 4022715 1358 4025339 1480 4034658 1593 4038782 1715 4041691 1770 4048953 1884 4053579 1944 4056890 2007"
        " 4074590 2068 4088787 2125 4093119 2189 4103723 2248 4284880 2312 4338814 2363 4345418 2368 4343887 2430"
        " 4457131 2485 4462917 2551 4467691 2608 4471321 2665 4483229 2670 4480961 2724 4487026 2791 4487006 2828"
        " 4489882 2848 4493470 2906 4494440 2969 4503267 3025 4507460 3085 4512517 3144 4516044 3204 4522010 3206"
        " 4524152 3243 4519998 3274 4525236 3326 4530689 3384 4534271 3443 4537764 3504 4540670 3564 4550929 3630"
        " 4556813 3686 4561616 3750 4565511 3808 4571694 3866 4577015 3930 4580346 3986 4586830 4046 4593226 4104"
        " 4598243 4169 4601318 4225 5000803 4283 5001347 4350"
    ),
    17763: _kbs(
        "4464330 55 4467708 134 4471332 194 4483235 195 4480116 253 4487044 316 4489899 379 4493509 437 4494441 503"
        " 4503327 557 4507469 615 4511553 678 4512578 737 4524148 775 4519338 805 4523205 864 4530715 914 4534273 973"
        " 4532691 1039 4538461 1098 4549949 1158 4551853 1217 4561608 1282 4558998 1339 4565349 1397 4570333 1457"
        " 4577668 1518 4586793 1577 4592440 1637 4598230 1697 4601345 1757 5000822 1817 5001342 1879"
    ),
}
"""Build to the UBR that a cumulative update brought; used where the feed gives none."""
_VERSION = re.compile(r"(?:\d{1,2}\.\d\.)?(\d{4,5})(?:\.(\d{1,6}))?")
_CORE = "(Server Core installation)"
_EXACT = re.compile(r"Windows .* for (?:x64|32-bit|ARM64|Itanium)\S* systems.*", re.IGNORECASE)
_YEARS = {"2008": SP2, "2008 r2": 7601, "2012": 9200, "2012 r2": 9600, "2016": 14393, "2019": 17763, "2022": 20348,
          "2025": 26100}  # fmt: skip
_SHORT = {"1709": 16299, "1803": 17134, "1903": 18362, "1909": 18363, "2004": 19041, "20h2": 19042, "23h2": 25398}


def numbers(version: str) -> tuple[int, int | None] | None:
    """Build and UBR of `10.0.14393.6351`, `14393.6351` or `10.0.14393`; None when it is no Windows version."""
    hit = _VERSION.fullmatch(version.strip())
    return (int(hit[1]), int(hit[2]) if hit[2] else None) if hit else None


def exact_product(name: str, version: str) -> str:
    """Microsoft's name of the product, out of what a user, the registry or WMI calls it and the build.

    `Microsoft Windows Server 2016 Datacenter` is Windows Server 2016, `Windows 10 Pro` on build 22631 is
    `Windows 11 Version 23H2 for x64-based Systems`. A server of a stated year keeps that year whatever the build
    (`match` then refuses a build that is not its own).

    Returns:
        The name itself, blanks folded, when it is nothing we know; empty for an empty name.
    """
    plain = " ".join(re.sub(r"\((?:r|tm)\)|[®™]", " ", name, flags=re.IGNORECASE).split())
    plain = re.sub(r"^Microsoft (?=Windows|Hyper-V)", "", plain, flags=re.IGNORECASE)
    found = numbers(version)
    build = found[0] if found else 0
    lower = plain.lower()
    if "server" in lower and lower.startswith(("windows", "hyper-v")) and " on windows " not in lower:
        return _server(plain, lower, build)
    if lower.startswith(("windows 10", "windows 11")) and not _EXACT.fullmatch(plain) and build in CLIENTS:
        return CLIENTS[build]
    return next((one for one in CLIENTS.values() if one.lower() == lower), plain)


def _server(plain: str, lower: str, build: int) -> str:
    year = re.search(r"server[, ]+(20\d\d)(\s+r2)?(?!\d)", lower)
    # version 2004 is no year, and the 23H2 edition of 2022 is a system of its own
    short = re.search(r"\b(1709|1803|1903|1909|2004|20h2|23h2)\b", lower)
    if short:
        return SERVERS[_SHORT[short[1]]]
    if not year:
        return SERVERS.get(build, plain)
    known = _YEARS.get(year[1] + (" r2" if year[2] else ""))
    if known is None:
        return plain
    exact = SERVERS[known]
    if "itanium" in lower:
        return plain
    if known == _YEARS["2008"] and re.search(r"32-?bit|x86", lower):
        exact = exact.replace("x64-based", "32-bit")
    core = re.search(r"\bcore\b|hyper-v server", lower)
    return f"{exact} {_CORE}" if core else exact
