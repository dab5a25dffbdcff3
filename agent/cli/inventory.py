"""`agent inventory`: list, check and ping what the inventory declares; designate the ops location."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.main import Exit
from agent.cli.table import echo_table
from agent.model.asset import Database, Host, Target
from agent.model.text import decode, one_line

if TYPE_CHECKING:
    from agent.app import App

SECONDS = 5.0
"""For connect and banner of one target together."""
AT_ONCE = 32


@click.group()
def command() -> None:
    """List, check or ping what the inventory declares."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def list_(app: App, as_json: bool) -> int:
    """List hosts and databases, defaults applied."""
    targets = app.inventory.targets
    if as_json:
        click.echo(json.dumps([{"kind": t.kind, **asdict(t)} for t in targets], ensure_ascii=False, indent=2))
        return Exit.CLEAN
    rows = [
        (
            target.name,
            target.kind,
            f"{target.address or 'tunnel'}:{target.port}",
            target.engine if isinstance(target, Database) else target.transport,
            target.host if isinstance(target, Database) else target.bastion,
            " ".join(layer.value for layer in target.layers),
            target.importance,
            target.owner,
        )
        for target in targets
    ]
    echo_table(("name", "kind", "address", "by", "through", "layers", "importance", "owner"), rows)
    return Exit.CLEAN


@command.command()
@click.pass_obj
def check(app: App) -> int:
    """Read every declared file of the workspace and name what is wrong."""
    from agent.declared import load_people
    from agent.declared.tickets import load_tickets
    from agent.model.errors import AgentError

    readers: dict[str, Callable[[], str]] = {
        "inventory": lambda: f"{len(app.inventory.hosts)} hosts, {len(app.inventory.databases)} databases",
        "people": lambda: f"{len(load_people(app.root))} people",
        "contract": lambda: app.contract.project,
        "periods": lambda: f"{len(app.periods)} periods",
        "exceptions": lambda: f"{len(app.exceptions)} accepted risks",
        "playbooks": lambda: f"{len(app.controls)} controls",
        "hardening": lambda: f"profile {app.policy.profile}, {len(app.policy.service_accounts)} service accounts",
        "tickets": lambda: f"{len(load_tickets(app.root))} tickets",
    }
    wrong = 0
    for name, read in readers.items():
        try:
            click.echo(f"{name}: {read()}")
        except AgentError as error:
            wrong += 1
            click.echo(f"{name}: {error}", err=True)
    return Exit.ERROR if wrong else Exit.CLEAN


def _knock(target: Target) -> tuple[str, str]:
    """Connect and read a banner within SECONDS; return state (`ok`, `silent`, `failed`, `skipped`) and detail."""
    if isinstance(target, Host) and target.transport == "local":
        return "ok", "this machine"
    if (isinstance(target, Host) and target.bastion) or (isinstance(target, Database) and target.tunnel):
        way = target.bastion if isinstance(target, Host) else target.host
        return "skipped", f"reached through {way} only; a scan tells"
    end = time.monotonic() + SECONDS
    try:
        with socket.create_connection((target.address, target.port), timeout=SECONDS) as peer:
            if not isinstance(target, Host) or target.transport == "winrm":
                return "ok", "port open"
            return _banner(peer, end)
    except OSError as error:
        return "failed", "no answer in time" if isinstance(error, TimeoutError) else one_line(
            error.strerror or str(error)
        )


def _banner(peer: socket.socket, end: float) -> tuple[str, str]:
    """Read up to the line `SSH-...` (RFC 4253, 4.2: other lines may come before it)."""
    got = b""
    while len(got) < 8192 and (left := end - time.monotonic()) > 0:  # noqa: PLR2004 - bytes, far more than any banner
        peer.settimeout(left)
        try:
            piece = peer.recv(1024)
        except TimeoutError:
            break
        if not piece:
            break
        got += piece
        for line in got.split(b"\n")[:-1]:
            if line.startswith(b"SSH-"):
                return "ok", one_line(decode(line), 120)
    shown = one_line(decode(got), 120)
    return "silent", f"port open, but no SSH banner{f'; it said {shown}' if shown else ''}"


@command.command()
@click.option("--target", "names", multiple=True, help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def ping(app: App, names: tuple[str, ...], as_json: bool) -> int:
    """Connect to each target's port, 5 seconds at most; log in nowhere."""
    from agent.model.errors import AgentError

    app.require_ops_location()
    known = {target.name: target for target in app.inventory.targets}
    if strange := [name for name in names if name not in known]:
        raise AgentError(f"no target {', '.join(strange)} in the inventory", remedy="see `agent inventory list`")
    targets = [known[name] for name in names] or list(known.values())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(_knock, targets))
    if as_json:
        rows = [{"name": t.name, "state": s, "detail": d} for t, (s, d) in zip(targets, answers, strict=True)]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        shown = [(t.name, s, f"{t.address}:{t.port}", d) for t, (s, d) in zip(targets, answers, strict=True)]
        echo_table(("name", "state", "address", "detail"), shown)
    return Exit.INCOMPLETE if any(state in {"failed", "silent"} for state, _ in answers) else Exit.CLEAN


@command.command("ops-location")
@click.option("--approver-key", type=click.Path(path_type=Path), required=True, help="Approver's private key (PEM).")
@click.option("--new-key", is_flag=True, help="Make that key first; the file must be new and outside the workspace.")
@click.option("--allow", "addresses", multiple=True, help="Address or CIDR to list besides those listed.")
@click.option("--only", is_flag=True, help="List the --allow addresses alone, drop those listed before.")
@click.pass_obj
def ops_location(app: App, approver_key: Path, new_key: bool, addresses: tuple[str, ...], only: bool) -> int:
    """Designate from where targets may be reached, signed by the approver.

    The first call lists this machine's addresses unless --allow names others; without
    --allow a list that is there is signed as it stands.
    """
    from agent.declared import opslocation
    from agent.declared.opscheck import LOCATION
    from agent.model.errors import RefusedError

    if new_key and approver_key.resolve().is_relative_to(app.root):
        raise RefusedError(
            "the approver's private key must lie outside the workspace",
            where=str(approver_key),
            remedy="name a file elsewhere, best on the approver's own disk",
        )
    if only and not addresses:
        raise click.UsageError("--only needs --allow")
    if new_key:
        opslocation.make_key(approver_key)
    listed = opslocation.designate(app.root, addresses, approver_key, only=only)
    click.echo(f"signed {LOCATION}: {', '.join(listed)}")
    return Exit.CLEAN
