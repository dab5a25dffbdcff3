"""One hand-made case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """A list of packages and what is open in it."""

    name: str
    text: str
    right: dict[str, set[str]]
    """Package to open CVEs."""
    kernel: str = ""


@dataclass(frozen=True)
class System:
    """Cases of one system over one set of feeds."""

    name: str
    system: tuple[str, str]
    """ID and VERSION_ID of os-release."""
    feeds: dict[str, Any]
    """File name to its content; what is no text becomes JSON."""
    cases: tuple[Case, ...]
    pretty: str = ""


def osv(ident: str, entries: list[tuple[str, str, str]], cves: list[str], **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """An OSV record.

    Args:
        ident: its id.
        entries: ecosystem, package, fixed version (empty: none).
        cves: CVEs that it names.
        more: further keys.
    """
    affected = []
    for ecosystem, package, fixed in entries:
        events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
        affected.append(
            {
                "package": {"ecosystem": ecosystem, "name": package},
                "ranges": [{"type": "ECOSYSTEM", "events": events}],
            }
        )
    return {
        "schema_version": "1.6.0", "id": ident, "modified": "2099-01-02T00:00:00Z", "published": "2099-01-01T00:00:00Z",
        "summary": ident, "details": ident, "related": cves, "affected": affected, **more,
    }  # fmt: skip
