"""`agent evidence`: verify, show, list and export what was sealed."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from agent.cli.main import Exit
from agent.ledger import verify_export
from agent.model.text import clean, decode, one_line

if TYPE_CHECKING:
    from agent.app import App
    from agent.model.evidence import Evidence, Verification

SHANGHAI = ZoneInfo("Asia/Shanghai")


@click.group()
def command() -> None:
    """Verify, show or export sealed evidence.

    Exit codes: 0 all is well, 2 flaws (each is printed) or an error.
    """


@command.command()
@click.argument("export_dir", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def verify(app: App, export_dir: Path | None, as_json: bool) -> int:
    """Verify the ledger, or EXPORT_DIR against this workspace's keys and last known head."""
    ledger = app.ledger
    public, anchor = ledger.keys.public, ledger.anchor
    found = verify_export(export_dir, public, anchor) if export_dir else ledger.verify()
    click.echo(json.dumps(_as_data(found), ensure_ascii=False) if as_json else _as_text(found))
    return Exit.CLEAN if found.ok else Exit.ERROR


@command.command()
@click.argument("seq", type=click.IntRange(min=1))
@click.option("--raw", is_flag=True, help="The payload to the letter (hostile bytes included) on standard output.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def show(app: App, seq: int, raw: bool, as_json: bool) -> None:
    """Show entry SEQ: what it is and, cleaned, what was sealed."""
    payload = app.ledger.open(seq)
    if raw:
        sys.stdout.buffer.write(payload)
        return
    entry, subject, text = app.ledger.entry(seq), app.ledger.subject(seq), clean(decode(payload))
    if as_json:
        click.echo(json.dumps(_entry(entry) | {"subject": one_line(subject), "text": text}, ensure_ascii=False))
        return
    click.echo(f"entry    {entry.seq}")
    click.echo(f"at       {_local(entry.at)}")
    click.echo(f"kind     {one_line(entry.kind)}")
    click.echo(f"run      {one_line(entry.run)}")
    click.echo(f"subject  {one_line(subject)}")
    click.echo(f"size     {entry.size} bytes")
    click.echo(f"blob     {entry.blob}")
    click.echo(f"hash     {entry.hash}")
    click.echo("")
    click.echo(text, nl=not text.endswith("\n"))


@command.command("list")
@click.option("--run", help="Only the entries of this run.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one object a line.")
@click.pass_obj
def list_entries(app: App, run: str | None, as_json: bool) -> None:
    """List the entries of the chain."""
    for entry in app.ledger.entries(run):
        if as_json:
            click.echo(json.dumps(_entry(entry), ensure_ascii=False))
        else:
            row = f"{entry.seq:>6}  {_local(entry.at)}  {one_line(entry.kind):<10}  {entry.size:>9}"
            click.echo(f"{row}  {entry.hash[:16]}  {one_line(entry.run)}")


@command.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--run", help="With --with-content: only the content of this run.")
@click.option("--with-content", is_flag=True, help="Add the decrypted payloads: the folder is then confidential.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def export(app: App, out: Path, run: str | None, with_content: bool, as_json: bool) -> None:
    """Write a folder OUT that anybody verifies with openssl and sha256sum (sh OUT/verify.sh)."""
    ledger = app.ledger
    if run is not None and not ledger.entries(run):
        raise click.BadParameter(f"no entry belongs to run {run!r}", param_hint="--run")
    folder = ledger.export(out, run, content=with_content)
    fingerprint = ledger.keys.public.fingerprint
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "fingerprint": fingerprint}, ensure_ascii=False))
        return
    click.echo(f"exported to {folder}")
    click.echo(f"signer's key fingerprint, to be handed over apart from it: {fingerprint}")
    click.echo(f"verify with: sh {folder}/verify.sh -k {fingerprint}")


def _local(at: datetime) -> str:
    return f"{at.astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


def _entry(entry: Evidence) -> dict[str, Any]:
    return asdict(entry) | {"at": entry.at.isoformat()}


def _as_data(found: Verification) -> dict[str, Any]:
    head_at = found.head_at.isoformat() if found.head_at else None
    return {"ok": found.ok} | asdict(found) | {"head_at": head_at}


def _as_text(found: Verification) -> str:
    lines = [f"FLAW  {one_line(flaw.place)}: {one_line(flaw.problem)}" for flaw in found.flaws]
    at = _local(found.head_at) if found.head_at else "-"
    lines.append(f"{found.entries} entries, {found.blobs} blobs, {found.checkpoints} checkpoints")
    lines.append(f"head {one_line(found.head)} of {at} (Asia/Shanghai)")
    lines.append("verified" if found.ok else f"NOT VERIFIED: {len(found.flaws)} flaws")
    return "\n".join(lines)
