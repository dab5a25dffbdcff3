"""Hosts that cannot be reached: a script that a person runs by hand, and the answer that comes back as a round.

What is brought counts as a collection: sealed, judged from what was sealed, with who brought it
beside it. It is no fresh look, so its age is told, and one older than a later look is refused.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from agent.flows import scan
from agent.flows.held import held
from agent.flows.judge import SHANGHAI, judge
from agent.flows.summary import Summary, summary_of
from agent.ledger import Item
from agent.model.asset import Host, Layer
from agent.model.errors import AgentError, UnreachedError
from agent.model.session import Result
from agent.model.text import one_line
from agent.observe import byhand
from agent.observe import host as hosts
from agent.store import runs

if TYPE_CHECKING:
    from agent.app import App
    from agent.observe.byhand import Brought

OLDEST = timedelta(days=30)
"""An older answer says too little of how the host is now."""
LIMIT = 64 * 1024 * 1024
"""Most bytes of an answer; a large host's has some 3 MiB."""
LAYERS = (Layer.HOST, Layer.MIDDLEWARE)
INVENTORY = "inventory/hosts.yaml"


@dataclass(frozen=True, slots=True)
class Checked:
    """An answer that may be imported."""

    file: str
    host: Host
    answer: Brought
    payload: bytes
    taken: datetime
    """By the host's own clock."""
    age: timedelta
    """Negative when the host's clock is ahead."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of an answer."""

    run: str
    checked: Checked
    summary: Summary
    known: bool
    """It had been imported before; nothing was done."""


def collector(app: App, target: str = "") -> str:
    """The script for one host of the inventory, or for any (empty).

    Raises:
        AgentError: there is no such host.
        DeclaredError: a playbook is wrong.
    """
    if target:
        _declared(app, target, "--target")
    nonce = secrets.token_hex(12)
    made = f"{app.clock().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return byhand.script(hosts.script(app.controls, nonce), nonce=nonce, target=target, made=made)


def _declared(app: App, name: str, where: str) -> Host:
    host = next((one for one in app.inventory.hosts if one.name == name), None)
    if host is None:
        raise AgentError(
            f"no host named {name!r} in {INVENTORY}",
            where=where,
            remedy="declare it there, or name the right one of `agent inventory list` with --target",
        )
    return host


def check(app: App, path: Path, target: str = "", *, old: bool = False) -> Checked:
    """Read an answer, and see whether it may be imported; nothing is changed.

    Args:
        path: the file that the script wrote.
        target: whose it is, where the script was made for any host.
        old: take it though it is old, or older than a look that is recorded.

    Raises:
        AgentError: broken, changed, of another host or of none that is declared, or too old.
    """
    where = str(path)
    try:
        with path.open("rb") as stream:
            raw = stream.read(LIMIT + 1)
    except OSError as error:
        raise AgentError(f"cannot be read ({error.strerror})", where=where, remedy="check its name and mode") from None
    if len(raw) > LIMIT:
        raise AgentError(f"more than {LIMIT >> 20} MiB: this is no answer of the collector", where=where)
    answer = byhand.read(raw, where)
    if target and answer.target and answer.target != target:
        raise AgentError(
            f"the answer is of {answer.target!r}, for which its script was made, and not of {target!r}",
            where=where,
            remedy="leave --target out, or name the other file",
        )
    if not (target or answer.target):
        message = f"its script was made for any host, and the host calls itself {answer.host!r}"
        raise AgentError(message, where=where, remedy="say which host of the inventory it is with --target NAME")
    host = _declared(app, target or answer.target, where)
    if not set(LAYERS) & set(host.layers):
        raise AgentError(f"{host.name} is declared without host and middleware level", where=where)
    payload = hosts.pack(
        Result(0, answer.stdout, answer.stderr, float(max(0, answer.ended - answer.begun))), answer.nonce
    )
    try:
        hosts.facts(host.name, payload)
    except UnreachedError as error:
        remedy = "run the script again on the host, and see what it says there"
        raise AgentError(
            f"the collector did not come to its end: {error.message}", where=where, remedy=remedy
        ) from None
    try:
        taken = datetime.fromtimestamp(answer.begun, UTC)
    except (ValueError, OverflowError, OSError):
        raise AgentError("its time is no time", where=where, remedy="mend the host's clock, run it again") from None
    checked = Checked(path.name, host, answer, payload, taken, app.clock() - taken)
    if not old and not _known(app, answer.sha256):
        _refuse_old(app, checked, where)
    return checked


def _refuse_old(app: App, checked: Checked, where: str) -> None:
    """Old news must not pass for a fresh look: what has changed since would read as mended, or as back."""
    if checked.age > OLDEST:
        message = f"taken {days(checked.age)} days ago by the host's clock ({checked.taken:%Y-%m-%d %H:%M} UTC)"
        raise AgentError(
            message, where=where, remedy="run the script again on the host, or take it as it is with --old"
        )
    for run in runs.latest_runs(app.store, "scan"):
        row = run.summary.get("per_target", {}).get(checked.host.name, {})
        if "host" not in row.get("seen", ()):
            continue
        # A round that was itself brought is as old as its answer.
        when = datetime.fromisoformat(run.plan["brought"]["taken"]) if run.plan.get("brought") else run.started_at
        if when > checked.taken:
            message = f"a later look at {checked.host.name} is recorded: {run.id}, of {when:%Y-%m-%d %H:%M} UTC"
            raise AgentError(message, where=where, remedy="run the script again on the host, or import it with --old")


def days(age: timedelta) -> int:
    """Whole days, towards zero."""
    return int(age / timedelta(days=1))


def _known(app: App, digest: str) -> str:
    """The run that holds this answer; empty when there is none."""
    found = (
        run.id for run in runs.latest_runs(app.store, "scan") if run.plan.get("brought", {}).get("sha256") == digest
    )
    return next(found, "")


def take(app: App, checked: Checked, by: str) -> Imported:
    """Seal an answer with who brought it, judge it, and close its round.

    The same answer again finds its round and, if that was cut off, ends it.

    Args:
        checked: from `check`.
        by: who brought it.

    Raises:
        AgentError: what sealing and judging raise.
    """
    app.controls, app.exceptions  # noqa: B018 - a wrong file is told before anything is written
    known = _known(app, checked.answer.sha256)
    run_id = known or _begin(app, checked, one_line(by, 80))
    with held(app.state, run_id):
        run = runs.run_by_id(app.store, run_id)
        if run.state == "closed":
            return Imported(run_id, checked, summary_of(app, run_id), known=True)
        name = checked.host.name
        if any(task.state == "waiting" for task in runs.tasks(app.store, run_id)):
            record = json.dumps(run.plan["brought"], ensure_ascii=False, sort_keys=True)
            sealed = app.ledger.seal_many(
                [
                    Item("brought", record.encode(), run_id, name),
                    Item("host", checked.payload, run_id, name),
                ]
            )
            runs.finish_task(
                app.store, run_id, name, "host", state="done", at=app.clock(), evidence=sealed[1].seq,
                nonce=checked.answer.nonce,
            )  # fmt: skip
        return Imported(run_id, checked, judge(app, run_id), known=False)


def _begin(app: App, checked: Checked, by: str) -> str:
    answer, now = checked.answer, app.clock()
    plan = scan.Plan(
        "",
        (checked.host.name,),
        tuple(layer for layer in LAYERS if layer in checked.host.layers),
        "带回的采集结果",
        brought={
            "by": by,
            "at": now.astimezone(UTC).isoformat(),
            "operator": app.operator,
            "target": checked.host.name,
            "file": one_line(checked.file, 120),
            "sha256": answer.sha256,
            "nonce": answer.nonce,
            "made": answer.made,
            "host": answer.host,
            "uid": answer.uid,
            "taken": checked.taken.isoformat(),
            "note": _note(checked, by, now, app.operator),
        },
    )
    return scan.begin(app, None, plan)


def _note(checked: Checked, by: str, now: datetime, operator: str) -> str:
    """What the report must say of it."""
    answer = checked.answer
    imported, taken = (f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" for at in (now, checked.taken))
    ahead = days(-checked.age) if checked.age < timedelta() else 0
    age = f"该主机时钟比本机快 {ahead} 天以上，采集时间不可靠" if ahead else f"距导入 {max(0, days(checked.age))} 天"
    rights = "" if answer.uid == "0" else "；采集时不是 root，仅 root 可读的内容未采集"
    return (
        f"{checked.host.name} 的结果不是本机采集，由 {by} 于 {imported} 带回、{operator} 导入；"
        f"主机自称 {answer.host}，采集于 {taken}（{age}）{rights}。"
        f"文件 SHA-256：{answer.sha256}（可发现传输损坏，不是签名）。"
    )
