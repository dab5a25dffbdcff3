"""What OSV records of the single publishers leave unsaid: version order, source or binary names, RPM module streams."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from agent.model import streams
from agent.model.advisory import Authority, Scheme


@dataclass(frozen=True, slots=True)
class Ecosystem:
    """How the records of one OSV ecosystem are to be read."""

    name: str
    """As OSV writes it before the first colon."""
    scheme: Scheme = Scheme.GENERIC
    by: str = "product"
    authority: Authority = Authority.THIRD_PARTY
    licence: str = ""

    @property
    def feed(self) -> str:
        """`osv/red-hat`."""
        return "osv/" + (re.sub(r"[^a-z0-9.+]+", "-", self.name.lower()).strip("-")[:40] or "unnamed")


def _distro(name: str, scheme: Scheme, by: str, licence: str = "") -> Ecosystem:
    return Ecosystem(name, scheme, by, Authority.VENDOR, licence)


_KNOWN = {
    one.name: one
    for one in (
        _distro("AlmaLinux", Scheme.RPM, "binary", "MIT"),
        _distro("Rocky Linux", Scheme.RPM, "binary"),
        _distro("Red Hat", Scheme.RPM, "binary", "CC-BY-4.0"),
        _distro("openEuler", Scheme.RPM, "source"),
        _distro("SUSE", Scheme.RPM, "source", "CC-BY-4.0"),
        _distro("openSUSE", Scheme.RPM, "source", "CC-BY-4.0"),
        _distro("Mageia", Scheme.RPM, "source"),
        _distro("Photon OS", Scheme.RPM, "binary"),
        _distro("Azure Linux", Scheme.RPM, "source"),
        _distro("Debian", Scheme.DPKG, "source", "MIT"),
        _distro("Ubuntu", Scheme.DPKG, "source", "CC-BY-SA-4.0"),
        _distro("Echo", Scheme.DPKG, "source"),
        _distro("Alpine", Scheme.GENERIC, "source"),
        Ecosystem("Bitnami", licence="Apache-2.0"),
    )
}
_BY_PREFIX = {
    "ALSA": "AlmaLinux", "ALBA": "AlmaLinux", "ALEA": "AlmaLinux", "RLSA": "Rocky Linux", "RXSA": "Rocky Linux",
    "RHSA": "Red Hat", "RHBA": "Red Hat", "RHEA": "Red Hat", "OESA": "openEuler", "UBUNTU": "Ubuntu", "USN": "Ubuntu",
    "LSN": "Ubuntu", "DEBIAN": "Debian", "DSA": "Debian", "DLA": "Debian", "DTSA": "Debian", "BIT": "Bitnami",
    "PYSEC": "PyPI", "GO": "Go", "RUSTSEC": "crates.io",
}  # fmt: skip
"""Whose a record is that names no package, such as a withdrawn one (ossf.github.io/osv-schema, id prefixes)."""


@lru_cache(maxsize=1024)
def of_name(ecosystem: str) -> Ecosystem:
    """The publisher of an `ecosystem`, with its version after a colon or without."""
    name = ecosystem.partition(":")[0].strip()
    return _KNOWN.get(name) or Ecosystem(name, by="binary")


def of_id(identifier: str) -> Ecosystem:
    """The publisher of a record, by its id's prefix."""
    prefix = identifier.partition("-")[0].upper()
    return of_name(_BY_PREFIX.get(prefix, prefix))


@lru_cache(maxsize=1024)
def stream(ecosystem: str, publisher: Ecosystem) -> str:
    """The stream of an ecosystem; empty for a layered product."""
    return publisher.name.lower() if publisher.authority is Authority.THIRD_PARTY else streams.of_osv(ecosystem)


_STREAM = re.compile(r"(?<![\w.:/-])([A-Za-z0-9][\w.+-]*):(\w[\w.+-]*)")
_UNSAID = {
    "go-toolset": ("go-toolset:rhel8",), "rust-toolset": ("rust-toolset:rhel8",), "llvm-toolset":
    ("llvm-toolset:rhel8",), "container-tools": ("container-tools:rhel8",), "pki-core": ("pki-core:10.6",), "virt":
    ("virt:rhel",), "satellite-5-client": ("satellite-5-client:1.0",), "ipa": ("idm:DL1", "idm:client"),
    "criu": ("container-tools:rhel8",),
}  # fmt: skip
"""Modules of release 8 whose stream is no version (Red Hat, RHEL 8 Application Streams life cycle), by the word that
stands for them in a summary without stream."""


def modules(summary: str) -> tuple[str, ...]:
    """Module streams that a summary names (rule 4): `Important: nodejs:18 security update`, `virt:rhel and ...`."""
    return tuple(dict.fromkeys(f"{name}:{version}" for name, version in _STREAM.findall(summary)))


def unsaid_modules(summary: str, packages: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Streams that are possible where a summary names a module alone: `Moderate: ruby security update`.

    Args:
        summary: the advisory's.
        packages: names and fixed versions of its modular packages; a main package of version 2.5.9 makes `ruby:2.5`
            or `ruby:2`, of which only one exists.
    """
    words = re.sub(r"^.*?: ", "", summary).split()
    module = words[0] if words else ""
    if module in _UNSAID:
        return _UNSAID[module]
    main = next((version for name, version in packages if name in {module, f"{module}-base"}), "")
    number = re.match(r"(\d+)(\.\d+)?", main.partition(":")[2] or main)
    if not (module and number):
        return ()
    return tuple(dict.fromkeys((f"{module}:{number[0]}", f"{module}:{number[1]}")))


def purl_module(purl: str) -> str:
    """The module stream in a package URL's qualifier, `rpmmod=nodejs:18:8090020240101:rhel8`; empty for none."""
    hit = re.search(r"[?&]rpmmod=([^&#]+)", purl)
    parts = unquote(hit[1]).split(":") if hit else []
    return ":".join(parts[:2]) if len(parts) > 1 else ""


_RPM_FILE = re.compile(r"([^/]+)-([^-/]+-[^-/]+)\.([A-Za-z0-9_]+)\.rpm")


def rpm_file(name: str) -> tuple[str, str, str] | None:
    """Package, version-release and architecture of an RPM's file name; None when it is none."""
    hit = _RPM_FILE.fullmatch(name)
    return (hit[1], hit[2], hit[3]) if hit else None
