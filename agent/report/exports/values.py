"""What is exported: a run, its targets, and its findings with the exceptions that cover them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID, uuid5

from agent.model.finding import Finding, RiskException

SPACE = UUID("6f0c6c5e-1c0b-5d5f-9f6e-1f1b7a3f5a10")
"""Namespace of the ids of exported documents: equal contents have equal ids."""


@dataclass(frozen=True, slots=True)
class Place:
    """A target of the run."""

    name: str
    kind: str
    """`host` or `database`."""
    os: str = ""
    """Operating system (PRETTY_NAME), or engine and version; empty when not seen."""


@dataclass(frozen=True, slots=True)
class Item:
    """A finding with what was accepted of it."""

    finding: Finding
    exceptions: Mapping[str, RiskException] = field(default_factory=dict)
    """CVE or advisory to the exception that covers it; by the check for a finding without either."""


@dataclass(frozen=True, slots=True)
class Export:
    """All that the writers are given."""

    run: str
    """Id of the scan; empty for exceptions alone."""
    at: datetime
    """UTC: when the run was finished, or the exceptions were written out."""
    author: str
    """Who speaks: the vendor of contract.yaml."""
    project: str
    version: str
    """Of the agent that judged."""
    started: datetime | None = None
    places: tuple[Place, ...] = ()
    items: tuple[Item, ...] = ()


def iso(moment: datetime) -> str:
    """UTC to the second, RFC 3339."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def document_id(*words: str) -> str:
    """A UUID that follows from the words alone, as a URN."""
    return uuid5(SPACE, "\n".join(words).encode(errors="backslashreplace").decode()).urn


def vulnerabilities(finding: Finding) -> tuple[str, ...]:
    """Ids under which others know what a finding is about: its CVEs, else its advisories; none for a control."""
    if finding.cves:
        return finding.cves
    return finding.remediation.advisories if finding.remediation else ()
