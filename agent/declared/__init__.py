"""What people wrote, read and checked: inventory, contract, periods, people, exceptions, playbooks."""

from agent.declared.exceptions import add_exception, add_exceptions, load_exceptions
from agent.declared.inventory import load_inventory
from agent.declared.people import Contract, Person, load_contract, load_people
from agent.declared.periods import load_periods, resolve
from agent.declared.schemas import schemas

__all__ = [
    "Contract",
    "Person",
    "add_exception",
    "add_exceptions",
    "load_contract",
    "load_exceptions",
    "load_inventory",
    "load_people",
    "load_periods",
    "resolve",
    "schemas",
]
