"""From an AccountReport to its view; pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from agent.model.accountreport import AccountLine, AccountReport, PasswordLine
from agent.model.errors import ReportError
from agent.report import hardentables
from agent.report.hardenview import PolicyRow, PolicyTarget
from agent.report.words import percent


@dataclass(frozen=True, slots=True)
class PasswordView:
    """A password's row."""

    number: int
    line: PasswordLine
    word: str
    css: str


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account's row."""

    number: int
    line: AccountLine
    css: str


@dataclass(frozen=True, slots=True)
class TargetView:
    """The accounts of one target."""

    name: str
    rows: tuple[AccountView, ...]
    flawed: int


@dataclass(frozen=True, slots=True)
class AccountsView:
    """What the template reads besides the report."""

    single: str
    passwords: tuple[PasswordView, ...]
    conforming: int
    share: str
    states: tuple[tuple[str, int], ...]
    targets: tuple[TargetView, ...]
    flawed: int
    policy: tuple[PolicyRow, ...]
    policy_targets: tuple[PolicyTarget, ...]


def narrowed(report: AccountReport, host: str) -> AccountReport:
    """The report of one target alone.

    Raises:
        ReportError: nothing is known of such a target.
    """
    if host not in report.targets:
        raise ReportError(f"no target {host!r}", remedy=f"name one of: {'、'.join(report.targets)}")
    return replace(
        report,
        passwords=tuple(each for each in report.passwords if each.account.rpartition("@")[2].partition("/")[0] == host),
        accounts=tuple(each for each in report.accounts if each.target == host),
        enforced=tuple(each for each in report.enforced if each.target == host),
        targets=(host,),
        unseen=tuple(each for each in report.unseen if each.startswith(f"{host}:")),
    )


def derive(report: AccountReport, *, single: str = "") -> AccountsView:
    """Compute what the template shows; rows are numbered over both tables."""
    passwords = tuple(
        PasswordView(number, line, "达标" if line.conforms else "未达标", "good" if line.conforms else "high")
        for number, line in enumerate(report.passwords, 1)
    )
    number = len(passwords)
    targets = []
    for name in dict.fromkeys(line.target for line in report.accounts):
        rows = []
        for line in report.accounts:
            if line.target == name:
                number += 1
                rows.append(AccountView(number, line, "high" if line.flaws else "good"))
        targets.append(TargetView(name, tuple(rows), sum(bool(row.line.flaws) for row in rows)))
    conforming = sum(line.conforms for line in report.passwords)
    return AccountsView(
        single=single,
        passwords=passwords,
        conforming=conforming,
        share=percent(conforming, len(passwords)),
        states=tuple(Counter(line.state for line in report.passwords).items()),
        targets=tuple(targets),
        flawed=sum(target.flawed for target in targets),
        policy=hardentables.policy(report.enforced),
        policy_targets=hardentables.policy_targets(report.targets, report.enforced),
    )


def keys(report: AccountReport) -> list[str]:
    """Keys of all rows, in the order in which the template shows them."""
    place = {name: index for index, name in enumerate(dict.fromkeys(line.target for line in report.accounts))}
    accounts = sorted(report.accounts, key=lambda line: place[line.target])
    return [*(line.key for line in report.passwords), *(line.key for line in accounts)]


def draw(name: str, _report: AccountReport, _view: AccountsView) -> tuple[str, float, float] | None:
    """It has no chart: KeyError."""
    raise KeyError(name)
