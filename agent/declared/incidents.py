"""incidents/INC-YYYYMMDD-NN.yaml: the record of a suspected leak, as `agent password emergency` writes it."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field

from agent.declared.fields import Filled, Strict, Version
from agent.declared.files import locked, write_atomic
from agent.declared.yamlfile import load, parse
from agent.model.errors import AgentError
from agent.model.incident import Incident, Measure

INCIDENTS = Path("incidents")
_NAME = re.compile(r"INC-([0-9]{8})-([0-9]{2,4})")

Lines = tuple[Annotated[str, Field(max_length=1000)], ...]


class MeasureEntry(Strict):
    """What was done about one account."""

    account: Filled
    ended: Filled
    at: Filled
    why: Annotated[str, Field(max_length=1000)] = ""
    locked: bool = False
    sessions: Lines = ()
    left: Lines = ()
    dependents: Lines = ()
    tasks: Lines = ()


class IncidentFile(Strict):
    """One incident."""

    schema_version: Version
    id: Annotated[str, Field(pattern=f"^{_NAME.pattern}$")]
    noticed_at: Filled
    noticed_by: Filled
    reason: Filled
    measures: tuple[MeasureEntry, ...] = ()
    tell: Lines = ()
    note: Annotated[str, Field(max_length=10_000)] = Field(default="", description="What people add")


def path_of(root: Path, incident: str) -> Path:
    """Where an incident's file lies. Raises AgentError for a name that none can have."""
    if not _NAME.fullmatch(incident):
        raise AgentError("no such incident", where=incident, remedy="name one of incidents/, e.g. INC-20270301-01")
    return root / INCIDENTS / f"{incident}.yaml"


def load_incident(root: Path, incident: str) -> Incident:
    """Read one. Raises AgentError, DeclaredError."""
    path = path_of(root, incident)
    if not path.exists():
        raise AgentError("no such incident", where=incident, remedy="see the folder incidents/")
    entry = parse(load(path), IncidentFile)
    measures = tuple(Measure(**each.model_dump()) for each in entry.measures)
    return Incident(**entry.model_dump(exclude={"schema_version", "measures"}), measures=measures)


def new_incident(root: Path, today: date, noticed_at: str, noticed_by: str, reason: str) -> Incident:
    """A new one with the day's next number, its file written before anything is done. Raises OSError."""
    folder = root / INCIDENTS
    folder.mkdir(exist_ok=True)
    with locked(folder):
        taken = [
            int(hit[2])
            for path in folder.iterdir()
            if (hit := _NAME.fullmatch(path.stem)) and hit[1] == f"{today:%Y%m%d}"
        ]
        made = Incident(f"INC-{today:%Y%m%d}-{max(taken, default=0) + 1:02d}", noticed_at, noticed_by, reason)
        _write(root, made)
    return made


def save_incident(root: Path, incident: Incident) -> Path:
    """Write it anew; what people added as `note` stays. Raises OSError."""
    with locked(root / INCIDENTS):
        return _write(root, incident)


def _write(root: Path, incident: Incident) -> Path:
    path = path_of(root, incident.id)
    body = {"schema_version": 1} | asdict(incident)
    text = yaml.safe_dump(_plain(body), allow_unicode=True, sort_keys=False, width=120)
    write_atomic(path, text.encode(), mode=0o600)
    return path


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
