"""Every driver by its kind. A further one: its module, a line here, its cases in tests/vault/drivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.vault.drivers.linux import Linux
from agent.vault.drivers.mysql import MariaDb, MySql
from agent.vault.drivers.postgresql import PostgreSql
from agent.vault.drivers.redis import Redis
from agent.vault.drivers.tomcat import Tomcat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.vault.drivers.contract import Driver

_ALL: tuple[Driver, ...] = (Linux(), MariaDb(), MySql(), PostgreSql(), Redis(), Tomcat())
DRIVERS: Mapping[str, Driver] = {driver.kind: driver for driver in _ALL}
"""`manual` has none: a person changes it, and says so."""
