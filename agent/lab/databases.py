"""Fill the databases once their servers run: accounts with fresh passwords, and what is planted in them.

Each machine with a database has a file plant/<host>.sql, run by its server's own
superuser over the local socket. @SECRET@ is the scanning account's password, @OTHER@
another random one, @VALID@ a date within 30 days.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from agent.lab.boot import enter
from agent.lab.cache import recipe
from agent.lab.identity import password, remember
from agent.lab.machines import Machine
from agent.lab.record import Record
from agent.model.errors import ToolError

NAMES = {"db-01": "maria-01", "db-02": "pg-net", "db-03": "pg-local", "db-04": "maria-twin"}
"""Host -> the inventory's name of the database on it."""
TWIN = "maria-twin"

PATIENCE = 30.0
"""Seconds for a server that listens to answer its first query."""

CLIENTS = {
    "mariadb": ("mariadb", "--batch"),
    "postgresql": ("runuser", "-u", "postgres", "--", "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", "postgres"),
}


def filled(record: Record, machine: Machine) -> bool:
    """Whether this machine needs no filling, or had it."""
    return machine.name not in NAMES or (record.folder / "run" / machine.name / "filled").exists()


def fill(record: Record, machine: Machine) -> None:
    """Make the accounts and plant what is wrong (or right) in a database that has just started.

    Raises:
        ToolError: its server does not answer, or a statement failed.
    """
    secret = password(32)
    remember(record.folder, "databases", NAMES[machine.name], {"password": secret})
    valid = (datetime.now(UTC) + timedelta(days=20)).strftime("%Y-%m-%d")
    script = recipe(f"{machine.plant}.sql")
    script = script.replace("@SECRET@", secret).replace("@OTHER@", password(32)).replace("@VALID@", valid)
    client = CLIENTS[machine.layer]
    end = time.monotonic() + PATIENCE
    while True:
        try:
            enter(record, machine, *client, stdin="SELECT 1;\n")
            break
        except ToolError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)
    try:
        enter(record, machine, *client, stdin=script)
    except ToolError as error:  # a client quotes the statement that failed
        raise ToolError(error.message.replace(secret, "***"), where=f"plant/{machine.plant}.sql") from None
    (record.folder / "run" / machine.name / "filled").touch()
