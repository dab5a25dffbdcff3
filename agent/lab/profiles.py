"""The workspaces of what the lab has besides the 23: the hosts that misbehave, and the virtual machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from agent.lab import identity
from agent.lab.machines import GATEWAY, MIRROR_PORT, TROUBLE, VM
from agent.lab.run import write

STRANGERS = ("changed-01",)
"""Pinned with a key that is not theirs."""
_SHARED = ("periods.yaml", "contract.yaml", "inventory/people.yaml", "inventory/periods.yaml")
"""Declared files that both workspaces have in common."""


def inventory(profile: str) -> dict[str, dict[str, Any]]:
    """The declared files of a profile (`trouble` or `vm`) by name, before they are written as YAML."""
    hosts = []
    for machine in PROFILES[profile]:
        entry: dict[str, Any] = {"name": machine.name, "address": machine.address, "groups": [profile]}
        entry["note"] = NOTES[machine.name]
        if machine.listeners:
            entry["listeners"] = list(machine.listeners)
        hosts.append(entry)
    database = {
        "name": "maria-twin", "engine": "mariadb", "host": "db-04", "address": "10.66.0.67", "port": 3306,
        "user": "scan", "dbname": "mysql", "tls": "require", "zone": "lab", "owner": "lab", "importance": "normal",
    }  # fmt: skip
    group = {"zone": "lab", "owner": "lab", "importance": "normal"}
    declared = {"schema_version": 1, "defaults": {"user": "ops"}, "mirrors": [f"{GATEWAY}:{MIRROR_PORT}"]}
    return {
        "hosts.yaml": {**declared, "groups": {profile: group}, "hosts": hosts},
        "databases.yaml": {"schema_version": 1, "databases": [database] if profile == "trouble" else []},
    }


PROFILES = {"trouble": TROUBLE, "vm": (VM,)}

NOTES = {
    "silent-01": "accepts TCP and never answers",
    "refuse-01": "refuses the connection",
    "drip-01": "sends one byte a second",
    "half-01": "breaks off in the middle of its answer",
    "changed-01": "shows another host key than the pinned one",
    "sudodeny-01": "ops may not use sudo",
    "vm-01": "a real virtual machine: its kernel, clock and audit are its own",
    "db-04": "MariaDB in the right state, twin of db-01",
}


def write_workspace(
    workspace: Path, folder: Path, profile: str, databases: dict[str, dict[str, str]] | None = None
) -> None:
    """Make state/lab/PROFILE a complete workspace: inventory, pins, credentials."""
    target = folder / profile
    target.mkdir(mode=0o700, exist_ok=True)
    for name, content in inventory(profile).items():
        write(target / "inventory" / name, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    for name in _SHARED:
        if (workspace / name).is_file():
            (target / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(workspace / name, target / name)
    pins = identity.pins(folder, PROFILES[profile], strangers=STRANGERS)
    identity.merge_pins(target / "inventory" / "known_hosts", pins)
    (target / "state").mkdir(mode=0o700, exist_ok=True)
    key = identity.ops_key(folder)
    identity.merge_credentials(target / "state" / "credentials.yaml", key=key, hosts={}, databases=databases or {})
