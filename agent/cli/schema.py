"""`agent schema`: JSON Schemas of declared files, for editors."""

from __future__ import annotations

import json

import click

from agent.cli.main import Exit


@click.command()
@click.argument("name", required=False)
def command(name: str | None) -> int:
    """Print the JSON Schema of a declared file; without NAME, list the names."""
    from agent.declared import schemas
    from agent.model.errors import AgentError

    known = schemas()
    if name is None:
        click.echo("\n".join(known))
        return Exit.CLEAN
    if name not in known:
        raise AgentError(f"no declared file {name!r}", remedy=f"name one of: {', '.join(known)}")
    click.echo(json.dumps(known[name], ensure_ascii=False, indent=2))
    return Exit.CLEAN
