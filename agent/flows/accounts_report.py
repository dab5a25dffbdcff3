"""Gather what the 账号与口令报告 says: how passwords stand, who has an account where; and hand it to the renderers."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING

from agent import __version__
from agent.flows import report as scans
from agent.flows.accounts import Roster, roster
from agent.flows.hardening_report import about_passwords
from agent.flows.judge import SHANGHAI
from agent.flows.passwords import audit, status
from agent.model.account import SSH_KEY, Way
from agent.model.accountreport import AccountLine, AccountReport, PasswordLine
from agent.model.errors import AgentError
from agent.model.hardenreport import PasswordRow
from agent.model.holder import WORDS as FLAWS
from agent.model.password import WORDS as FAULTS
from agent.model.password import Fault
from agent.model.report import Parties
from agent.report import Rendered, render_accounts
from agent.store import runs
from agent.vault.standing import WORDS as STATES
from agent.vault.standing import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.app import App
    from agent.model.holder import Holding

WAYS = {
    Way.SSH: "登录验证（SSH）",
    Way.SU: "登录验证（su）",
    Way.SQL: "登录验证（数据库）",
    Way.SERVICE: "登录验证（服务）",
    Way.IN_PLACE: "就地核对",
    Way.PERSON: "人工确认",
    Way.NONE: "未验证",
}
KINDS = {
    "linux": "操作系统", "mariadb": "MariaDB", "mysql": "MySQL", "postgresql": "PostgreSQL", "redis": "Redis",
    "tomcat": "Tomcat", "manual": "设备或服务", SSH_KEY: "SSH 密钥",
}  # fmt: skip
_WAYS_IN = {"password": "口令", "key": "密钥", "open": "无口令", "local": "本机"}


def gather(app: App, run_id: str = "") -> AccountReport:
    """Everything that the 账号与口令报告 says now.

    Raises:
        AgentError: `run_id` is no round.
        RefusedError, IntegrityError: the vault does not open, or is not sound.
    """
    try:
        found = roster(app, run_id)
    except AgentError:
        if run_id:
            raise
        found = None
    now = app.clock()
    app.ledger.checkpoint()
    head = app.ledger.entries()[-1]
    parties = Parties(**{each.name: getattr(app.contract, each.name) for each in fields(Parties)})
    return AccountReport(
        number=f"ACCOUNT-{now.astimezone(SHANGHAI):%Y%m%d}-{head.seq:04d}",
        parties=parties,
        run=found.run if found else "",
        seen=found.seen_at if found else None,
        made=now,
        operator=scans.person(app, app.operator),
        agent_version=__version__,
        passwords=tuple(_passwords(app)) if app.has_vault else (),
        accounts=tuple(_account(each) for each in found.holdings if _shown(each)) if found else (),
        enforced=tuple(_enforced(app, found)) if found else (),
        targets=tuple(target.name for target in app.inventory.targets),
        unseen=found.unseen if found else ("尚无采集账号的扫描批次",),
        people=tuple(f"{name}：{FLAWS[flaw]}（{detail}）" for name, flaw, detail in found.people) if found else (),
        ledger_head=head.hash,
        ledger_seq=head.seq,
        key_fingerprint=app.ledger.keys.public.fingerprint,
    )


def render(app: App, formats: Sequence[str], *, run_id: str = "", host: str = "") -> Rendered:
    """Write the report under state/reports/accounts/.

    Raises:
        AgentError: as `gather`, or `host` is no target.
        ReportError: reconciliation failed; nothing is left under the final name.
    """
    report = gather(app, run_id)
    out = app.state / "reports" / "accounts"
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    return render_accounts(report, out, formats=tuple(formats), templates=scans.templates(app), host=host)


def _key(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode(errors="surrogatepass")).hexdigest()[:16]


def _passwords(app: App) -> Iterator[PasswordLine]:
    audited = {one.account: one for one in audit(app)}
    for one in status(app):
        account = one.account
        found = audited.get(account.id)
        faults = [FAULTS[fault] for fault in found.faults if fault is not Fault.EXPIRED] if found else []
        policy = app.password_policies[account.policy]
        way = WAYS[Way(one.way)] if one.way in set(Way) else "未验证"
        known = found is not None or account.kind == SSH_KEY  # a key that was made has no fault
        yield PasswordLine(
            key=_key("password", account.id),
            account=account.id,
            kind=KINDS[account.kind],
            person=account.person,
            policy=policy.name,
            exception=policy.exception,
            state=STATES[one.state],
            age=one.age,
            left=one.left,
            proven=one.verified[:10],
            way=way,
            faults=tuple(faults),
            conforms=known and not faults and one.left is not None and one.left >= 0,
            note=one.why if one.state in {State.OPEN, State.HELD} else "",
        )


def _shown(one: Holding) -> bool:
    return bool(one.found.ways or one.found.rights or one.flaws)


def _account(one: Holding) -> AccountLine:
    found = one.found
    return AccountLine(
        key=_key("account", found.target, found.name),
        target=found.target,
        account=found.name or "（匿名）",
        kind=KINDS[found.kind],
        people="、".join(one.people),
        ways="、".join(_WAYS_IN[way] for way in found.ways),
        rights="、".join(found.rights),
        age=found.age,
        idle={None: "", -1: "从未"}.get(found.idle, f"{found.idle} 天"),
        state=found.state,
        managed=one.managed,
        flaws=tuple(f"{FLAWS[flaw]}：{detail}" for flaw, detail in one.flaws),
    )


def _enforced(app: App, found: Roster) -> Iterator[PasswordRow]:
    controls = {control.id: control for control in app.controls if about_passwords(control)}
    for verdict in runs.verdicts(app.store, found.run):
        if verdict.control in controls:
            yield PasswordRow(
                verdict.control,
                controls[verdict.control].title,
                verdict.expected,
                verdict.target,
                verdict.location,
                verdict.outcome,
                verdict.actual or verdict.reason,
            )
