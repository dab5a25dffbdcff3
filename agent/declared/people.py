"""inventory/people.yaml and contract.yaml: who works here, for whom, and from when to when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from agent.declared.fields import Day, Filled, Login, Name, Strict, Text, Version, no_twice
from agent.declared.problems import Problem, raise_problems
from agent.declared.yamlfile import Document, load, parse
from agent.model.duties import DAYS, Escalation, Penalty, Quota, Terms
from agent.model.report import Parties
from agent.model.severity import Severity

PEOPLE = Path("inventory/people.yaml")
CONTRACT = Path("contract.yaml")
APPROVES = frozenset({"approver", "customer"})
"""Roles whose signature counts."""


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
    """Approver or customer: public key file (PEM), relative to inventory/."""
    since: date | None = None
    """First day (Asia/Shanghai); None: from the start."""
    until: date | None = None
    """Last day; None: not known yet."""
    accounts: tuple[str, ...] = ()
    """`USER@WHERE`: what the person may have; WHERE is a target, a group or `*`."""
    privileged: tuple[str, ...] = ()
    """Those of them that may have full rights; the same form."""
    consent: str = ""
    """Core people who came later: number and day of the customer's written consent."""

    def here(self, day: date) -> bool:
        """Whether the person works here on that day."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


def _seat(value: str) -> str:
    user, _, where = value.rpartition("@")
    if not user or not where or any(letter.isspace() for letter in value):
        raise ValueError("is not an account || write USER@TARGET, USER@GROUP or USER@*")
    return value


Seat = Annotated[str, Field(max_length=200), AfterValidator(_seat)]
CORE = frozenset({"project-manager", "technical-lead"})
"""Roles whose change needs the customer's written consent (contract, 人员)."""


class PersonEntry(Strict):
    """One person."""

    name: Filled
    role: Literal["project-manager", "technical-lead", "engineer", "approver", "customer"]
    login: Login = ""
    mail: Text = ""
    phone: Text = ""
    approver_key: Text = ""
    since: Day | None = Field(default=None, alias="from", description="First day (Asia/Shanghai)")
    until: Day | None = Field(default=None, alias="to", description="Last day; afterwards every account is orphaned")
    accounts: Annotated[tuple[Seat, ...], AfterValidator(no_twice)] = Field(
        default=(), description="USER@WHERE that the person may have; WHERE is a target, a group or `*`"
    )
    privileged: Annotated[tuple[Seat, ...], AfterValidator(no_twice)] = Field(
        default=(), description="Those of them that may have full rights"
    )
    consent: Text = Field(default="", description="Core people who came later: the customer's written consent")


class PeopleFile(Strict):
    """inventory/people.yaml."""

    schema_version: Version
    people: tuple[PersonEntry, ...]


Days = Annotated[int, Field(strict=True, ge=1, le=3650)]
Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]


class RectificationEntry(Strict):
    """Calendar days in which a finding is mended, counted from the first round that saw it."""

    critical: Days = DAYS[Severity.CRITICAL]
    high: Days = DAYS[Severity.HIGH]
    medium: Days = DAYS[Severity.MEDIUM]
    low: Days = DAYS[Severity.LOW]


class EscalationEntry(Strict):
    """Who is told so many days before a due day passes."""

    days: Annotated[int, Field(strict=True, ge=0, le=365)]
    role: Literal["project-manager", "technical-lead", "engineer", "customer"]


class PenaltyEntry(Strict):
    """What the contract takes for a breach."""

    on: Literal[
        "rectification", "delivery", "outage", "staff", "subcontracting", "confidentiality", "acceptance"
    ]  # fmt: skip
    percent: Annotated[Decimal, Field(gt=0, le=100, max_digits=6)] = Field(description="Of the contract's sum")
    clause: Filled = Field(description="Where the contract says so")


class QuotaEntry(Strict):
    """How many are to be hardened."""

    hosts: Count | None = None
    databases: Count | None = None


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
    harden_prefix: Name = "HARDEN"
    amount: Annotated[Decimal, Field(gt=0, max_digits=14, decimal_places=2)] | None = Field(
        default=None, description="Contract sum, CNY"
    )
    hardening: QuotaEntry = QuotaEntry()
    rectification: RectificationEntry = RectificationEntry()
    escalation: tuple[EscalationEntry, ...] = ()
    penalties: tuple[PenaltyEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract(Parties):
    """The parties, and the days between which the contract runs (both included, Asia/Shanghai)."""

    start: date
    end: date
    harden_prefix: str = "HARDEN"
    """Begins the number of each 安全加固报告."""
    terms: Terms = field(default_factory=Terms)


_OF_TERMS = {"amount", "hardening", "rectification", "escalation", "penalties"}


def _terms(entry: ContractFile) -> Terms:
    days = {Severity(name): count for name, count in entry.rectification.model_dump().items()}
    steps = sorted((Escalation(each.days, each.role) for each in entry.escalation), key=lambda step: -step.days)
    return Terms(
        rectification=days,
        escalation=tuple(steps),
        penalties=tuple(Penalty(each.on, each.percent, each.clause) for each in entry.penalties),
        amount=entry.amount,
        hardening=Quota(entry.hardening.hosts, entry.hardening.databases),
    )


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
        if person.since and person.until and person.until < person.since:
            where = document.where((*loc, "to"))
            problems.append(Problem(where, f"lies before from {person.since}", "correct one of the two"))
        if person.approver_key and person.role not in APPROVES:
            where = document.where((*loc, "approver_key"))
            remedy = "set `role: approver` (or `customer`) or remove the key"
            problems.append(Problem(where, "only an approver or the customer has one", remedy))
    raise_problems(document.path, problems)
    return people


def load_contract(root: Path) -> Contract:
    """Read contract.yaml.

    Raises:
        DeclaredError: the file is missing or wrong, or the contract ends before it starts.
    """
    document = load(root / CONTRACT)
    entry = parse(document, ContractFile)
    contract = Contract(**entry.model_dump(exclude={"schema_version", *_OF_TERMS}), terms=_terms(entry))
    if contract.end < contract.start:
        problem = Problem(document.where(("end",)), f"lies before start {contract.start}", "correct one of the two")
        raise_problems(document.path, [problem])
    _refuse_twins(document, entry)
    return contract


def _refuse_twins(document: Document, entry: ContractFile) -> None:
    """One figure for one breach, one person told at one time."""
    problems = []
    for key, values in (
        ("penalties", [each.on for each in entry.penalties]),
        ("escalation", [f"{each.days} {each.role}" for each in entry.escalation]),
    ):
        for index, value in enumerate(values):
            if value in values[:index]:
                where = document.where((key, index))
                problems.append(Problem(where, f"{value!r} stands twice", "remove one of the two"))
    raise_problems(document.path, problems)
