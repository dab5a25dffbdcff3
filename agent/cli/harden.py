"""`agent harden`: plan what a scan found, and do it under a ticket."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from agent.cli.ending import interruptible, leave
from agent.cli.main import Exit, say
from agent.cli.table import echo_table as table

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app import App
    from agent.flows.changing import Event
    from agent.flows.harden import Done
    from agent.model.hardening import HardenPlan, Leave


@click.command("harden")
@click.option("--from-scan", "scan_run", help="Run of the scan whose findings are to be mended.")
@click.option("--target", "targets", multiple=True, help="Only this host or database; may be given again.")
@click.option("--control", "checks", multiple=True, help="Only this control or check, `*` allowed; may be given again.")
@click.option("--profile", default="", help="level-3, level-3-password, or one of hardening.yaml.")
@click.option("--restart", is_flag=True, help="Services may be restarted where a setting needs it.")
@click.option("--apply", "applied", is_flag=True, help="Do it. Without this nothing on a target is changed.")
@click.option("--ticket", help="Number of the change ticket that covers it.")
@click.option("--unsigned-by", default="", help="Who allowed work under an unsigned ticket (shown as 未验签).")
@click.option("--freeze-by", default="", help="Who allowed work inside an important period.")
@click.option("--resume", "resume", help="Settle and go on with a hardening that was cut off.")
@click.option("--list", "listed", help="Show the transactions of a hardening run.")
@click.option("--details", is_flag=True, help="Show also what is skipped, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def command(
    app: App,
    scan_run: str | None,
    targets: tuple[str, ...],
    checks: tuple[str, ...],
    profile: str,
    restart: bool,
    applied: bool,
    ticket: str | None,
    unsigned_by: str,
    freeze_by: str,
    resume: str | None,
    listed: str | None,
    details: bool,
    as_json: bool,
) -> int:
    """Mend what a scan found: a plan first; with --apply and a ticket, a canary host, then waves.

    Every change is confirmed over a fresh login or undone by the target itself; then what was
    touched is looked at afresh.

    Exit codes: 0 nothing left to do, 1 something is left, 2 error or refused, 3 something is not known.
    """
    from agent.flows import gates, harden
    from agent.flows.judge import run_or_latest
    from agent.flows.planning import Wanted

    if listed:
        return _list(app, listed, as_json=as_json)
    if resume and (scan_run or targets or checks):
        raise click.UsageError("--resume goes with no other choice of work: the run keeps its own plan")
    app.require_ops_location()
    if resume:
        plan = harden.load(app, resume)
    else:
        wanted = Wanted(tuple(targets), tuple(checks), profile, restart)
        plan = harden.begin(app, run_or_latest(app, scan_run), wanted)
    _show(plan, as_json=as_json, details=details)
    if not (applied or resume):
        if not as_json:
            say(f"nothing was changed. A ticket for it: agent ticket new NUMBER --plan {plan.run} ...")
        return _left(plan)
    if not plan.steps and not resume:
        return _left(plan)
    allowed = gates.leave(app, plan, ticket=ticket, unsigned_by=unsigned_by, freeze_by=freeze_by, now=app.clock())
    return _apply(app, plan, allowed, as_json=as_json)


def _left(plan: HardenPlan) -> int:
    if plan.unread:
        return Exit.INCOMPLETE
    return Exit.FINDINGS if plan.planned else Exit.CLEAN


def _apply(app: App, plan: HardenPlan, allowed: Leave, *, as_json: bool) -> int:
    from agent.flows import harden

    for note in allowed.notes:
        say(f"note: {note}", err=True)

    def echo(text: str) -> None:
        if not as_json:
            say(text, err=True)

    try:
        with interruptible():
            done = harden.apply(app, plan, allowed, watcher_of_changes(quiet=as_json), echo)
    except KeyboardInterrupt:
        say(
            "\ninterrupted; what was not confirmed is undone by the targets themselves. "
            f"Then: agent harden --resume {plan.run} --ticket ...",
            err=True,
        )
        leave()
    tell(app, done, as_json=as_json)
    if not done.settled:
        return Exit.INCOMPLETE
    from agent.model.change import Closure
    from agent.store import changes

    good = {Closure.FIXED, Closure.ACCEPTED}
    left = [one for one in changes.closures(app.store, plan.run) if one.closure not in good]
    return Exit.FINDINGS if left or done.stopped else Exit.CLEAN


def watcher_of_changes(*, quiet: bool) -> Callable[[Event], None]:
    """Tell how each transaction ended, a line each, unless quiet."""

    def watch(event: Event) -> None:
        if not quiet and event.state not in {"begin", "look"}:
            detail = f"  {event.detail}" if event.detail else ""
            say(f"  {event.state:<10} {event.host:<14} {event.group}{detail}", err=True)

    return watch


def _show(plan: HardenPlan, *, as_json: bool, details: bool) -> None:
    if as_json:
        from agent.store.changes import planned_to_dict

        body = {
            "run": plan.run,
            "scan": plan.scan,
            "digest": plan.digest,
            "planned": [planned_to_dict(one) for one in plan.planned],
            "unread": dict(plan.unread),
        }
        click.echo(json.dumps(body, ensure_ascii=False, default=str))
        return
    rows = []
    for one, step in plan.steps:
        risk = "、".join(each.zh for each in step.risk)
        more = "不可回退" if step.irreversible else ""
        rows.append((one.item.target, one.item.control, step.name, step.before, step.after, risk, more))
    if rows:
        table(("target", "control", "what", "now", "will be", "risk", ""), rows)
    if details:
        table(
            ("target", "control", "not done", "why"),
            [(p.item.target, p.item.control, p.skip.why.zh, p.skip.text) for p in plan.planned if p.skip],
        )
    counts = Counter(one.skip.why.value for one in plan.planned if one.skip)
    hosts = len({plan.hosts[one.item.target] for one, _ in plan.steps})
    say(f"plan    {plan.run}  {len(plan.steps)} changes on {hosts} hosts, from {plan.scan}")
    say(f"digest  {plan.digest}")
    if counts:
        say("skipped " + ", ".join(f"{word} {count}" for word, count in sorted(counts.items())) + " (--details)")
    for host, why in plan.unread.items():
        say(f"not read: {host}: {why}", err=True)


def tell(app: App, done: Done, *, as_json: bool) -> None:
    """Print how a hardening ended."""
    from agent.store import changes

    states = Counter(one.state.value for one in done.transactions)
    ends = Counter(one.closure.value for one in changes.closures(app.store, done.run))
    if as_json:
        body = {
            "run": done.run,
            "verify": done.verify,
            "stopped": done.stopped,
            "transactions": dict(states),
            "closures": dict(ends),
        }
        click.echo(json.dumps(body, ensure_ascii=False))
        return
    say(f"run     {done.run}" + (f", looked at afresh by {done.verify}" if done.verify else ""))
    say("transactions  " + ", ".join(f"{word} {count}" for word, count in sorted(states.items())))
    say("findings      " + ", ".join(f"{word} {count}" for word, count in sorted(ends.items())))
    if done.stopped:
        say(f"stopped: {done.stopped}", err=True)
    if not done.settled:
        say(f"not all is known; ask again: agent harden --resume {done.run} --ticket ...", err=True)


def _list(app: App, run: str, *, as_json: bool) -> int:
    from agent.store import changes

    records = changes.of_run(app.store, run)
    if as_json:
        rows = [
            {
                "id": one.id,
                "host": one.host,
                "group": one.group,
                "state": one.state.value,
                "why": one.why,
                "reverted_by": one.reverted_by,
                "evidence": one.evidence,
                "steps": [
                    [p.item.target, p.item.control, s.name, s.before, s.after] for p in one.planned for s in p.steps
                ],
            }
            for one in records
        ]
        click.echo(json.dumps(rows, ensure_ascii=False))
    else:
        table(
            ("transaction", "host", "group", "state", "changes", "why"),
            [
                (
                    one.id,
                    one.host,
                    one.group,
                    one.state.value + (" (taken back)" if one.reverted_by else ""),
                    str(len(one.steps)),
                    one.why,
                )
                for one in records
            ],
        )
    return Exit.CLEAN if all(one.state.settled for one in records) else Exit.INCOMPLETE
