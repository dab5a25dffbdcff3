"""inventory/people.yaml and contract.yaml: who works here, for whom, and from when to when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field

from agent.declared.fields import Day, Filled, Login, Name, Strict, Text, Version
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import load, parse
from agent.model.report import Parties

PEOPLE = Path("inventory/people.yaml")
CONTRACT = Path("contract.yaml")


@dataclass(frozen=True, slots=True)
class Person:
    """One person of the vendor's or the customer's side."""

    login: str
    """OS login by which records name the person; empty for one who does not operate."""
    name: str
    role: str
    """`project-manager`, `technical-lead`, `engineer`, `approver` or `customer`."""
    mail: str = ""
    phone: str = ""
    approver_key: str = ""
    """Approver: public key file (PEM), relative to inventory/."""


class PersonEntry(Strict):
    """One person."""

    name: Filled
    role: Literal["project-manager", "technical-lead", "engineer", "approver", "customer"]
    login: Login = ""
    mail: Text = ""
    phone: Text = ""
    approver_key: Text = ""


class PeopleFile(Strict):
    """inventory/people.yaml."""

    schema_version: Version
    people: tuple[PersonEntry, ...]


class ContractFile(Strict):
    """contract.yaml."""

    schema_version: Version
    project: Filled
    customer: Filled
    vendor: Filled
    classification: Literal["内部资料", "商业秘密"] = "内部资料"
    number_prefix: Name = "SCAN"
    start: Day = Field(description="First day of the contract (Asia/Shanghai)")
    end: Day = Field(description="Last day of the contract (Asia/Shanghai)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract(Parties):
    """The parties, and the days between which the contract runs (both included, Asia/Shanghai)."""

    start: date
    end: date


def load_people(root: Path) -> tuple[Person, ...]:
    """Read inventory/people.yaml; an absent file means nobody is declared yet.

    Raises:
        DeclaredError: the file is wrong, a login stands twice, or an approver's key lies elsewhere.
    """
    if not (root / PEOPLE).exists():
        return ()
    document = load(root / PEOPLE)
    people = tuple(Person(**entry.model_dump()) for entry in parse(document, PeopleFile).people)
    problems = []
    logins: set[str] = set()
    for index, person in enumerate(people):
        loc = ("people", index)
        if person.login and person.login in logins:
            where = document.where((*loc, "login"))
            problems.append(Problem(where, f"login {person.login!r} stands twice", "one login names one person"))
        logins.add(person.login)
        key = Path(person.approver_key)
        if person.approver_key and (key.is_absolute() or ".." in key.parts):
            where = document.where((*loc, "approver_key"))
            problems.append(Problem(where, "lies outside inventory/", "name a file inside inventory/"))
        if person.approver_key and person.role != "approver":
            where = document.where((*loc, "approver_key"))
            problems.append(Problem(where, "only an approver has one", "set `role: approver` or remove the key"))
    raise_problems(document.path, problems)
    return people


def load_contract(root: Path) -> Contract:
    """Read contract.yaml.

    Raises:
        DeclaredError: the file is missing or wrong, or the contract ends before it starts.
    """
    document = load(root / CONTRACT)
    values = parse(document, ContractFile).model_dump(exclude={"schema_version"})
    contract = Contract(**values)
    if contract.end < contract.start:
        problem = Problem(document.where(("end",)), f"lies before start {contract.start}", "correct one of the two")
        raise_problems(document.path, [problem])
    return contract
