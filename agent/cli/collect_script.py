"""`agent collect-script`: the collector as one file, for hosts that cannot be reached."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agent.app import App


@click.command("collect-script")
@click.option("--target", default="", help="The host of the inventory it is for; without it, import needs --target.")
@click.option("-o", "out", type=click.Path(path_type=Path), help="Write this file instead of standard output.")
@click.pass_obj
def command(app: App, target: str, out: Path | None) -> None:
    """Print the collector for a person to run by hand; import its answer with `agent observe import`.

    It only reads. On the host, as root: sh collect.sh answer.txt
    """
    from agent.declared.files import write_atomic
    from agent.flows import brought
    from agent.model.errors import RefusedError

    script = brought.collector(app, target).encode()
    if out is None:
        click.echo(script, nl=False)
        return
    if out.exists() or out.is_symlink():
        raise RefusedError("will not overwrite it", where=str(out), remedy="name a new file")
    write_atomic(out, script)
    click.echo(f"wrote {out}  sha256 {hashlib.sha256(script).hexdigest()}", err=True)
    click.echo("on the host, as root: sh collect.sh answer.txt   then here: agent observe import answer.txt", err=True)
