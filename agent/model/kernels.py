"""Which packages are kernels, and which of them is the one that runs (rule 2: only that one is judged).

Everything else that is built from a kernel's source (headers, tools, perf, libc-dev) is information:
it is no code that the host's kernel runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.model.facts import Package

_DPKG_SOURCE = re.compile(
    r"linux(?:-(?:signed|meta|restricted-modules|restricted-signatures))?"
    r"(?:-(?:aws|azure|gcp|gke|gkeop|hwe|ibm|kvm|lowlatency|oem|oracle|raspi\d?|riscv|snapdragon|bluefield|intel|iot|"
    r"nvidia|xilinx|realtime|amd64|arm64|i386)(?:-[a-z0-9.]+)*)?(?:-\d[a-z0-9.]*(?:-(?:amd64|arm64|i386))?)?"
)
_RPM_IMAGE = re.compile(
    r"kernel(?:-(?:rt|64k|16k|zfcpdump|debug|lt|ml|uek|aarch64|default|azure|plus|PAE|xen))*"
    r"(?:-(?:core|modules(?:-(?:core|extra|internal|partner))?))?"
)
_RPM_ASIDE = re.compile(
    r"kernel-(?:.*-)?(?:headers|devel(?:-matched)?|tools(?:-libs(?:-devel)?)?|doc|debuginfo.*|abi-.*|srpm-macros|source|"
    r"rpm-macros|cross-headers|selftests.*|kvm|macros|syms)|perf|python[23]?-perf|bpftool|rtla|rv|libperf(?:-devel)?|cpupower"
)
_RPM_SOURCE = re.compile(r"kernel(?:-(?:rt|uek|lt|ml|plus|aarch64|alt|default|azure))*")
_IMAGE = re.compile(r"linux-image-(?:unsigned-)?(?P<release>\d\S*)")


def source_name(source: str) -> str:
    """The source that advisories name: Debian and Ubuntu sign kernels in sources of their own.

    `linux-signed-amd64` is `linux`, `linux-signed-hwe-5.15` is `linux-hwe-5.15`, `linux-signed-6.1-arm64` `linux-6.1`.
    """
    if not source.startswith("linux-signed"):
        return source
    return "linux" + re.sub(r"-(?:amd64|arm64|i386)$", "", source.removeprefix("linux-signed"))


def of_kernel(package: Package) -> bool:
    """Whether it is built from a kernel's source: the kernel itself, its headers or tools."""
    if package.manager == "dpkg":
        return _DPKG_SOURCE.fullmatch(package.source) is not None or _IMAGE.fullmatch(package.name) is not None
    aside, image = _RPM_ASIDE.fullmatch(package.name), _RPM_IMAGE.fullmatch(package.name)
    return bool(aside or image or _RPM_SOURCE.fullmatch(package.source))


def release_of(package: Package) -> str:
    """`uname -r` of the kernel that this package holds; empty when it holds none."""
    if package.manager == "dpkg":
        hit = _IMAGE.fullmatch(package.name)
        return hit["release"].removesuffix("-dbg") if hit and not package.name.endswith("-dbg") else ""
    if not _RPM_IMAGE.fullmatch(package.name):
        return ""
    return (
        f"{package.version.rpartition(':')[2]}.{package.arch}" if package.arch else package.version.rpartition(":")[2]
    )


def runs(package: Package, kernel: str) -> bool:
    """Whether this package holds the running kernel, `uname -r` (`+debug`, `.debug` and the like are left out)."""
    release = release_of(package)
    if "-debug" in package.name and "debug" not in kernel:
        return False
    plain = re.sub(r"[+.](?:debug|rt|64k|16k)$", "", kernel)
    return bool(release) and (release in {kernel, plain} or (not package.arch and plain.startswith(f"{release}.")))


def aside(packages: Iterable[Package], kernel: str) -> list[Package]:
    """Packages of a kernel's source that are not the running kernel: information only."""
    return [one for one in packages if of_kernel(one) and not runs(one, kernel)]
