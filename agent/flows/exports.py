"""Gather a run's findings, or the accepted risks, and write them in a format that other tools read."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from agent import __version__
from agent.declared.files import write_atomic
from agent.flows.exceptions import today
from agent.flows.judge import SHANGHAI
from agent.judge.exceptions import by_subject, candidates, in_force, standing
from agent.model.errors import AgentError
from agent.report.exports import Export, Item, Place, csv_table, cyclonedx, json_lines, sarif, vex
from agent.report.exports.values import vulnerabilities
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from agent.app import App
    from agent.model.finding import Finding, RiskException

FORMATS = ("json", "csv", "sarif", "cyclonedx", "openvex", "csaf-vex")
VEX_FORMATS = ("openvex", "csaf-vex")


def gather(app: App, run_id: str, findings: Iterable[Finding]) -> Export:
    """A run's findings with what was accepted of them on the day on which they were judged."""
    run = runs.run_by_id(app.store, run_id)
    at = run.finished_at or run.started_at
    day = at.astimezone(SHANGHAI).date().isoformat()
    index = by_subject(item for item in app.exceptions if in_force(item, day))
    return Export(
        run=run.id,
        at=at,
        author=app.contract.vendor,
        project=app.contract.project,
        version=str(run.summary.get("agent_version", "")),
        started=run.started_at,
        places=_places(app, run.plan["targets"], run.summary),
        items=tuple(_item(finding, index) for finding in findings),
    )


def _places(app: App, planned: Sequence[str], summary: Mapping[str, object]) -> tuple[Place, ...]:
    seen = summary.get("per_target", {})
    kinds = {target.name: target.kind for target in app.inventory.targets}
    told = seen if isinstance(seen, dict) else {}
    return tuple(Place(name, kinds.get(name, "host"), str(told.get(name, {}).get("os", ""))) for name in planned)


def _item(finding: Finding, index: Mapping[str, Sequence[RiskException]]) -> Item:
    near = candidates(index, finding)
    if not near:
        return Item(finding)
    found = standing(finding, near)
    ids = vulnerabilities(finding) or (finding.check,)
    by = {one: found.of(one) for one in ids}
    return Item(finding, {one: item for one, item in by.items() if item})


def pieces(export: Export, name: str) -> Iterator[str]:
    """The text of a format, piece by piece.

    Raises:
        AgentError: a VEX document would say nothing, which the formats do not allow.
    """
    if name in VEX_FORMATS:
        return _vex(export, vex.from_findings(export), name)
    writers: dict[str, Callable[[Export], Iterator[str]]] = {
        "json": json_lines.write,
        "csv": csv_table.write,
        "sarif": sarif.write,
        "cyclonedx": cyclonedx.write,
    }
    return writers[name](export)


def _vex(export: Export, statements: Sequence[vex.Statement], name: str) -> Iterator[str]:
    if not statements:
        raise AgentError(
            "there is nothing that a VEX document could say", where=export.run, remedy="see docs/exchange.md"
        )
    return vex.openvex(export, statements) if name == "openvex" else vex.csaf(export, statements)


def exceptions_as_vex(app: App, name: str) -> Iterator[str]:
    """The accepted risks that still cover, as a VEX document.

    Raises:
        AgentError: there is none.
    """
    now = today(app)
    statements = vex.from_exceptions(item for item in app.exceptions if in_force(item, now))
    at = app.clock().astimezone(UTC)
    export = Export(run="", at=at, author=app.contract.vendor, project=app.contract.project, version=__version__)
    return _vex(export, statements, name)


def encoded(pieces_of_text: Iterable[str]) -> Iterator[bytes]:
    r"""UTF-8; what is no character travels as `\\udc80`, which JSON reads back."""
    return (piece.encode("utf-8", "backslashreplace") for piece in pieces_of_text)


def write(path: Path, pieces_of_text: Iterable[str]) -> int:
    """Put the text at `path`, whole or not at all, readable by its owner alone; returns its size. Raises OSError."""
    data = b"".join(encoded(pieces_of_text))
    write_atomic(path, data, 0o600)
    return len(data)
