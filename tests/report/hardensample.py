"""A made-up hardening, rich enough that every part of its report has something to show."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from agent.contract.hardening import credit
from agent.model.change import Closure, Handle, Item, Planned, Risk, Step, TxState
from agent.model.control import Outcome
from agent.model.duties import Quota
from agent.model.hardening import ClosureRecord, Health, Leave, Ticket, TxRecord, Wave
from agent.model.hardenreport import (
    HandleRow,
    HardenReport,
    HardenTarget,
    ItemRow,
    PasswordRow,
    StepRow,
    TxRow,
)
from agent.model.report import Parties
from agent.model.severity import Severity

START = datetime(2027, 3, 1, 14, 2, 3, tzinfo=UTC)
HOSTS = (*tuple(f"node-{number:02}" for number in range(1, 21)), "web-01", "web-02", "bastion-01")
DATABASES = ("maria-01", "pg-net", "pg-local")
# check, title, severity, resource, group, name, before, after, risk
_TEXT = """
LIN-AC-B-01|禁止 root 直接 SSH 登录|high|sshd_option|sshd|PermitRootLogin|yes|no|lockout
LIN-IA-A-05|口令最小长度不少于 18 位|medium|pwquality|pam|minlen|8|18|account_expiry
LIN-IA-A-10|新建账户口令最长使用 30 天|medium|login_defs|accounts|PASS_MAX_DAYS|99999|30|
LIN-IP-B-04|关闭 IP 转发|low|sysctl|system|net.ipv4.ip_forward|1|0|app_break
LIN-AC-A-03|口令与组文件的权限与属主|high|file_mode|files|/etc/shadow|0644 root:root|0640 root:shadow|
UPDATE:openssl|openssl 有未安装的安全更新|critical|package|packages|openssl|3.0.11-1|3.0.19-1|restart
"""
CHANGES = tuple(tuple(line.split("|")) for line in _TEXT.strip().splitlines())
HOSTILE = '<script>alert(1)</script> {{7*7}} #eval("1") *x* \x1b[31mred \u202egnp.exe ' + "A" * 900
_PASSWORDS = tuple(row for row in CHANGES if row[3] in {"pwquality", "login_defs"})


def _digest(*words: object) -> str:
    return sha256("|".join(map(str, words)).encode()).hexdigest()


def _step(row: tuple[str, ...]) -> Step:
    _check, _title, _grade, resource, group, name, before, after, risk = row
    oneway = resource == "package"
    path = name if name.startswith("/") else f"/etc/{resource}.conf"
    handles = () if oneway else (Handle("file", (path,)), Handle("file", (f"{path}.d/99-secops.conf",)))
    risks = (Risk(risk),) if risk else ()
    told = "软件包升级不可回退" if oneway else ""
    return Step(resource, group, name, before, after, "", handles, f"{path}:12", risk=risks, irreversible=told)


def _key(target: str, check: str, number: int) -> str:
    return sha256(f"{target}{check}{number}".encode()).hexdigest()[:16]


def records(many: int) -> tuple[list[TxRecord], list[ClosureRecord]]:
    """Transactions and closures of every target; `many` further findings a target."""
    made, closed = [], []
    for place, target in enumerate((*HOSTS, *DATABASES)):
        for number, row in enumerate(CHANGES):
            step, key = _step(row), _key(target, row[0], 0)
            name = f"h{place:02}-{row[4]}-7f3a"
            state = TxState.CONFIRMED
            if (place + number) % 11 == 0:
                state = TxState.UNDONE
            if target == "web-02" and number == 0:
                state = TxState.ABSENT
            at = START + timedelta(minutes=place * 3, seconds=number * 20)
            confirmed = state is TxState.CONFIRMED
            made.append(
                TxRecord(
                    name, "harden-1", HOSTS[place % len(HOSTS)], row[4], number,
                    (Planned(Item(f"i{number}", row[3], None, target=target, control=row[0], title=row[1],
                                  findings=(key,)), (step,)),),
                    state, 1 + place % 3, sent_at=None if state is TxState.ABSENT else at,
                    ended_at=at + timedelta(seconds=9), armed_by="" if step.irreversible else "systemd-run",
                    why="" if confirmed else "sshd -t：/etc/ssh/sshd_config 第 12 行有误" if number else HOSTILE,
                    ways=("10.66.0.9:22", "经 bastion-01") if confirmed else (),
                    digests={n: (_digest(name, n), _digest(name, n, "after")) for n in (1, 2)} if step.handles else {},
                    evidence=(100 + place * 6 + number,),
                )
            )  # fmt: skip
            done = Closure.FIXED if confirmed else Closure.ROLLED_BACK
            if row[3] == "package" and place % 4 == 0 and confirmed:
                done = Closure.REBOOT
            reason = "复查未再发现" if done is Closure.FIXED else f"事务 {name} 已撤销：{made[-1].why}"
            closed.append(
                ClosureRecord(
                    "harden-1", key, target, row[0], "", row[1], Severity(row[2]), done, reason, row[6],
                    row[7] if confirmed else row[6], (name,), (10 + place,), (300 + place,), date(2027, 3, 8),
                )
            )  # fmt: skip
        others = [each for each in Closure if each not in {Closure.REBOOT, Closure.ROLLED_BACK}]
        for number in range(many):
            ended = others[number % len(others)]
            closed.append(
                ClosureRecord(
                    "harden-1", _key(target, "X", number), target, f"LIN-XX-{number % 40:02}", "/etc/x.conf",
                    f"第 {number % 40} 号检查项的标题，说明所要求的设置", list(Severity)[number % 5], ended,
                    HOSTILE if number == 3 else "需人工处理：与台账逐一核对" if ended is Closure.LEFT else "说明",
                    f"原值 {number}", f"新值 {number}" if ended is not Closure.UNVERIFIED else "", (), (10 + place,),
                    (300 + place,) if ended is not Closure.UNVERIFIED else (), date(2027, 3, 8 + number % 20),
                )
            )  # fmt: skip
    return made, closed


def tx_row(record: TxRecord) -> TxRow:
    """As the flow makes it."""
    handles = dict.fromkeys(handle for step in record.steps for handle in step.handles)
    return TxRow(
        record.id, record.host, record.group, record.wave, record.state, record.sent_at, record.ended_at,
        len(record.steps), record.armed_by, record.ways, record.why, record.evidence,
        tuple(HandleRow(h.kind, " ".join(h.args), *record.digests.get(n, ("", ""))) for n, h in enumerate(handles, 1)),
        tuple(step.irreversible for step in record.steps if step.irreversible), record.reverts, record.reverted_by,
    )  # fmt: skip


def leave(*, signed: bool = True) -> Leave:
    """What the gates let through."""
    ticket = Ticket(
        "GD-2027-031", "两会前主机与数据库安全加固", "某应急函〔2027〕12 号", START - timedelta(hours=1),
        START + timedelta(hours=6), ("*",), ("*",), _digest("plan"), "tickets/GD-2027-031-reboot.pdf", "钱七",
        signed=signed, approver="赵六" if signed else "", sha256=_digest("ticket"),
    )  # fmt: skip
    return Leave(
        ticket,
        {"freeze": "张三（项目经理）"},
        reboot=True,
        notes=("冻结期内执行，已由委托单位同意。",),
        evidence=(90, 91),
    )


def report(many: int = 6, *, signed: bool = True) -> HardenReport:
    """The sample; `many` findings a target besides those that were changed."""
    made, closed = records(many)
    targets = dict.fromkeys(HOSTS, "host") | dict.fromkeys(DATABASES, "database")
    items: dict[str, ItemRow] = {}
    for each in closed:
        row = next((row for row in CHANGES if row[0] == each.check), None)
        cves = tuple(f"CVE-2026-{1000 + n}" for n in range(12)) if each.check.startswith("UPDATE") else ()
        old = items.get(each.check)
        items[each.check] = ItemRow(
            each.check, each.title, each.severity, "8.1.4.1-a" if not cves else "8.1.4.4-e", cves,
            (Risk(row[8]),) if row and row[8] else (), "采集表 sshd：permitrootlogin", "按要求设置",
            tuple(dict.fromkeys((*(old.targets if old else ()), each.target))),
        )  # fmt: skip
    health = tuple(Health(name, ("login", "tcp/22", "tcp/443"), ()) for name in HOSTS)
    silent = (Health(health[4].host, ("login",), ("tcp/443: 拒绝",)), *health[5:])
    waves = (
        Wave(1, HOSTS[:1], health[:1], health[:1]),
        Wave(2, HOSTS[1:4], health[1:4], health[1:4]),
        Wave(3, HOSTS[4:], health[4:], silent, ("node-05 tcp/443: 拒绝",)),
    )
    return HardenReport(
        number="XH-HARDEN-20270301-7F3A",
        parties=Parties("某市突发事件预警信息发布系统运维服务项目", "某市应急管理事务中心", "某某信息技术有限公司"),
        period_title="2027 年全国两会",
        run="harden-20270301-140203-7f3a",
        scan="scan-20270301-010203-11c0",
        verify="verify-20270301-160203-22d1",
        profile="level-3-password",
        started=START,
        finished=START + timedelta(hours=3),
        operator="李昇赟（lishengyun）",
        agent_version="0.1.0",
        plan_digest=_digest("plan"),
        scan_findings=len(closed) + 4,
        leave=leave(signed=signed),
        stopped="node-05 上 tcp/443 原有应答、现无应答，已撤销该批并停止推进",
        targets=tuple(
            HardenTarget(
                name, f"10.66.0.{10 + place}", kind, HOSTS[place % len(HOSTS)],
                "Debian GNU/Linux 12 (bookworm)", "政务云生产区", "张堃",
                ("core", "important", "normal")[place % 3], "连接超时" if name == "node-07" else "",
            )
            for place, (name, kind) in enumerate(targets.items())
        ),
        closures=tuple(closed),
        items=tuple(items.values()),
        steps=tuple(
            StepRow(
                record.id, one.item.target, one.item.control, one.item.title, step.resource, step.group, step.name,
                step.before, step.after, step.source, record.state, record.reverted_by, step.irreversible,
                "重启服务后生效" if step.risk and step.risk[0] is Risk.RESTART else "",
            )
            for record in made for one in record.planned for step in one.steps
        ),
        transactions=tuple(map(tx_row, made)),
        passwords=tuple(
            PasswordRow(row[0], row[1], f"不低于 {row[7]}", name, "",
                        Outcome.PASS if place % 5 else Outcome.FAIL, row[6])
            for row in _PASSWORDS for place, name in enumerate(HOSTS) if name != "node-07"
        ),
        waves=waves,
        credit=credit(targets, Quota(23, 3), leave(signed=signed), made, closed),
        ledger_head=_digest("head"),
        ledger_seq=457,
        key_fingerprint=_digest("keys"),
        evidence=tuple((90 + n, f"加固应答 {n}", _digest(n)) for n in range(240)),
        notes=("先行主机为 node-01。",),
    )  # fmt: skip
