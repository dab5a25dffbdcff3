"""Pure readers of dpkg and apt: installed packages, and what the host's own mirror offers besides."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.model.facts import Package, PendingUpdate
from agent.versions import dpkg

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*(?::[a-z0-9-]+)?")
_VERSION = re.compile(r"[A-Za-z0-9.+:~-]+")
_FIELDS = 6


def is_installed(status: str) -> bool:
    """Whether files of the package are there (`ii `, `hi `, `iU ` ...); `rc` and `un` are not."""
    return status[1:2] in {"i", "U", "F", "H", "W", "t"}


def package(name: str, version: str, arch: str, source: str, source_version: str) -> Package | None:
    """One row of `dpkg-query -W`, empty where it is silent; None when it is no package."""
    if not (_NAME.fullmatch(name) and _VERSION.fullmatch(version)):
        return None
    plain = name.partition(":")[0]
    return Package(plain, version, arch, source or plain, source_version or version, "dpkg")


def packages(text: str) -> tuple[Package, ...]:
    """Installed packages of `dpkg-query -W`; those removed with their configuration left are none."""
    rows = (line.split("\t") for line in text.splitlines())
    return tuple(
        one for row in rows if len(row) == _FIELDS and is_installed(row[1]) and (one := package(row[0], *row[2:]))
    )


def releases(text: str) -> dict[str, str]:
    """`URI suite/component arch` of an index to `label:version/suite`, as apt prints it; empty: no package lists."""
    found: dict[str, str] = {}
    index = ""
    for line in text.splitlines():
        hit = re.match(r"\s*-?\d+ (\S+:/\S* .+) Packages$", line)
        if hit:
            index = hit[1]
            found[index] = ""
        elif line.lstrip().startswith("release ") and index:
            fields = dict(field.partition("=")[::2] for field in line.strip().removeprefix("release ").split(","))
            label = fields.get("l") or fields.get("o", "")
            found[index] = f"{label}:{fields.get('v', '')}/{fields.get('a') or fields.get('n', '')}"
            index = ""
        elif not line.strip().startswith("origin"):
            index = ""
    return found


@dataclass(frozen=True, slots=True)
class _Offer:
    """Where a candidate comes from."""

    source: str
    filename: str


def _offers(text: str) -> dict[tuple[str, str], _Offer]:
    """Candidate (name, version) to its source and file, from `apt-cache show`."""
    found: dict[tuple[str, str], _Offer] = {}
    for stanza in re.split(r"\n\s*\n", text):
        fields = {key: value.strip() for key, _, value in (line.partition(":") for line in stanza.splitlines())}
        name, version = fields.get("Package", ""), fields.get("Version", "")
        filename = fields.get("Filename", "")
        if name and version and ((name, version) not in found or filename):
            found[name, version] = _Offer(fields.get("Source", name).partition(" ")[0], filename)
    return found


def _uri(index: str, filename: str) -> str:
    base, _, _ = index.partition(" ")
    safe = re.fullmatch(r"[A-Za-z0-9.+~%_/:@-]+", filename) and ".." not in filename.split("/")
    return f"{base.rstrip('/')}/{filename.removeprefix('./')}" if base and safe else ""


def pending(policy: str, show: str, sources: str, installed: Iterable[Package]) -> tuple[PendingUpdate, ...]:
    """Packages whose candidate differs from what is installed, with origin, source and the candidate's address."""
    named, offers = releases(sources), _offers(show)
    source_of = {(one.name, one.version): one.source for one in installed}
    blocks: list[tuple[str, str, str, list[str]]] = []
    for line in policy.splitlines():
        row = line.split("\t")
        if len(row) == 3 and _NAME.fullmatch(row[0]) and all(map(_VERSION.fullmatch, row[1:])):  # noqa: PLR2004 - columns
            blocks.append((row[0].partition(":")[0], row[1], row[2], []))
        elif line.startswith(" ") and blocks and line.endswith(" Packages"):
            blocks[-1][3].append(line.strip().removesuffix(" Packages"))
    found = []
    for name, old, new, indexes in blocks:
        if dpkg.compare(new, old) < 0:  # a pin asks for an older one: no update
            continue
        offer = offers.get((name, new), _Offer("", ""))
        origins = [named.get(index) or index for index in indexes]
        secure = [index for index, origin in zip(indexes, origins, strict=True) if is_security(f"{index} {origin}")]
        found.append(
            PendingUpdate(
                package=name,
                installed=old,
                candidate=new,
                origin=", ".join(dict.fromkeys(origins)),
                security=bool(secure),
                source=offer.source or source_of.get((name, old), name),
                uri=_uri((secure or indexes or [""])[0], offer.filename) if offer.filename else "",
            )
        )
    return tuple(found)


def is_security(origin: str) -> bool:
    """Whether an origin or a repository calls itself one of security updates."""
    return re.search(r"security|[-_/]esm\b", origin, re.IGNORECASE) is not None


def lists_age(text: str, now: int | None) -> float | None:
    """Days since the package lists were refreshed; None when there are none or it cannot be told."""
    stamps = [int(stamp) for stamp in re.findall(r"^(\d{9,11}) /", text, re.MULTILINE)]
    count = re.search(r"^(\d+) indexes", text, re.MULTILINE)
    if not stamps or now is None or count is None or not int(count[1][:9]):
        return None
    return max(0.0, (now - max(stamps)) / 86400)
