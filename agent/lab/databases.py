"""Fill the databases once their servers run: accounts with fresh passwords, and what is planted in them.

Each machine with a database has a file plant/<host>.sql, run by its server's own
superuser over the local socket. @SECRET@ is the scanning account's password, @OTHER@
another random one, @VALID@ a date within 30 days.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from agent.lab.cache import recipe
from agent.lab.identity import password
from agent.lab.machines import Machine
from agent.lab.record import Record, leader_of, pid_of
from agent.lab.run import run
from agent.model.errors import ToolError

NAMES = {"db-01": "maria-01", "db-02": "pg-net", "db-03": "pg-local", "db-04": "maria-twin"}
"""Host -> the inventory's name of the database on it."""
TWIN = "maria-twin"

CLIENTS = {
    "mariadb": ("mariadb", "--batch"),
    "postgresql": ("runuser", "-u", "postgres", "--", "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", "postgres"),
}


def ready(record: Record, machines: list[Machine]) -> dict[str, dict[str, str]]:
    """Fill the databases among these machines; returns name -> {password: ...}."""
    mine = [machine for machine in machines if machine.name in NAMES]
    with ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda machine: _fill(record, machine), mine)
        return {NAMES[machine.name]: {"password": secret} for machine, secret in zip(mine, made, strict=True)}


def _fill(record: Record, machine: Machine) -> str:
    secret = password(32)
    valid = (datetime.now(UTC) + timedelta(days=20)).strftime("%Y-%m-%d")
    script = recipe(f"{machine.plant}.sql")
    script = script.replace("@SECRET@", secret).replace("@OTHER@", password(32)).replace("@VALID@", valid)
    nspawn = pid_of(record.folder / "pids" / machine.name, f"--machine={machine.netns}")
    leader = leader_of(nspawn) if nspawn else None
    if leader is None:
        raise ToolError("its container is gone", where=machine.name, remedy=f"see state/lab/log/{machine.name}.log")
    enter = ("nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "--", *CLIENTS[machine.layer])
    end = time.monotonic() + 30
    while True:
        try:
            run(*enter, stdin="SELECT 1;\n")
            break
        except ToolError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)
    try:
        run(*enter, stdin=script)
    except ToolError as error:  # a client quotes the statement that failed
        raise ToolError(error.message.replace(secret, "***"), where=f"plant/{machine.plant}.sql") from None
    return secret
