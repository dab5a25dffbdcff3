"""What `agent accounts offboard` shows, asks the gates, and says at the end."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from agent.cli.ending import interruptible, leave
from agent.cli.harden import watcher_of_changes
from agent.cli.main import Exit, say
from agent.cli.table import echo_table
from agent.model.change import Why

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.offboarding import Departure, Left


def run(
    app: App,
    person: str,
    targets: tuple[str, ...],
    ticket: str | None,
    unsigned_by: str,
    freeze_by: str,
    *,
    finish: bool,
    applied: bool,
    as_json: bool,
) -> int:
    """Plan, and do it where that is asked for; the exit code."""
    from agent.flows import gates, offboarding

    departure = offboarding.begin(app, person, targets=targets, finish=finish)
    if not (as_json and applied):
        _show(departure, as_json=as_json)
    if not applied:
        if departure.plan.steps and not as_json:
            say(f"nothing was changed. A ticket for it: agent ticket new NUMBER --plan {departure.plan.run} ...")
        return _planned(departure)
    allowed = gates.leave(
        app, departure.plan, ticket=ticket, unsigned_by=unsigned_by, freeze_by=freeze_by, now=app.clock()
    )
    for note in allowed.notes:
        say(f"note: {note}", err=True)

    def echo(text: str) -> None:
        if not as_json:
            say(text, err=True)

    try:
        with interruptible():
            left = offboarding.apply(app, departure, allowed, watcher_of_changes(quiet=as_json), echo)
    except KeyboardInterrupt:
        say("\ninterrupted; what was not confirmed is undone by the targets themselves. Run it again.", err=True)
        leave()
    return _tell(left, as_json=as_json)


def _planned(departure: Departure) -> int:
    if departure.unseen:
        return Exit.INCOMPLETE
    todo = any(one.steps or (one.skip and one.skip.why is not Why.DONE) for one in departure.plan.planned)
    return Exit.FINDINGS if todo or departure.people else Exit.CLEAN


def _show(departure: Departure, *, as_json: bool) -> None:
    plan = departure.plan
    if as_json:
        body = {
            "run": plan.run,
            "round": plan.scan,
            "person": departure.person.name,
            "digest": plan.digest,
            "steps": [[one.item.target, step.name, step.before, step.after] for one, step in plan.steps],
            "skipped": [
                [claim.found.target, claim.found.name, one.skip.why.value, one.skip.text]
                for one, claim in zip(plan.planned, departure.mine, strict=True)
                if one.skip
            ],
            "people": departure.people,
            "unseen": departure.unseen,
        }
        say(json.dumps(body, ensure_ascii=False))
        return
    rows = [
        (one.item.target, step.name, step.before, step.after, "不可回退" if step.irreversible else "")
        for one, step in plan.steps
    ]
    if rows:
        echo_table(("target", "what", "now", "will be", ""), rows)
    for one, claim in zip(plan.planned, departure.mine, strict=True):
        if one.skip:
            say(f"{claim.found.target} {claim.found.name}: {one.skip.why.zh}（{one.skip.text}）")
    say(f"plan    {plan.run}  {len(rows)} changes, {len(departure.mine)} accounts, from {plan.scan}")
    say(f"digest  {plan.digest}")
    _rest(departure)


def _rest(departure: Departure) -> None:
    for what, remedy in departure.people:
        say(f"left to people: {what}: {remedy}")
    for line in departure.unseen:
        say(f"not seen: {line}", err=True)


def _tell(left: Left, *, as_json: bool) -> int:
    departure = left.departure
    if as_json:
        body = {
            "run": departure.plan.run,
            "person": departure.person.name,
            "done": left.done,
            "accounts": [asdict(one) for one in left.accounts],
            "people": departure.people,
            "unseen": departure.unseen,
            "stopped": left.stopped,
            "evidence": left.evidence,
        }
        say(json.dumps(body, ensure_ascii=False))
    else:
        for one in left.accounts:
            say(f"{one.state:<8} {one.target} {one.account}" + (f"  {one.why}" if one.why else ""))
        _rest(departure)
        say(f"run     {departure.plan.run}, sealed as evidence {left.evidence}")
        if left.stopped:
            say(f"stopped: {left.stopped}", err=True)
        word = "deleted" if departure.finish else "closed"
        if left.done:
            say(f"done: every account that was found is {word}, looked at afresh ({len(left.accounts)})")
        elif not left.complete:
            say("not done: some targets are not known; run it again when they answer", err=True)
        else:
            say("not done: see above; run it again", err=True)
    if not left.complete:
        return Exit.INCOMPLETE
    return Exit.CLEAN if left.done and not departure.people else Exit.FINDINGS
