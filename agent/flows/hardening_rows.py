"""What a hardening run keeps, as rows of its report. A run's row is JSON: what it lacks is empty, never an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from agent.change.library import ranked
from agent.model.errors import StoreError
from agent.model.hardening import Health, Leave, Ticket, TxRecord, Wave
from agent.model.hardenreport import HandleRow, StepRow, TxRow
from agent.model.text import one_line


def leave_of(raw: Any) -> Leave | None:  # noqa: ANN401 - JSON of the run's row
    """What the gates let through, as the run keeps it; None when it keeps nothing that can be read."""
    if not isinstance(raw, Mapping):
        return None
    ticket = raw.get("ticket")
    try:
        held = _ticket(ticket) if isinstance(ticket, Mapping) else None
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("the run's ticket cannot be read", remedy="see the sealed ticket") from error
    return Leave(
        held,
        {str(gate): one_line(str(who)) for gate, who in dict(raw.get("overrides") or {}).items()},
        bool(raw.get("reboot")),
        tuple(one_line(str(note)) for note in raw.get("notes") or ()),
        tuple(int(number) for number in raw.get("evidence") or ()),
    )


def _ticket(raw: Mapping[str, Any]) -> Ticket:
    known = {each.name for each in fields(Ticket)}
    values: dict[str, Any] = {name: value for name, value in raw.items() if name in known}
    for name in ("start", "end"):
        values[name] = datetime.fromisoformat(values[name])
    for name in ("targets", "controls", "allows"):
        values[name] = tuple(values.get(name, ()))
    return Ticket(**values)


def waves_of(raw: Iterable[Mapping[str, Any]]) -> tuple[Wave, ...]:
    """Waves as the run keeps them; what one lacks is empty."""

    def health(rows: Iterable[Mapping[str, Any]]) -> tuple[Health, ...]:
        return tuple(
            Health(
                one["host"],
                tuple(map(one_line, one.get("answered", ()))),
                tuple(map(one_line, one.get("silent", ()))),
            )
            for one in rows
        )

    return tuple(
        Wave(
            int(one.get("number", place)),
            tuple(one.get("hosts", ())),
            health(one.get("before", ())),
            health(one.get("after", ())),
            tuple(map(one_line, one.get("hurt", ()))),
        )
        for place, one in enumerate(raw, 1)
    )


def step_rows(transactions: Iterable[TxRecord]) -> Iterable[StepRow]:
    """Every value that transactions changed, or were to change; those that only put back are left out."""
    for record in transactions:
        if record.reverts:
            continue
        for one in record.planned:
            for step in one.steps:
                yield StepRow(
                    record.id,
                    one.item.target or record.host,
                    one.item.control,
                    one.item.title,
                    step.resource,
                    step.group,
                    one_line(step.name),
                    step.before,
                    step.after,
                    one_line(step.source),
                    record.state,
                    record.reverted_by,
                    step.irreversible,
                    step.note,
                )


def tx_row(record: TxRecord) -> TxRow:
    """A transaction as the report shows it; its handles bear the numbers that the target gave them."""
    handles = ranked(handle for step in record.steps for handle in step.handles)
    return TxRow(
        id=record.id,
        host=record.host,
        group=record.group,
        wave=record.wave,
        state=record.state,
        sent_at=record.sent_at,
        ended_at=record.ended_at,
        steps=len(record.steps),
        armed_by=record.armed_by,
        ways=record.ways,
        why=record.why,
        evidence=record.evidence,
        handles=tuple(
            HandleRow(handle.kind, " ".join(handle.args), *record.digests.get(number, ("", "")))
            for number, handle in enumerate(handles, 1)
        ),
        irreversible=tuple(dict.fromkeys(step.irreversible for step in record.steps if step.irreversible)),
        reverts=record.reverts,
        reverted_by=record.reverted_by,
    )
