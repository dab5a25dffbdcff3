"""Which packages are kernels, and which of them is the one that runs (rule 2: only that one is judged).

Everything else that is built from a kernel's source (headers, tools, perf, libc-dev) is information:
it is no code that the host's kernel runs.
"""

from __future__ import annotations

import re

from agent.model.facts import Package

_DPKG_SOURCE = re.compile(
    r"linux(?:-(?:signed|meta|restricted-modules|restricted-signatures))?"
    r"(?:-(?:aws|azure|gcp|gke|gkeop|hwe|ibm|kvm|lowlatency|oem|oracle|raspi\d?|riscv|snapdragon|bluefield|intel|iot|"
    r"nvidia|xilinx|realtime|amd64|arm64|i386)(?:-[a-z0-9.]+)*)?(?:-\d[a-z0-9.]*(?:-(?:amd64|arm64|i386))?)?"
)
_RPM_IMAGE = re.compile(
    r"kernel(?:-(?:rt|64k|16k|zfcpdump|debug|lt|ml|uek|aarch64|default|azure|plus|PAE|xen))*"
    r"(?:-(?:core|uki-virt|modules(?:-(?:core|extra|internal|partner))?))?"
)
_RPM_ASIDE = re.compile(r"kernel-.+|perf|python[23]?-perf|bpftool|rtla|rv|libperf(?:-devel)?|cpupower")
_RPM_SOURCE = re.compile(r"kernel(?:-(?:rt|uek|lt|ml|plus|aarch64|alt|default|azure))*")
_MARKS = {"debug", "rt", "64k", "zfcpdump", "PAE", "xen"}
"""Builds beside the plain one, of the same release: `uname -r` ends in `+64k`, `+rt-debug`; CentOS 7 has `.debug`."""
_UBUNTU_IMAGE = re.compile(
    r"linux-image-(?:unsigned-)?(?P<series>\d+\.\d+)\.\d+-\d+-"
    r"(?P<flavour>generic|lowlatency|aws|azure|gcp|gke|gkeop|ibm|kvm|nvidia|oem|oracle|raspi)(?:-\w+)?"
)
_IMAGE = re.compile(r"linux-image-(?:unsigned-)?(?P<release>\d\S*)")


def source_name(source: str) -> str:
    """The source that advisories name: Debian and Ubuntu sign kernels in sources of their own.

    `linux-signed-amd64` is `linux`, `linux-signed-hwe-5.15` is `linux-hwe-5.15`, `linux-signed-6.1-arm64` `linux-6.1`.
    """
    if not source.startswith("linux-signed"):
        return source
    return "linux" + re.sub(r"-(?:amd64|arm64|i386)$", "", source.removeprefix("linux-signed"))


def source_of(package: Package) -> str:
    """The source that advisories name; of Ubuntu's kernels by name and version where a list does not tell sources.

    A table of dpkg -l gives no source, and `linux` is guessed: `linux-image-6.5.0-27-generic` 6.5.0-27.28~22.04.1 is
    linux-hwe-6.5, the same for aws is linux-aws-6.5, without the mark of a backport linux-aws.
    """
    hit = _UBUNTU_IMAGE.fullmatch(package.name) if package.source in {"linux", package.name} else None
    if package.manager != "dpkg" or not hit:
        return source_name(package.source)
    series, flavour = hit["series"], hit["flavour"]
    backport = re.search(r"~\d\d\.\d\d", package.version) is not None
    if flavour == "generic" or (flavour == "lowlatency" and tuple(map(int, series.split("."))) < (5, 15)):
        return f"linux-hwe-{series}" if backport else "linux"
    if flavour == "lowlatency" and backport:
        return f"linux-lowlatency-hwe-{series}"
    return f"linux-{flavour}-{series}" if backport or flavour == "oem" else f"linux-{flavour}"


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
    version = package.version.rpartition(":")[2]
    # a real-time kernel of release 8 has its mark in its version
    marks = [one for one in package.name.split("-") if one in _MARKS and not (one == "rt" and ".rt" in version)]
    return ".".join(filter(None, (version, package.arch))) + ("+" + "-".join(marks) if marks else "")


def runs(package: Package, kernel: str) -> bool:
    """Whether this package holds the running kernel, `uname -r`."""
    release = release_of(package)
    if package.manager == "dpkg" or not release:
        return bool(release) and release == kernel
    kernel = re.sub(r"\.(?=debug$)", "+", kernel)
    if package.arch:
        # release 5 tells no architecture: `2.6.18-419.el5`, `2.6.18-419.el5PAE`
        return kernel in {release, release.replace(f".{package.arch}", "", 1).replace("+", "")}
    (release, _, mark), (kernel, _, running) = release.partition("+"), kernel.partition("+")
    return mark == running and kernel.startswith(f"{release}.")
