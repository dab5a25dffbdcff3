"""A made-up scan report, rich enough that every part of the document has something to show."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from agent.model.asset import Layer
from agent.model.control import Outcome, Verdict
from agent.model.finding import Change, Finding, FindingKind, FindingState, Remediation, RiskException, Urgency
from agent.model.observation import Reason, Unreached
from agent.model.report import ChangeRow, FeedRow, Parties, RevisionRow, ScanReport, TargetRow, ToolRow, TrendPoint
from agent.model.severity import Severity

HOST, MIDDLEWARE, DATABASE, NETWORK = Layer.HOST, Layer.MIDDLEWARE, Layer.DATABASE, Layer.NETWORK

# check, title, severity, clause, actual, expected, remedy
_LINUX = (
    (
        "LIN-AC-B-01",
        "禁止 root 直接 SSH 登录",
        "high",
        "8.1.4.2-b",
        "permitrootlogin=yes",
        "no",
        "在 sshd_config 设 PermitRootLogin no，执行 sshd -t 校验后重载 sshd",
    ),
    (
        "LIN-IA-A-01",
        "不得存在空口令账号",
        "critical",
        "8.1.4.1-a",
        "空口令账号：backup、test01",
        "无",
        "为账号设置口令或执行 passwd -l 锁定",
    ),
    (
        "LIN-IA-A-10",
        "口令最长使用期限不超过 30 天",
        "medium",
        "8.1.4.1-a",
        "PASS_MAX_DAYS=99999",
        "不大于 30",
        "在 /etc/login.defs 设 PASS_MAX_DAYS 30，并用 chage 处理已有账号",
    ),
    (
        "LIN-IA-A-05",
        "口令长度不少于 18 位",
        "medium",
        "8.1.4.1-a",
        "minlen=8",
        "不小于 18",
        "在 /etc/security/pwquality.conf 设 minlen = 18",
    ),
    (
        "LIN-AU-C-02",
        "日志应发送至独立的日志服务器",
        "medium",
        "8.1.4.3-c",
        "未发现转发规则",
        "存在转发规则",
        "在 /etc/rsyslog.d/ 增加转发至日志服务器的规则",
    ),
    (
        "LIN-IP-B-03",
        "应启用主机防火墙",
        "high",
        "8.1.4.4-b",
        "nftables：无规则；firewalld：未运行",
        "存在入站过滤规则",
        "按已申报的监听端口配置 nftables 入站规则",
    ),
    (
        "LIN-IP-B-06",
        "禁用 X11 转发",
        "low",
        "8.1.4.4-b",
        "x11forwarding=yes",
        "no",
        "在 sshd_config 设 X11Forwarding no",
    ),
)
_DB = (
    (
        "PG-IA-A-03",
        "pg_hba 不得使用 trust",
        "critical",
        "8.1.4.1-a",
        "host all all 0.0.0.0/0 trust",
        "无 trust 行",
        "将 trust 改为 scram-sha-256，重载配置",
    ),
    (
        "PG-AC-D-01",
        "不得有多余的超级用户角色",
        "high",
        "8.1.4.2-d",
        "超级用户：postgres、report_app",
        "仅 postgres",
        "ALTER ROLE report_app NOSUPERUSER",
    ),
    ("PG-AU-A-01", "应记录连接与断开", "medium", "8.1.4.3-a", "log_connections=off", "on", "设 log_connections = on"),
)
_WEB = (
    (
        "NGX-IA-C-01",
        "禁用 TLS 1.0/1.1",
        "medium",
        "8.1.4.8-a",
        "ssl_protocols TLSv1 TLSv1.1 TLSv1.2",
        "TLSv1.2 TLSv1.3",
        "在 ssl_protocols 中去掉 TLSv1 与 TLSv1.1",
    ),
    ("NGX-IP-A-01", "隐藏版本号", "low", "8.1.4.4-a", "server_tokens=on", "off", "设 server_tokens off"),
)
_NAMES = (
    *(f"node-{number:02d}" for number in range(1, 9)),
    "web-01",
    "web-02",
    "app-01",
    "app-02",
    "cache-01",
    "centos-01",
    "openeuler-01",
    "kylin-01",
    "uos-01",
    "bastion-01",
    "legacy-01",
    "fax-01",
    "dns-01",
    "file-01",
    "hostile-01",
)


def _cves(start: int, count: int) -> tuple[str, ...]:
    return tuple(f"CVE-2026-{start + index:05d}" for index in range(count))


def _from(target: str, layer: Layer, row: tuple[str, ...], evidence: int, location: str = "") -> Finding:
    check, title, severity, clause, actual, expected, remedy = row
    return Finding(
        target,
        layer,
        FindingKind.CONTROL,
        check,
        location,
        title,
        Severity(severity),
        FindingState.OPEN,
        actual,
        expected,
        remedy,
        clause,
        (),
        (evidence,),
    )


def _update(target: str, package: str, severity: str, have: str, want: str, cves: tuple[str, ...], seq: int) -> Finding:
    return Finding(
        target,
        HOST,
        FindingKind.UPDATE,
        f"UPDATE:{package}",
        package,
        f"{package} 有安全更新未安装",
        Severity(severity),
        FindingState.OPEN,
        f"已安装 {have}",
        f"{want} 或更高",
        f"apt-get install --only-upgrade {package}，随后重启相关服务",
        "8.1.4.4-e",
        cves,
        (seq,),
        "来源：主机自身软件源的更新日志",
        Remediation(
            package,
            have,
            want,
            "fixed",
            "vendor",
            advisories=("DSA-1",),
            feeds=("mirror", "osv/debian"),
            packages=(f"{package} {have}",),
            cnnvd=("CNNVD-202701-001",),
            kev=cves[:1] if severity == "critical" else (),
            epss=0.42,
            score=9.8 if severity == "critical" else 7.5,
            exposed=package == "openssl",
            restart="service",
            urgency=Urgency.NOW if severity == "critical" else Urgency.PLANNED,
            risk=11.0 if severity == "critical" else 0.4,
        ),
    )


def _hostile() -> tuple[Finding, ...]:
    texts = (
        "<script>alert(1)</script> &amp; </td></tr></table>",
        "{{7*7}} {% for x in y %} ${7*7} #{7*7}",
        '#eval("1") *x* _y_ $z$ @ref <label> \\u{41} `raw`',
        "\x1b[31mred\x1b[0m \x1b]0;title\x07 bell\x07 \x00 nul",
        "rtl \u202egnp.exe\u202c \ufeff bom",
        "A" * 40_000,
        "=cmd|'/c calc'!A0",
        "\ud800 lone \ufffe \x85 \u2028 x",
        "²âÊÔ GBK \udcb2\udce2",
        "/opt/app/" + "very-long-path/" * 40,
        "第一行\n第二行\n\n第四行",
    )
    return tuple(
        Finding(
            "hostile-01",
            NETWORK,
            FindingKind.EXPOSURE,
            "EXP-LISTENER",
            f"tcp/{8000 + index} {text[:60]}",
            f"未申报的监听 {text[:60]}",
            Severity.MEDIUM,
            FindingState.OPEN,
            text,
            "清单未申报",
            text,
            "",
            (),
            (40,),
            text,
        )
        for index, text in enumerate(texts)
    )


def findings() -> tuple[Finding, ...]:
    found: list[Finding] = []
    for index, name in enumerate(_NAMES):
        if name == "legacy-01":
            continue
        seq = 10 + index
        found += [_from(name, HOST, row, seq) for row in _LINUX[index % 3 :: 1 + index % 2]]
        found.append(_update(name, "openssl", "high", "3.0.11-1~deb12u2", "3.0.19-1~deb12u1", _cves(1000, 5), seq))
        if index % 3 == 0:
            found.append(_update(name, "linux", "critical", "6.1.55-1", "6.1.170-1", _cves(20_000, 460), seq))
        if name.startswith("web"):
            found += [_from(name, MIDDLEWARE, row, seq, "nginx /etc/nginx/nginx.conf") for row in _WEB]
    found += [_from("pg-net", DATABASE, row, 35) for row in _DB]
    found.append(
        Finding(
            "legacy-01",
            HOST,
            FindingKind.COVERAGE,
            "COV-HOST",
            "",
            "主机层面未扫描",
            Severity.HIGH,
            FindingState.UNKNOWN,
            "身份认证失败",
            "可登录",
            "核对运维账号与密钥后补扫",
            "",
            (),
            (9,),
        )
    )
    found += _hostile()
    order = [*_NAMES, "maria-01", "pg-net", "pg-local"]
    return tuple(sorted(found, key=lambda item: (order.index(item.target), item.severity.rank)))


def _row(name: str, index: int, found: tuple[Finding, ...]) -> TargetRow:
    database = name in {"maria-01", "pg-net", "pg-local"}
    layers = ("database",) if database else ("host", "middleware", "network")
    engine = {"maria-01": "MariaDB 10.11.6", "pg-net": "PostgreSQL 15.14", "pg-local": "PostgreSQL 15.14"}
    failed = sum(item.target == name for item in found)
    seen = () if name == "pg-local" else ("network",) if name == "legacy-01" else layers
    return TargetRow(
        name,
        f"10.66.0.{10 + index}",
        "database" if database else "host",
        engine.get(name, "Debian GNU/Linux 12 (bookworm)") if seen and name != "legacy-01" else "",
        "政务云生产区" if index % 2 else "互联网接入区",
        "张堃",
        ("core", "important", "normal")[index % 3],
        layers,
        seen,
        0 if not seen else 61 - failed,
        failed,
        2,
        5,
        1 if name == "node-03" else 0,
        (10 + index, 40),
        ("nginx 1.22.1 /etc/nginx/nginx.conf",) if name.startswith("web") else (),
    )


def report() -> ScanReport:
    """The sample."""
    found = findings()
    order = [*_NAMES, "maria-01", "pg-net", "pg-local"]
    rows = tuple(_row(name, index, found) for index, name in enumerate(order))
    words = (Change.NEW, Change.REMAINS, Change.REMAINS, Change.RECURS)
    changes = [ChangeRow(words[index % 4], item) for index, item in enumerate(found)]
    changes += [ChangeRow(Change.FIXED, _from("node-02", HOST, row, 5)) for row in _LINUX[:3]]
    changes.append(ChangeRow(Change.UNSEEN, _from("legacy-01", HOST, _LINUX[0], 5)))
    return ScanReport(
        number="SCAN-2027-LH-01",
        parties=Parties("某市突发事件预警信息发布系统运维服务项目", "某市应急管理事务中心", "某某信息技术有限公司"),
        period_title="2027 年全国两会",
        period_dates="2027-03-04 至 2027-03-13",
        period_status="已确认",
        run="20270301-lianghui-7f3a",
        started=datetime(2027, 3, 1, 1, 2, 3, tzinfo=UTC),
        finished=datetime(2027, 3, 1, 1, 41, 9, tzinfo=UTC),
        operator="李昇赟（lishengyun）",
        scope="清单全部 26 个目标，主机、中间件、数据库、网络四个层面",
        agent_version="0.1.0",
        targets=rows,
        findings=found,
        verdicts=(
            *(Verdict("LIN-AC-B-01", name, "", Outcome.PASS, "no", "no") for name in order[3:]),
            Verdict("LIN-AU-A-03", "node-03", "", Outcome.ERROR, "", "", "auditctl：命令超时（30 秒）"),
            Verdict("LIN-DC-C-01", "node-04", "", Outcome.MANUAL, "", "", "需人工判断"),
        ),
        unreached=(
            Unreached("legacy-01", HOST, Reason.AUTH_FAILED, "Authentication failed for ops"),
            Unreached("legacy-01", MIDDLEWARE, Reason.AUTH_FAILED, "Authentication failed for ops"),
            Unreached("pg-local", DATABASE, Reason.REFUSED, "connection to 127.0.0.1:5432 refused"),
        ),
        exceptions=(
            RiskException("node-07", "LIN-IP-B-06", "", "图形化巡检工具依赖，六月底前替换", "王镕", "2027-06-30"),
        ),
        changes=tuple(changes),
        previous_run="20260925-guoqing-11c0",
        trend=(TrendPoint("2026 年国庆节", 21, 88, 61, 40), TrendPoint("2027 年春节", 12, 70, 66, 31)),
        tools=(ToolRow("nmap", "7.93", "connect 扫描"), ToolRow("OpenSSH", "9.2p1", "采集通道")),
        feeds=(
            FeedRow(
                "Debian",
                "osv/debian",
                "debian.zip",
                41234,
                "2027-02-27",
                2,
                "MIT",
                "0123456789ab",
                "未签名",
                "2027-02-28 ops",
            ),
            FeedRow(
                "麒麟公告",
                "plain/kysa",
                "kysa.csv",
                12,
                "2026-12-01",
                90,
                "",
                "ba9876543210",
                "SHA256:abc",
                "2027-02-28 ops",
            ),
        ),
        ledger_head=sha256(b"head").hexdigest(),
        ledger_seq=57,
        key_fingerprint=sha256(b"keys").hexdigest(),
        evidence=tuple(
            (10 + index, f"主机应答 {name}", sha256(name.encode()).hexdigest()) for index, name in enumerate(order)
        ),
        notes=("本机无 CAP_NET_RAW 权限，网络探测以全连接（connect）方式进行，未使用半开（SYN）扫描。",),
        authorization="运维服务合同第 4.2 条；委托单位《关于做好全国两会期间安全保障的通知》（2027-02-20）",
        revisions=(RevisionRow("V1.0", "2027-03-01", "李昇赟", "首次编制"),),
    )
