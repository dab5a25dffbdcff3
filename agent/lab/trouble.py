"""The workspace of the hosts that misbehave: state/lab/trouble, so that the 23 stay as they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from agent.lab import identity
from agent.lab.machines import TROUBLE
from agent.lab.run import write

STRANGERS = ("changed-01",)
"""Pinned with a key that is not theirs."""
_SHARED = ("periods.yaml", "contract.yaml", "inventory/people.yaml", "inventory/periods.yaml")
"""Declared files that both workspaces have in common."""


def inventory() -> dict[str, dict[str, Any]]:
    """The declared files by name, before they are written as YAML."""
    hosts = []
    for machine in TROUBLE:
        entry: dict[str, Any] = {"name": machine.name, "address": machine.address, "groups": ["trouble"]}
        entry["note"] = NOTES[machine.name]
        if machine.listeners:
            entry["listeners"] = list(machine.listeners)
        hosts.append(entry)
    database = {
        "name": "maria-twin", "engine": "mariadb", "host": "db-04", "address": "10.66.0.67", "port": 3306,
        "user": "scan", "dbname": "mysql", "tls": "require", "zone": "lab", "owner": "lab", "importance": "normal",
    }  # fmt: skip
    group = {"zone": "lab", "owner": "lab", "importance": "normal"}
    return {
        "hosts.yaml": {"schema_version": 1, "defaults": {"user": "ops"}, "groups": {"trouble": group}, "hosts": hosts},
        "databases.yaml": {"schema_version": 1, "databases": [database]},
    }


NOTES = {
    "silent-01": "accepts TCP and never answers",
    "refuse-01": "refuses the connection",
    "drip-01": "sends one byte a second",
    "half-01": "breaks off in the middle of its answer",
    "changed-01": "shows another host key than the pinned one",
    "sudodeny-01": "ops may not use sudo",
    "db-04": "MariaDB in the right state, twin of db-01",
}


def write_workspace(workspace: Path, folder: Path, databases: dict[str, dict[str, str]]) -> None:
    """Make state/lab/trouble a complete workspace: inventory, pins, credentials."""
    target = folder / "trouble"
    target.mkdir(mode=0o700, exist_ok=True)
    for name, content in inventory().items():
        write(target / "inventory" / name, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    for name in _SHARED:
        if (workspace / name).is_file():
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(workspace / name, target / name)
    pins = identity.pins(folder, TROUBLE, strangers=STRANGERS)
    identity.merge_pins(target / "inventory" / "known_hosts", pins)
    (target / "state").mkdir(mode=0o700, exist_ok=True)
    key = identity.ops_key(folder)
    identity.merge_credentials(target / "state" / "credentials.yaml", key=key, hosts={}, databases=databases)
