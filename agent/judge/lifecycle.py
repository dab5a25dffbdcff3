"""Whether a system, a server or a library is still mended by its maker. Pure: the table and the day are handed in.

General support (free fixes for everyone) and extended support (paid: RHEL ELS, Ubuntu ESM, Windows ESU; free but
narrower: Debian LTS) are told apart: who reads `Phase.EXTENDED` must know whether the extension is had.
A version that the table does not tell is unknown, never supported.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.model import streams
from agent.model.advisory import Lifecycle

NOTICE_DAYS = 180
"""An end that is no farther away is worth planning for."""

_SYSTEMS = {
    "almalinux": "almalinux", "alpine": "alpine-linux", "amazon": "amazon-linux", "anolis": "anolis",
    "centos": "centos", "centos-stream": "centos-stream", "debian": "debian", "euleros": "euleros",
    "fedora": "fedora", "kylin": "kylin-server", "openeuler": "openeuler", "opensuse": "opensuse",
    "opensuse-leap": "opensuse", "oracle": "oracle-linux", "rhel": "rhel", "rocky": "rocky-linux", "suse": "sles",
    "ubuntu": "ubuntu", "uos": "uos-server", "windows": "windows-server",
}  # fmt: skip
"""A stream's distribution to the table's product: endoflife.date's name, or ours where it has none."""
_SOFTWARE = {
    "activemq": "apache-activemq", "dm8": "dm", "elasticsearch": "elasticsearch", "etcd": "etcd",
    "haproxy": "haproxy", "httpd": "apache-http-server", "kafka": "apache-kafka", "kingbase": "kingbasees",
    "log4j": "log4j", "log4j-core": "log4j", "mariadb": "mariadb", "memcached": "memcached", "mongodb": "mongodb",
    "mysql": "mysql", "nginx": "nginx", "nodejs": "nodejs", "opengauss": "opengauss", "openssl": "openssl",
    "oracle": "oracle-database", "php": "php", "postgresql": "postgresql", "python": "python",
    "rabbitmq": "rabbitmq", "redis": "redis", "solr": "solr", "spring-beans": "spring-framework",
    "spring-boot": "spring-boot", "spring-core": "spring-framework", "spring-web": "spring-framework",
    "spring-webmvc": "spring-framework", "sqlserver": "mssqlserver", "squid": "squid", "struts2-core": "apache-struts",
    "tomcat": "tomcat", "tomcat-embed-core": "tomcat", "tongweb": "tongweb", "valkey": "valkey",
    "weblogic": "oracle-weblogic", "zookeeper": "zookeeper",
}  # fmt: skip
"""A product's kind (model.products) to the table's product."""
_PART = re.compile(r"\d+|[a-z]+")
_MASK = "5.5.5-"
"""What MariaDB puts before its version for old MySQL clients."""
_KINGBASE = re.compile(r"v0*(\d+)(?:r0*(\d+))?")

Parts = tuple[int | str, ...]


class Phase(StrEnum):
    """Where a cycle stands on the day that is asked for."""

    SUPPORTED = "supported"
    ENDING = "ending"
    """Supported, but for no more than NOTICE_DAYS."""
    EXTENDED = "extended"
    """General support has ended; extended support goes on."""
    ENDED = "ended"
    UNKNOWN = "unknown"

    @property
    def zh(self) -> str:
        """The word used in reports."""
        return {
            "supported": "在维护期内",
            "ending": "即将停止维护",
            "extended": "已停止公开维护，仅扩展支持",
            "ended": "已停止维护",
            "unknown": "维护期未知",
        }[self.value]


@dataclass(frozen=True, slots=True)
class Support:
    """What the table says of one version on one day."""

    product: str
    """The table's name; empty when the table has none for it."""
    version: str
    """As it was asked for."""
    phase: Phase
    cycle: str = ""
    eol: str = ""
    """ISO day on which general support ends or ended; empty when not told."""
    extended: str = ""
    """ISO day on which extended support ends or ended; empty when there is none or it is not told."""
    days: int | None = None
    """From today to the end of general support, or in Phase.EXTENDED of extended support; negative when past."""
    latest: str = ""
    """Newest version of the cycle."""
    source: str = ""
    checked: str = ""
    reason: str = ""
    """Why it is unknown, or on what an end without a day rests; Chinese, for the report."""


def system(
    os_id: str,
    os_version: str,
    os_name: str,
    known: Mapping[str, Sequence[Lifecycle]],
    today: dt.date,
    releases: Iterable[str] = (),
) -> Support:
    """The support of an operating system; arguments as for `streams.of_host`, then the table by product."""
    stream = next((one for choice in streams.of_host(os_id, os_version, os_name, releases) for one in choice), "")
    name, _, version = stream.partition(":")
    if name == "centos" and "stream" in os_name.lower():
        name = "centos-stream"
    product = _SYSTEMS.get(name, "")
    if name == "windows":
        return _support(product, os_name or os_version, _windows(os_version, os_name, known.get(product, ())), today)
    return _judged(product, version or os_version, known, today)


def software(kind: str, version: str, known: Mapping[str, Sequence[Lifecycle]], today: dt.date) -> Support:
    """The support of a server or library: kind as in model.products, version as it was read."""
    text = version.strip().lower().removeprefix(_MASK)
    if kind == "kingbase" and (hit := _KINGBASE.search(text)):
        text = f"v{hit[1]}" + (f"r{hit[2]}" if hit[2] else "")
    product = _SOFTWARE.get(kind, "")
    if kind == "sqlserver":
        return _support(product, version, _sqlserver(text, known.get(product, ())), today)
    return replace(_judged(product, text, known, today), version=version)


def products() -> tuple[str, ...]:
    """Every product of the table that judging may ask for, to be fetched in one batch."""
    return tuple(sorted({*_SYSTEMS.values(), *_SOFTWARE.values()}))


def _parts(version: str) -> Parts:
    """`22.03-lts-sp3` is (22, 3, lts, sp, 3); words before the first number are left out, but not `v`."""
    text = version.lower()
    hit = re.search(r"v?\d", text)
    return tuple(int(part) if part.isdecimal() else part for part in _PART.findall(text[hit.start() :])) if hit else ()


def _judged(product: str, version: str, known: Mapping[str, Sequence[Lifecycle]], today: dt.date) -> Support:
    cycles = known.get(product, ())
    asked = _parts(version)
    held = [(_parts(row.cycle), row) for row in cycles]
    fitting = [(parts, row) for parts, row in held if parts and asked[: len(parts)] == parts]
    if fitting:
        _, row = max(fitting, key=lambda one: (len(one[0]), bool(one[1].eol), one[1].checked))
        return _support(product, version, row, today)
    newer = min((one for one in held if _numeric(one[0]) and _before(asked, one[0])), key=_first, default=None)
    if newer:
        ended = _support(product, version, newer[1], today)
        if ended.phase in {Phase.ENDED, Phase.EXTENDED}:
            reason = f"未收录该版本，比它新的 {newer[1].cycle} 已停止维护"
            return Support(product, version, Phase.ENDED, source=ended.source, checked=ended.checked, reason=reason)
    reason = "生命周期表没有该产品" if not cycles else "生命周期表没有该版本" if asked else "版本未能读出"
    return Support(product, version, Phase.UNKNOWN, reason=reason)


def _numeric(parts: Parts) -> bool:
    return bool(parts) and all(isinstance(part, int) for part in parts)


def _first(held: tuple[Parts, Lifecycle]) -> Parts:
    return held[0]


def _before(asked: Parts, cycle: Parts) -> bool:
    """Whether the version, as far as it is numbers, is older than a cycle of numbers alone."""
    numbers: list[int] = []
    for part in asked:
        if not isinstance(part, int):
            break
        numbers.append(part)
    return bool(numbers) and tuple(numbers) < cycle


def _windows(build: str, name: str, cycles: Sequence[Lifecycle]) -> Lifecycle | None:
    """By the year in the product's name (`Windows Server 2012 R2`), else by the build, `10.0.14393.6351`."""
    hit = re.search(r"windows server,?\s*(?:version\s*)?(\d{4}|\d{2}h\d)(\s+r2)?", name.lower())
    if hit:
        wanted = hit[1] + ("-r2" if hit[2] else "")
        named = [row for row in cycles if row.cycle == wanted or row.cycle.startswith(f"{wanted}-")]
        named = [row for row in named if hit[2] or "-r2" not in row.cycle]
        return next((row for row in named if row.cycle == wanted), named[0] if named else None)
    numbers = build.split(".")[:3]
    same = [row for row in cycles if row.latest.split(".")[:3] == numbers]
    return next((row for row in same if not row.cycle.endswith("-sac")), same[0] if same else None)


def _sqlserver(version: str, cycles: Sequence[Lifecycle]) -> Lifecycle | None:
    """The service pack is told by the build alone: the first one whose newest build is not older."""
    asked = _parts(version)[:4]
    of_release = [
        (_parts(row.latest.split(" ")[0]), row)
        for row in cycles
        if asked[:2] and _parts(row.cycle)[:2] == asked[:2] and row.latest
    ]
    of_release.sort(key=lambda one: str(one[1].eol))
    fitting = [one for one in of_release if _numeric(one[0]) and _numeric(asked) and one[0] >= asked]
    if fitting:
        return min(fitting, key=lambda one: one[0])[1]
    return of_release[-1][1] if of_release else None


def _support(product: str, version: str, row: Lifecycle | None, today: dt.date) -> Support:
    if row is None:
        return Support(product, version, Phase.UNKNOWN, reason="生命周期表没有该版本")
    eol, extended = _day(row.eol), _day(row.extended)
    reason = ""
    if row.eol == "no" or (eol and today <= eol):
        days = (eol - today).days if eol else None
        phase = Phase.ENDING if days is not None and days <= NOTICE_DAYS else Phase.SUPPORTED
    elif not eol and row.eol != "yes":
        phase, days, reason = Phase.UNKNOWN, None, "生命周期表没有该版本的停止维护日期"
    elif extended and today <= extended:
        phase, days = Phase.EXTENDED, (extended - today).days
    else:
        phase, days = Phase.ENDED, (eol - today).days if eol else None
        reason = "" if eol else "停止维护的日期未公布"
    return Support(
        product,
        version,
        phase,
        cycle=row.cycle,
        eol=eol.isoformat() if eol else "",
        extended=extended.isoformat() if extended else "",
        days=days,
        latest=row.latest,
        source=row.source,
        checked=row.checked,
        reason=reason,
    )


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None
