"""Pure readers of rpm, dnf and yum: installed packages, and what the cached repositories offer besides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from agent.model.facts import Package, PendingUpdate
from agent.observe.host.debian import is_security, lists_age
from agent.versions.rpm import compare

__all__ = ["lists_age", "packages", "pending"]

_FIELDS = 7
_WORD = re.compile(r"[A-Za-z0-9_.+~^:-]+")
_GRADES = ("Critical", "Important", "High", "Moderate", "Medium", "Low")
_NEVRA = re.compile(
    r"(?P<e1>\d+:)?(?P<name>[A-Za-z0-9_.+-]+)-(?P<e2>\d+:)?(?P<vr>[^-:\s]+-[^-:\s]+)\.(?P<arch>[a-z0-9_]+)"
)


def _evr(epoch: str, version: str) -> str:
    return version if epoch in {"", "0", "(none)"} else f"{epoch}:{version}"


def package(name: str, epoch: str, version: str, release: str, arch: str, built: str, module: str) -> Package | None:
    """One row of `rpm -qa`; None when it is no package (an imported key, nonsense).

    Args:
        built: the source package's file, `NAME-VERSION-RELEASE.src.rpm`, or anything else when it is not known.
    """
    if name == "gpg-pubkey" or not (name and version and release and _WORD.fullmatch(name + version + release)):
        return None
    evr = _evr(epoch, f"{version}-{release}")
    stem, _, kind = built.removesuffix(".rpm").rpartition(".")
    parts = stem.rsplit("-", 2) if kind in {"src", "nosrc"} else []
    known = len(parts) == 3 and all(parts)  # noqa: PLR2004 - name, version, release
    return Package(
        name=name,
        version=evr,
        arch=arch,
        source=parts[0] if known else name,
        source_version=_evr(epoch, f"{parts[1]}-{parts[2]}") if known else evr,
        manager="rpm",
        module="" if module == "(none)" else module,
    )


def packages(text: str) -> tuple[Package, ...]:
    """Installed packages of `rpm -qa`; imported keys (gpg-pubkey) are none."""
    rows = (line.split("\t") for line in text.splitlines())
    return tuple(one for row in rows if len(row) == _FIELDS and (one := package(*row)))


def _named(text: str) -> dict[tuple[str, str], list[tuple[str, str, bool, str]]]:
    """(package, arch) to (id, severity, security, version) of `updateinfo list`."""
    found: dict[tuple[str, str], list[tuple[str, str, bool, str]]] = {}
    for line in text.splitlines():
        row = line.split()
        hit = _NEVRA.fullmatch(row[2]) if len(row) == 3 else None  # noqa: PLR2004 - columns
        if hit:
            grade, _, mark = row[1].partition("/")
            secure = mark.startswith("Sec") or row[1] == "security"
            version = _evr((hit["e1"] or hit["e2"] or "").rstrip(":"), hit["vr"])
            entry = (row[0], grade if grade in _GRADES else "", secure, version)
            found.setdefault((hit["name"], hit["arch"]), []).append(entry)
    return found


def _offered(text: str) -> dict[tuple[str, str], tuple[str, str]]:
    """(package, arch) to (version, repository) of `check-update`, wrapped lines joined."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    held: list[str] = []
    for line in text.splitlines():
        if line.startswith("Obsoleting"):
            break
        row = held + line.split()
        held = row if line.strip() and len(row) < 3 else []  # noqa: PLR2004 - columns
        if len(row) != 3 or not _WORD.fullmatch(row[1]):  # noqa: PLR2004 - columns
            continue
        name, dot, arch = row[0].rpartition(".")
        epoch, colon, version = row[1].rpartition(":")
        if dot and "-" in row[1]:
            found[name, arch] = (_evr(epoch if colon else "", version), row[2].lstrip("@"))
    return found


def _installed(every: Iterable[Package]) -> dict[tuple[str, str], Package]:
    """The newest of each (name, arch): several kernels stand side by side."""
    newest: dict[tuple[str, str], Package] = {}
    for one in every:
        key = (one.name, one.arch)
        if key not in newest or compare(one.version, newest[key].version) > 0:
            newest[key] = one
    return newest


def pending(answers: Mapping[str, str], installed: Iterable[Package]) -> tuple[PendingUpdate, ...]:
    """Updates of `check-update` and `updateinfo list`, joined by package.

    Args:
        answers: texts of `list` (advisories), `cves` and `check`.
        installed: what rpm says.
    """
    advisories, cves = _named(answers.get("list", "")), _named(answers.get("cves", ""))
    offered, here = _offered(answers.get("check", "")), _installed(installed)
    found = []
    for key in sorted({*offered, *advisories, *cves}):
        own = here.get(key)
        if own is None:
            continue
        named = [one for one in (*advisories.get(key, ()), *cves.get(key, ())) if compare(one[3], own.version) > 0]
        version, repository = offered.get(key, ("", ""))
        for one in named:
            if not version or (not repository and compare(one[3], version) > 0):
                version = one[3]
        if not version or compare(version, own.version) <= 0:
            continue
        grades = {one[1] for one in named if one[2]}
        found.append(
            PendingUpdate(
                package=own.name,
                installed=own.version,
                candidate=version,
                origin=repository,
                security=any(one[2] or one[0].startswith("CVE-") for one in named) or is_security(repository),
                source=own.source,
                advisories=tuple(sorted({one[0] for one in named if not one[0].startswith("CVE-")})),
                cves=tuple(sorted({one[0] for one in named if re.fullmatch(r"CVE-\d{4}-\d{4,}", one[0])})),
                severity=next((grade for grade in _GRADES if grade in grades), ""),
            )
        )
    return tuple(found)
