"""`agent match`: judge a bare package list against the imported feeds, without a host."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.main import Exit

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.bare import Judged


@click.command("match")
@click.option("--os", "system", required=True, metavar="ID:VERSION", help="As in os-release: debian:12, rhel:8.9, ...")
@click.option(
    "--packages",
    "path",
    type=click.Path(path_type=Path, allow_dash=True),
    help="The list: rpm -qa, dpkg-query -W, dpkg -l, a dpkg status file; Windows: a list of KBs. `-`: standard input.",
)
@click.option("--kernel", default="", help="`uname -r` of the running kernel (default: the newest installed).")
@click.option("--product", default="", help="Windows: the product's name, `Windows Server 2016`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a finding, one a line.")
@click.pass_obj
def command(app: App, system: str, path: Path | None, kernel: str, product: str, as_json: bool) -> int:
    """Judge a package list that somebody brought against the imported feeds.

    \b
    Lists that tell all:
      rpm -qa --queryformat '%{NAME} %{EPOCHNUM} %{VERSION} %{RELEASE} %{ARCH} %{SOURCERPM} %{MODULARITYLABEL}\\n'
      dpkg-query -W -f='${binary:Package},${db:Status-Abbrev},${Version},${source:Package},${source:Version}\\n'

    Exit codes: 0 nothing found, 1 findings, 2 error, 3 no feed speaks of that system (nothing was judged).
    """  # noqa: D301 - Click reads the escape that keeps lines
    from agent.flows.bare import judge_list

    judged = judge_list(app, system, path, kernel=kernel, product=product)
    rows = [_shown(judged, index) for index in range(len(judged.matches))]
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    else:
        _table(rows)
    for note in judged.notes:
        click.echo(f"agent: {note}", err=True)
    if not judged.streams:
        return Exit.INCOMPLETE
    return Exit.FINDINGS if rows else Exit.CLEAN


def _shown(judged: Judged, index: int) -> dict[str, Any]:
    one = judged.matches[index]
    known = [judged.cves[cve] for cve in one.cves if cve in judged.cves]
    return {
        "advisory": one.advisory,
        "cves": list(one.cves),
        "package": one.package,
        "source_package": one.source,
        "arch": one.arch,
        "installed": one.installed,
        "fixed": one.fixed,
        "confidence": one.confidence.value,
        "status": one.status.value,
        "severity": judged.grades[index].value,
        "score": max((fact.score for fact in known if fact.score is not None), default=one.score),
        "kev": [fact.cve for fact in known if fact.kev],
        "epss": max((fact.epss for fact in known if fact.epss is not None), default=None),
        "cnnvd": sorted({fact.cnnvd for fact in known if fact.cnnvd}),
        "fix": one.fix,
        "stream": one.stream,
        "feed": one.feed,
        "title": one.title,
        "url": one.url,
    }


def _table(rows: list[dict[str, Any]]) -> None:
    from agent.cli.table import echo_table

    if not rows:
        return
    echo_table(
        ("grade", "package", "installed", "fixed", "advisory", "cves", "confidence"),
        [
            (
                row["severity"],
                row["package"],
                row["installed"],
                row["fixed"] or row["fix"] or row["status"],
                row["advisory"],
                _some(row["cves"]),
                row["confidence"],
            )
            for row in rows
        ],
    )
    if sys.stdout.isatty():
        click.echo(f"{len(rows)} findings in {len({row['source_package'] for row in rows})} source packages")


def _some(cves: list[str], cap: int = 3) -> str:
    more = f" +{len(cves) - cap}" if len(cves) > cap else ""
    return " ".join(cves[:cap]) + more
