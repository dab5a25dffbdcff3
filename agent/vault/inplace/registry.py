"""Every tester by its kind. A further one: its module, a line here, its cases in tests/vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.vault.inplace.clear import Clear
from agent.vault.inplace.linux import Linux
from agent.vault.inplace.mysql import MySql
from agent.vault.inplace.postgresql import PostgreSql

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.vault.inplace.contract import Tester

TESTERS: Mapping[str, Tester] = {
    "linux": Linux(),
    "mariadb": MySql(),
    "mysql": MySql(),
    "postgresql": PostgreSql(),
    "redis": Clear("redis"),
    "tomcat": Clear("tomcat"),
}
