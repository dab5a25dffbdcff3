"""The whole chain in one go: raise the lab, scan, report, verify; without the lab, this machine itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from agent import lab
from agent.declared import opslocation, tickets
from agent.declared.files import write_atomic
from agent.declared.tickets import TicketFile
from agent.declared.workspace import make_workspace
from agent.flows import accounts_report, feeds, gates, harden, hardening_report, report, rotation, scan
from agent.flows.engine import advance
from agent.flows.planning import Wanted
from agent.model.asset import Layer
from agent.vault import keyfile, opening, slots

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.app import App
    from agent.flows.changing import Watcher as ChangeWatcher
    from agent.flows.feeds import Took
    from agent.flows.harden import Done
    from agent.flows.rotation import Rotated
    from agent.flows.rotation import Watcher as RotationWatcher
    from agent.flows.scan import Watcher
    from agent.flows.summary import Summary
    from agent.model.evidence import Verification
    from agent.model.period import Period
    from agent.report import Rendered


MENDED = ("LIN-*", "NGX-*", "TOM-*", "RDS-*", "MYS-*", "PG-*", "UPDATE:openssl")
"""What the demo hardens: every control, and of the package upgrades one, since each takes its minutes."""

LOCAL_HOSTS = """\
schema_version: 1
hosts:
- name: this-machine
  address: 127.0.0.1
  transport: local
  become: {method: none}
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the demo made."""

    summary: Summary
    rendered: Rendered
    verification: Verification


@dataclass(frozen=True, slots=True)
class Hardened:
    """What the demo hardened."""

    done: Done
    rendered: Rendered


def raise_lab(app: App, echo: Callable[[str], None]) -> None:
    """Bring the lab up and let this machine be its designated ops location."""
    lab.up(app.root, echo=echo)
    allow_here(app.root)


def take_feeds(app: App) -> Took:
    """Import the lab's disk of feeds."""
    return feeds.take_in(app, [lab.write_disk(app.state / "lab" / "feeds")])


def allow_here(root: Path) -> None:
    """Sign this machine's addresses as the ops location of a workspace of the lab, with the lab's own key."""
    opslocation.allow_for_lab(root, root / "state" / "lab" / "approver.pem")


def local_workspace(root: Path) -> Path:
    """A workspace that holds this machine alone, reached by the local transport."""
    folder = root / "state" / "local"
    if not (folder / "inventory" / "hosts.yaml").exists():
        make_workspace(folder)
        write_atomic(folder / "inventory" / "hosts.yaml", LOCAL_HOSTS.encode())
    allow_here(folder)
    return folder


def run(app: App, period: Period, watch: Watcher) -> Shown:
    """Scan everything, render three formats, verify the evidence."""
    targets = app.inventory.targets
    plan = scan.Plan(
        period.id, tuple(target.name for target in targets), tuple(Layer), f"{report.shown_targets(targets)}（全部）"
    )
    summary = advance(app, scan.begin(app, period, plan), watch)
    rendered = report.render(app, summary.run, ("html", "docx", "pdf"))
    return Shown(summary, rendered, app.ledger.verify())


def change_passwords(app: App, watch: RotationWatcher) -> tuple[list[Rotated], Rendered]:
    """Give managed accounts of the lab new passwords, but for those with which the agent itself logs in, and report.

    The lab's own credentials stay in their file: each lab that is raised has others. A vault is made where none is.
    """
    if not app.has_vault:
        ledger, key = app.ledger, app.vault_key  # the ledger's keys are made first: they want an empty folder
        public = slots.public_of(keyfile.read(key)) if key.exists() else keyfile.write(key)
        zones = sorted({target.zone for target in app.inventory.targets if target.zone})
        made = [slots.with_key("keyfile", slots.KEYFILE, public)]
        app.vault = opening.create(app.store, ledger, made, zones, app.clock)
    mine = [account for account in app.accounts if account.kind != "manual" and not account.own_login]
    done = rotation.rotate(app, mine, watch, reason="演练")
    return done, accounts_report.render(app, ("html", "docx", "pdf"))


def harden_lab(app: App, scan_run: str, watch: ChangeWatcher, echo: Callable[[str], None]) -> Hardened:
    """Plan what a scan of the lab found, have the lab's approver sign a ticket for it, do it, and report."""
    plan = harden.begin(app, scan_run, Wanted(checks=MENDED, restart=True))
    now = app.clock()
    number = f"DEMO-{plan.run.rpartition('-')[2]}"
    body = TicketFile(
        schema_version=1,
        number=number,
        title="两会前安全加固（演练）",
        reference="甲方函〔2027〕1 号（虚构）",
        start=now - timedelta(minutes=1),
        end=now + timedelta(hours=4),
        targets=tuple(sorted({one.item.target for one, _ in plan.steps})),
        plan_digest=plan.digest,
        requested_by=app.operator,
    )
    tickets.write(app.root, body)
    name = tickets.sign(app.root, number, app.root / "state" / "lab" / "approver.pem", app.operator)
    echo(f"plan      {plan.run}: {len(plan.steps)} changes; ticket {number} signed by {name}")
    done = harden.apply(app, plan, gates.leave(app, plan, ticket=number, freeze_by=name, now=app.clock()), watch, echo)
    return Hardened(done, hardening_report.render(app, plan.run, ("html", "docx", "pdf")))
