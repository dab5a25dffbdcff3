"""`agent init`: make a workspace."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.main import Exit


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--approver-key",
    type=click.Path(path_type=Path),
    help="Make the approver's key pair, its private half in this new file outside the workspace, and sign.",
)
@click.option("--allow", "addresses", multiple=True, help="Ops location's address or CIDR (default: this machine's).")
def command(folder: Path, approver_key: Path | None, addresses: tuple[str, ...]) -> int:
    """Make a workspace: inventory, periods, contract, state. Nothing that is there is overwritten."""
    from agent.declared import opslocation
    from agent.declared.opscheck import COMMAND, LOCATION
    from agent.declared.workspace import make_workspace
    from agent.model.errors import RefusedError

    root = folder.resolve()
    if approver_key and approver_key.resolve().is_relative_to(root):
        raise RefusedError(
            "the approver's private key must lie outside the workspace",
            where=str(approver_key),
            remedy="name a file elsewhere, best on the approver's own disk",
        )
    if addresses and not approver_key:
        raise click.UsageError("--allow needs --approver-key: an unsigned list counts for nothing")
    if approver_key and approver_key.exists():
        raise RefusedError("will not overwrite a key", where=str(approver_key), remedy="name a new file")
    for path in make_workspace(root):
        click.echo(f"wrote {folder / path}")
    if approver_key:
        opslocation.make_key(approver_key)
        opslocation.designate(root, addresses, approver_key)
        click.echo(f"signed {folder / LOCATION}; the approver keeps {approver_key}")
    else:
        click.echo(f"next: the approver designates the ops location: {COMMAND} --new-key")
    click.echo("next: fill in inventory/hosts.yaml and contract.yaml, then `agent inventory check` and `agent doctor`")
    return Exit.CLEAN
