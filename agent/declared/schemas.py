"""JSON Schemas of the declared files, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent.declared.accounts import AccountsFile
from agent.declared.exceptions import ExceptionsFile
from agent.declared.hardening import HardeningFile
from agent.declared.incidents import IncidentFile
from agent.declared.inventory import DatabasesFile, HostsFile
from agent.declared.opscheck import LocationFile
from agent.declared.orders import OrdersFile
from agent.declared.passwords import PasswordsFile
from agent.declared.people import ContractFile, PeopleFile
from agent.declared.periods import PeriodsFile
from agent.declared.tickets import TicketFile

if TYPE_CHECKING:
    from pydantic import BaseModel

FILES: dict[str, type[BaseModel]] = {
    "hosts": HostsFile,
    "databases": DatabasesFile,
    "people": PeopleFile,
    "accounts": AccountsFile,
    "passwords": PasswordsFile,
    "contract": ContractFile,
    "periods": PeriodsFile,
    "exceptions": ExceptionsFile,
    "orders": OrdersFile,
    "incident": IncidentFile,
    "hardening": HardeningFile,
    "ticket": TicketFile,
    "ops-location": LocationFile,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return JSON Schema (2020-12) by the name of the declared file."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {name: dialect | model.model_json_schema() for name, model in FILES.items()}
