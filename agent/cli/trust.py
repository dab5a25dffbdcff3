"""`agent trust`: pin a host's key after a person has compared its fingerprint."""

from __future__ import annotations

import click

from agent.app import App
from agent.model.errors import AgentError, RefusedError

_DEADLINE = 20.0


@click.command("trust")
@click.argument("host")
@click.option("--fingerprint", help="Pin only if the host shows this one (SHA256:..., from its console).")
@click.option("--yes", is_flag=True, help="Pin what it shows, unseen: only where the network is known to be yours.")
@click.option("--replace", is_flag=True, help="Drop the key pinned before; without it a changed key is refused.")
@click.option("--timeout", default=_DEADLINE, show_default=True, help="Seconds for the whole call.")
@click.pass_obj
def command(app: App, host: str, fingerprint: str | None, yes: bool, replace: bool, timeout: float) -> None:
    """Fetch HOST's key, show its fingerprint, and pin it once you confirm.

    Compare the fingerprint with what the host itself says, at its console:
    ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
    """
    app.require_ops_location()
    try:
        target = app.inventory.host(host)
    except KeyError:
        raise AgentError("no such host", where=host, remedy="see `agent inventory list`") from None
    if target.transport not in {"ssh", "ssh-legacy"}:
        raise AgentError(f"transport {target.transport} has no SSH host key", where=host)
    pins = app.sessions.pins
    key = app.sessions.fetch_key(target, timeout)
    pinned = pins.pinned(target)
    click.echo(f"{host} ({target.address}:{target.port}) shows {key.kind} {key.fingerprint}")
    if fingerprint and fingerprint != key.fingerprint:
        raise RefusedError(
            f"the host shows {key.fingerprint}, not {fingerprint}",
            where=host,
            remedy="nothing was pinned; find out which machine answers there",
        )
    if key in pinned:
        click.echo("it is pinned already")
        return
    for old in pinned:
        click.echo(f"pinned before: {old.kind} {old.fingerprint}")
    if pinned and not replace:
        raise RefusedError(
            "the host key has changed",
            where=host,
            remedy="find out why; if it is right, run again with --replace and --fingerprint",
        )
    if not (fingerprint or yes):
        typed = click.prompt("type the fingerprint that the host's console shows", default="", show_default=False)
        if typed.strip() != key.fingerprint:
            raise RefusedError("not confirmed; nothing was pinned", where=host, remedy="compare the fingerprints again")
    pins.pin(target, key, replace=replace)
    click.echo(f"pinned in {pins.path}")
