"""Names of streams: one spelling for every operating system that feeds and hosts call by many names.

A stream is `DISTRIBUTION:VERSION` in lower case, as far as advisories tell versions apart: `debian:12`,
`ubuntu:22.04`, `rhel:8`, `rhel-eus:8.4`, `openeuler:22.03-lts-sp3`, `kylin:v10-sp3`. Beside them stand
`windows:PRODUCT` (Microsoft's exact name), `maven`, `npm` ... (OSV's language ecosystems) and `cpe`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

DEBIAN = {
    "buzz": "1.1", "rex": "1.2", "bo": "1.3", "hamm": "2.0", "slink": "2.1", "potato": "2.2", "woody": "3.0",
    "sarge": "3.1", "etch": "4", "lenny": "5", "squeeze": "6", "wheezy": "7", "jessie": "8", "stretch": "9",
    "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14", "duke": "15", "sid": "sid",
}  # fmt: skip
"""Code name to version (debian.org/releases)."""
UBUNTU = {
    "trusty": "14.04", "xenial": "16.04", "bionic": "18.04", "focal": "20.04", "groovy": "20.10", "hirsute": "21.04",
    "impish": "21.10", "jammy": "22.04", "kinetic": "22.10", "lunar": "23.04", "mantic": "23.10", "noble": "24.04",
    "oracular": "24.10", "plucky": "25.04", "questing": "25.10", "precise": "12.04",
}  # fmt: skip
"""Code name to version (wiki.ubuntu.com/Releases)."""
_MAJOR = {"rhel", "centos", "almalinux", "rocky", "oracle", "anolis", "debian", "fedora"}
"""Distributions whose advisories count by the major version."""
_SAME = {
    "red hat": "rhel", "redhat": "rhel", "red hat enterprise linux": "rhel", "enterprise_linux": "rhel",
    "enterprise linux": "rhel", "alma": "almalinux", "alma linux": "almalinux", "rocky linux": "rocky",
    "rockylinux": "rocky", "ol": "oracle", "oracle linux": "oracle", "oracle linux server": "oracle",
    "oraclelinux": "oracle", "linux": "", "anolis os": "anolis", "anolisos": "anolis", "centos linux": "centos",
    "centos stream": "centos-stream", "uniontech": "uos", "uniontech os": "uos", "uniontech os server": "uos",
    "uos server": "uos", "kylin linux advanced server": "kylin", "kylin server": "kylin", "neokylin": "kylin",
    "kylin_linux_advanced_server": "kylin", "debian gnu/linux": "debian", "amzn": "amazon", "amazon linux": "amazon",
    "opensuse": "opensuse", "sles": "suse", "suse linux enterprise server": "suse", "huaweicloud euleros": "euleros",
    "debian_linux": "debian", "ubuntu_linux": "ubuntu",
    "anolis_os": "anolis", "almalinux os": "almalinux", "windows": "windows",
}  # fmt: skip
_SIBLINGS = {
    "centos": ("centos", "rhel", "almalinux", "rocky", "oracle"),
    "rhel": ("rhel", "almalinux", "rocky"),
    "rocky": ("rocky", "almalinux", "rhel"),
    "almalinux": ("almalinux", "rocky", "rhel"),
    "oracle": ("oracle", "rhel"),
}
"""Rebuilds of one source: where a feed of the first is missing, the next one's fixes are the same packages."""


def join(distribution: str, version: str) -> str:
    """The stream of a distribution and a version in any spelling; empty when one of them says nothing."""
    name = distribution.strip().lower()
    name = _SAME.get(name, name.replace(" ", "-"))
    text = re.sub(r"[\s_()/]+", "-", version.strip().lower()).strip("-")
    if name == "windows":
        return f"windows:{version.strip()}" if version.strip() else ""
    if name == "debian":
        text = DEBIAN.get(text, text)
    if name in {"ubuntu", "ubuntu-pro"}:
        hit = re.search(r"\d{1,2}\.\d{2}", text)
        text = hit[0] if hit else next((number for code, number in UBUNTU.items() if code in text.split("-")), "")
    if name == "openeuler":
        text = _openeuler(text)
    if name in {"kylin", "uos", "euleros"}:
        text = _chinese(name, text)
    if name in _MAJOR:
        text = text.removeprefix("v").partition(".")[0].partition("-")[0]
    return f"{name}:{text}" if name and text else ""


def _openeuler(text: str) -> str:
    hit = re.search(r"(\d{2}\.\d{2})(?:-?(lts))?(?:-?(sp\d+))?", text.replace("openeuler-", ""))
    return "-".join(part for part in hit.groups() if part) if hit else text


def _chinese(name: str, text: str) -> str:
    """`v10-sp3-2403` and `10-sp3` are v10-sp3; `20-1060e` is 20-1060; `2.0-sp8` stays."""
    pack = re.search(r"\bsp\s?-?(\d+)", text)
    if name == "kylin":
        main = re.search(r"v?(\d+)", text)
        known = {"tercel": "1", "sword": "2", "lance": "3"}
        number = pack[1] if pack else next((found for word, found in known.items() if word in text), "")
        return (f"v{main[1]}" + (f"-sp{number}" if number else "")) if main else text
    if name == "uos":
        main, build = re.search(r"v?(\d{2})\b", text), re.search(r"\b(10\d\d)", text)
        return "-".join(hit[1] for hit in (main, build) if hit) or text
    main = re.search(r"\d+(?:\.\d+)?", text)
    return (main[0] + (f"-sp{pack[1]}" if pack else "")) if main else text


def of_osv(ecosystem: str) -> str:
    """The stream of an OSV `ecosystem` (ossf.github.io/osv-schema, affected[].package).

    `AlmaLinux:8`, `Debian:12`, `Ubuntu:22.04:LTS`, `Ubuntu:Pro:18.04:LTS`, `Rocky Linux:9`, `openEuler:24.03-LTS`,
    `Red Hat:enterprise_linux:8::appstream`, `Red Hat:rhel_eus:8.4::baseos`; `Maven` is `maven`.
    """
    name, _, rest = ecosystem.partition(":")
    if name == "Red Hat":
        return of_cpe(f"cpe:/o:redhat:{rest}")
    if name == "Ubuntu":
        hit = re.fullmatch(r"(Pro:)?(\d{2}\.\d{2})(?::LTS)?", rest)
        if hit:
            return join("ubuntu-pro" if hit[1] else "ubuntu", hit[2])
        return (
            f"ubuntu-{rest.lower().replace(':', '-')}" if rest else "ubuntu"
        )  # FIPS, Realtime, Bluefield: builds apart
    if not rest:
        return name.lower()
    return join(name, rest.split(":")[0])


_LAYERED = {"hypervisor", "fastdatapath"}
"""Editions of Enterprise Linux in Red Hat's CPEs that are products of their own, on builds of their own."""


def of_cpe(cpe: str) -> str:  # noqa: PLR0911 - one vendor, one way to say it
    """The stream of an operating system's CPE, 2.2 or 2.3; empty for one that is no system we know.

    Red Hat: the main stream of a major version is `rhel:8`; extended ones keep their minor version (`rhel-eus:8.4`,
    `rhel-aus:7.7`, `rhel-tus:8.4`, `rhel-e4s:8.6`, `rhel-els:7`); layered products (`rhel_software_collections`,
    `openshift`, ...) have no stream.
    """
    parts = cpe.lower().removeprefix("cpe:2.3:").removeprefix("cpe:/").replace("\\", "").split(":")
    if len(parts) < 4:  # noqa: PLR2004 - part, vendor, product, version
        return ""
    vendor, product, version = parts[1:4]
    if product in {"openeuler", "kylin_linux_advanced_server"}:
        return join(product, "-".join(part for part in parts[3:5] if part not in {"*", "-"}))
    if vendor == "redhat":
        return _redhat(product, version, set(parts[4:]))
    names = {"almalinux", "rocky", "rocky_linux", "debian_linux", "ubuntu_linux", "anolis_os", "centos"}
    if vendor == "oracle" and product == "linux":
        return join("oracle", version)
    if vendor == "suse" and product.startswith("sle"):
        pack = parts[4].removeprefix("sp") if len(parts) > 4 and parts[4].startswith("sp") else ""  # noqa: PLR2004
        return join("suse", f"{version}.{pack}" if pack else version)
    if vendor == "opensuse":
        return join(f"opensuse-{product}", version)
    return (
        join(product.replace("_linux", "") if "ubuntu" not in product else product, version) if product in names else ""
    )


def _redhat(product: str, version: str, editions: set[str]) -> str:
    if product == "enterprise_linux":
        return "" if _LAYERED & editions else join("rhel", version)
    kind = re.fullmatch(r"(?:rhel|enterprise_linux)_(eus|aus|tus|e4s|els|eus_long_life|extras)", product)
    if not kind:
        return ""
    if kind[1] == "extras":
        return join("rhel", version)
    return f"rhel-els:{version.partition('.')[0]}" if kind[1] == "els" else f"rhel-{kind[1][:3]}:{version}"


def of_name(text: str) -> str:
    """The stream of a platform's name as feeds print it; empty when it is none that we know.

    `Red Hat Enterprise Linux 8`, `openEuler-22.03-LTS-SP3`, `Oracle Linux 7`, `Debian GNU/Linux 12 (bookworm)`,
    `Ubuntu 22.04 LTS (jammy)`, `Anolis OS 23`, `Kylin Linux Advanced Server V10 SP3`, `CentOS Linux 7`.
    """
    words = text.strip().lower()
    hit = re.match(
        r"(red hat enterprise linux|debian gnu/linux|debian|ubuntu|oracle linux(?: server)?|openeuler|anolis os|"
        r"centos(?: linux| stream)?|almalinux|rocky linux|kylin linux advanced server|kylin|uniontech os server|"
        r"uniontech os|uos|euleros|amazon linux|fedora)\b[\s:_-]*(.+)",
        words,
    )
    if not hit:
        return ""
    version = hit[2]
    if hit[1].startswith(("red hat", "oracle", "centos", "alma", "rocky", "anolis")):
        number = re.search(r"\d+(?:\.\d+)*", version)
        version = number[0] if number else ""
    if hit[1].startswith("debian"):
        version = version.split(" ")[0]
    return join(hit[1], version)


_DIST: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"\.oe(\d{2})(\d{2})(sp\d)?\b", lambda hit: f"openeuler:{hit[1]}.{hit[2]}-lts" + (f"-{hit[3]}" if hit[3] else "")),
)


def of_packages(distribution: str, releases: Iterable[str]) -> str:
    """The stream that most package releases bear (`.oe2203sp3`), for systems whose VERSION_ID hides the pack."""
    counts: dict[str, int] = {}
    for release in releases:
        for pattern, name in _DIST:
            hit = re.search(pattern, release)
            if hit and name(hit).startswith(f"{distribution}:"):
                counts[name(hit)] = counts.get(name(hit), 0) + 1
    return max(counts, key=lambda one: counts[one]) if counts else ""


def of_host(
    os_id: str, os_version: str, os_name: str = "", releases: Iterable[str] = ()
) -> tuple[tuple[str, ...], ...]:
    """Streams of a system, the first choice first; each choice is a tuple of streams to be read together.

    Args:
        os_id: ID of os-release in any case.
        os_version: VERSION_ID, or VERSION with its pack (`22.03 (LTS-SP3)`, `V10 (Lance)`); a minor version falls
            back to its stream.
        os_name: PRETTY_NAME, which often alone tells the pack; Windows: the exact product.
        releases: versions of installed packages, whose dist tag tells openEuler's pack.

    Returns:
        E.g. for CentOS 7: `(("centos:7",), ("rhel:7",), ...)`: matching takes the first that a feed speaks of.
    """
    name = os_id.strip().lower()
    name = _SAME.get(name, name)
    if name == "windows":
        return ((f"windows:{os_name}",),)
    found = [join(name, os_version)]
    if name in {"openeuler", "kylin", "uos", "euleros", "anolis"}:
        better = [of_packages(name, releases)] if name == "openeuler" else []
        better.append(join(name, os_name) if re.search(r"\d", os_name) else "")
        plain = found[0]
        found = [*[one for one in better if one.startswith(plain) and len(one) > len(plain)][:1], plain]
        if name == "openeuler" and "lts" not in plain:
            found.append(f"{plain}-lts")
        if name in {"kylin", "uos"}:
            found.append(plain.partition("-")[0])
    if name == "ubuntu":
        return ((found[0], found[0].replace("ubuntu:", "ubuntu-pro:")),)
    if name in _SIBLINGS:
        major = found[0].partition(":")[2]
        return tuple((f"{sibling}:{major}",) for sibling in _SIBLINGS[name])
    return tuple((one,) for one in dict.fromkeys(found) if one)


_PRODUCTS = {
    "nginx:nginx": "f5:nginx", "igor_sysoev:nginx": "f5:nginx", "f5:nginx_open_source": "f5:nginx",
    "redislabs:redis": "redis:redis", "pivotal_software:redis": "redis:redis", "redis_labs:redis": "redis:redis",
    "oracle:mysql_server": "oracle:mysql", "mysql:mysql": "oracle:mysql", "openssl_project:openssl": "openssl:openssl",
    "pivotal_software:spring_framework": "vmware:spring_framework", "springsource:spring_framework":
    "vmware:spring_framework", "pivotal:spring_framework": "vmware:spring_framework",
    "bea:weblogic_server": "oracle:weblogic_server", "apache:apache_http_server": "apache:http_server",
    "apache_tomcat:apache_tomcat": "apache:tomcat", "jakarta:tomcat": "apache:tomcat",
    "spring:spring_framework": "vmware:spring_framework", "postgresql:postgresql_server": "postgresql:postgresql",
}  # fmt: skip


def product(cpe: str) -> str:
    """`vendor:product` of an application's CPE, older spellings brought to one; empty when it is not for one."""
    parts = re.split(r"(?<!\\):", cpe.removeprefix("cpe:2.3:").removeprefix("cpe:/"))
    if len(parts) < 3 or parts[2] in {"", "*", "-"}:  # noqa: PLR2004 - part, vendor, product
        return ""
    name = f"{parts[1]}:{parts[2]}".lower().replace("\\", "")
    return _PRODUCTS.get(name, name)
