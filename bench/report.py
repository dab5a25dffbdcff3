"""How long a report of 2,760 made-up findings takes, and how much memory its child process.

Run: python bench/report.py [FINDINGS-PER-HOST]. Exit code 1 when a goal is missed.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agent.model.asset import Layer
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.report import Parties, ScanReport, TargetRow
from agent.model.severity import Severity
from agent.report import render_scan

GOALS = {"html": 0.5, "pdf": 5.0, "docx": 5.0}
"""Seconds; `html` is counted with the document tree, the others without."""
PEAK = 600 * 1024
"""KiB."""


def _finding(host: int, number: int) -> Finding:
    update = number % 2 == 0
    package = f"package-{number:03d}"
    return Finding(
        f"node-{host:02d}",
        (Layer.HOST, Layer.HOST, Layer.MIDDLEWARE, Layer.NETWORK)[number % 4],
        FindingKind.UPDATE if update else FindingKind.CONTROL,
        f"UPDATE:{package}" if update else f"LIN-AC-B-{number:02d}",
        package if update else "",
        f"{package} 有安全更新未安装" if update else f"第 {number} 项配置不符合要求",
        list(Severity)[number % 4],
        FindingState.OPEN,
        f"已安装 1.{host}.{number}-1~deb12u1"
        if update
        else f"permitrootlogin=yes（/etc/ssh/sshd_config.d/{host}.conf）",
        f"1.{host}.{number}-1~deb12u2 或更高" if update else "no",
        "安装更新并重启相关服务；更新前在测试环境验证，按工单执行",
        "8.1.4.4-e" if update else "8.1.4.2-b",
        tuple(f"CVE-2026-{10_000 + number * 7 + index}" for index in range(number % 12)) if update else (),
        (host, 30),
    )


def made_up(hosts: int, each: int) -> ScanReport:
    """A report of `hosts` targets with `each` findings."""
    findings = tuple(_finding(host, number) for host in range(1, hosts + 1) for number in range(each))
    layers = ("host", "middleware", "network")
    return ScanReport(
        number="BENCH", parties=Parties("性能测试", "委托单位", "服务单位"), period_title="测试", period_dates="—",
        period_status="测试", run="bench", started=datetime(2027, 3, 1, tzinfo=UTC),
        finished=datetime(2027, 3, 1, 1, tzinfo=UTC), operator="bench", scope="全部", agent_version="0",
        targets=tuple(
            TargetRow(f"node-{host:02d}", f"10.0.0.{host}", "host", "Debian 12", "z", "o", "normal", layers, layers,
                      60, each, 0, 0, 0, (host, 30))
            for host in range(1, hosts + 1)
        ),
        findings=findings, verdicts=(), unreached=(), exceptions=(), changes=(), previous_run="", trend=(), tools=(),
        feeds=(), ledger_head="0" * 64, ledger_seq=30, key_fingerprint="1" * 64,
        evidence=tuple((host, f"主机应答 node-{host:02d}", "0" * 64) for host in range(1, hosts + 1)),
    )  # fmt: skip


def main() -> int:
    """Print the figures, one a line."""
    report = made_up(23, int(sys.argv[1]) if len(sys.argv) > 1 else 120)
    with tempfile.TemporaryDirectory() as folder:
        begun = perf_counter()
        done = render_scan(report, Path(folder))
        whole = perf_counter() - begun
        sizes = {kind: path.stat().st_size / 1024 for kind, path in done.paths.items()}
    steps = dict(done.seconds)
    figures = {"html": steps["tree"] + steps["html"], "pdf": steps["pdf"], "docx": steps["docx"]}
    missed = 0
    print(f"report of {done.findings} findings, {done.pages} pages")
    for kind, goal in GOALS.items():
        missed += figures[kind] > goal
        print(f"{kind:5} {figures[kind]:6.2f} s  (goal {goal} s)  {sizes[kind]:8.0f} KiB")
    missed += done.peak > PEAK
    print(f"tree {steps['tree']:.2f} s, gate {steps['gate']:.2f} s, whole with process start {whole:.2f} s")
    print(f"child's peak {done.peak / 1024:.0f} MiB  (goal {PEAK / 1024:.0f} MiB)")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
