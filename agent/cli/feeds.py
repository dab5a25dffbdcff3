"""`agent feeds`: take in advisories, show what is there, carry it over the air gap."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.main import Exit
from agent.cli.table import echo_table
from agent.model.text import one_line

if TYPE_CHECKING:
    from agent.app import App
    from agent.flows.feeds import Change, FeedAge, Took

SHOWN = 20
"""Most refused files that are printed without -v."""


@click.group()
def command() -> None:
    """Import feeds of advisories, show their age and origin, bundle them for the air gap."""


@command.command()
@click.option("--json", "as_json", is_flag=True, help="For machines: one object.")
@click.pass_obj
def status(app: App, as_json: bool) -> int:
    """Show each feed: what it is, how old, from where, under which licence, by whom imported.

    Exit codes: 0 all are fresh, 1 none was imported, or one is older than 30 days or bears no date.
    """
    from agent.flows import feeds

    rows = feeds.ages(app)
    if as_json:
        found = [asdict(row.status) | {"age_days": row.days, "stale": row.stale} for row in rows]
        click.echo(json.dumps({"digest": app.feeds.digest(), "feeds": found}, ensure_ascii=False))
    elif not rows:
        click.echo("no feed was imported yet: what is not in a host's own mirror cannot be matched")
        click.echo("  remedy: bring feeds or a bundle on a disk, then `agent feeds import PATH...` (docs/feeds.md)")
    else:
        _echo_status(rows)
        click.echo(f"store {app.feeds.digest()[:12]}")
    return Exit.FINDINGS if not rows or any(row.stale for row in rows) else Exit.CLEAN


def _echo_status(rows: tuple[FeedAge, ...]) -> None:
    head = ("ecosystem", "feed", "records", "newest", "age", "licence", "sha256", "signature", "imported", "source")
    echo_table(head, [_cells(row) for row in rows])
    stale = sum(row.stale for row in rows)
    if stale:
        click.echo(f"{stale} of {len(rows)} feeds are stale: older than 30 days, or without a date")


def _fingerprint(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise click.BadParameter("a fingerprint is the 64 hexadecimal digits that `agent feeds bundle` printed")
    return value


def _short(text: str, cap: int) -> str:
    line = one_line(text)
    return line if len(line) <= cap else line[: cap - 1] + "…"


def _cells(row: FeedAge) -> tuple[str, ...]:
    one = row.status
    age = "unknown" if row.days is None else f"{row.days} d"
    return (
        _short(one.ecosystem, 30),
        _short(one.feed, 40),
        str(one.records),
        one.newest[:10] or "-",
        f"{age} STALE" if row.stale else age,
        _short(one.licence, 30) or "-",
        one.sha256[:12],
        one.signature[:16],
        f"{one.imported_at[:10]} {_short(one.imported_by, 20)}",
        _short(one.source, 60),
    )


@command.command("import")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--trust",
    default="",
    metavar="FINGERPRINT",
    callback=_fingerprint,
    help="Take bundles signed by this key, whose fingerprint its maker told you.",
)
@click.option("-v", "--verbose", is_flag=True, help="List what was left out or not recognised.")
@click.option("--json", "as_json", is_flag=True, help="For machines: one object.")
@click.pass_obj
def import_feeds(app: App, paths: tuple[Path, ...], trust: str, verbose: bool, as_json: bool) -> int:
    """Take in files, folders, archives and bundles; each format is recognised by its content.

    One import is one transaction: all of it or, when a PATH itself is broken, nothing. Inside folders and archives a
    broken file is refused alone and named. Importing the same again changes nothing, an older document replaces none.
    A bundle of this workspace is taken when it verifies; one of another needs --trust, each time, with the fingerprint
    that its maker told you by another way than the bundle.

    Formats: OSV, OVAL, CSAF and CSAF-VEX, CVRF (openEuler, Microsoft), updateinfo.xml, Debian's tracker and DSA lists,
    NVD 2.0, CVE 5, KEV, EPSS, endoflife.date, CNNVD, Bitnami, nginx, OpenSSL, and a table of one's own
    (docs/feeds.md); as they are, or in zip, tar, gz, xz, zst, bz2.

    Exit codes: 0 all was taken, 2 a PATH is broken or nothing is a feed (nothing was changed), 3 files were refused.
    """
    from agent.flows import feeds

    with _progress(quiet=as_json) as watch:
        took = feeds.take_in(app, paths, trust=trust, watch=watch)
    if as_json:
        click.echo(json.dumps(_as_data(took), ensure_ascii=False))
    else:
        _echo_took(took, verbose=verbose)
    return Exit.INCOMPLETE if took.imported.refused else Exit.CLEAN


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """One line on a terminal: which document is being read; nothing in cron or a pipe."""
    if quiet or not sys.stderr.isatty():
        yield lambda _name, _records: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status("reading") as line:

        def watch(name: str, records: int) -> None:
            told = Text(f"{one_line(name)[-90:]}  {records:,} records" if records else one_line(name)[-90:])
            told.no_wrap, told.overflow = True, "ellipsis"
            line.update(told)

        yield watch


def _echo_took(took: Took, *, verbose: bool) -> None:
    imported, result = took.imported, took.imported.result
    if took.changes:
        head = ("feed", "ecosystem", "documents", "records", "newest", "licence")
        echo_table(head, [_change_cells(change) for change in took.changes])
    click.echo(
        f"documents: {result.new} new, {result.replaced} replaced, {result.unchanged} unchanged, {result.older} older"
    )
    click.echo(f"records: added {_counts(result.added)}; removed {_counts(result.removed)}")
    for change in took.changes:
        if change.shrunk:
            click.echo(
                f"WARNING: {change.name} lost more than half of its records: is the file whole, and its maker's?"
            )
    listed = imported.refused if verbose else imported.refused[:SHOWN]
    for place, reason in listed:
        click.echo(f"refused: {one_line(place)}: {one_line(reason)}")
    if len(imported.refused) > len(listed):
        click.echo(f"refused: {len(imported.refused) - len(listed)} more, see -v")
    if verbose:
        for name, reason in result.skipped:
            click.echo(f"left out: {one_line(name)}: {one_line(reason)}")
        for name in imported.unrecognised:
            click.echo(f"no feed: {one_line(name)}")
    elif imported.unrecognised:
        click.echo(f"{len(imported.unrecognised)} files are no feed of a known format (-v lists them)")
    click.echo(f"store {took.digest[:12]}, sealed as entry {took.evidence}")


def _change_cells(change: Change) -> tuple[str, ...]:
    after, before = change.after, change.before
    told = after or before
    if told is None:
        return ("",) * 6
    documents = (after.documents if after else 0) - (before.documents if before else 0)
    records = (after.records if after else 0) - (before.records if before else 0)
    return (
        _short(told.feed, 40),
        _short(told.ecosystem, 30),
        f"{after.documents if after else 0} ({documents:+d})",
        f"{after.records if after else 0} ({records:+d})",
        (after.newest[:10] if after else "gone") or "-",
        _short(told.licence, 30) or "-",
    )


def _counts(numbers: Any) -> str:  # noqa: ANN401 - a mapping of kinds to numbers
    return ", ".join(f"{count} {kind}" for kind, count in sorted(numbers.items())) or "none"


def _as_data(took: Took) -> dict[str, Any]:
    imported = took.imported
    return {
        "digest": took.digest,
        "evidence": took.evidence,
        "result": asdict(imported.result) | {"skipped": [list(one) for one in imported.result.skipped]},
        "feeds": [asdict(change.after) for change in took.changes if change.after],
        "shrunk": [change.name for change in took.changes if change.shrunk],
        "gone": [change.name for change in took.changes if change.after is None],
        "refused": [{"place": place, "reason": reason} for place, reason in imported.refused],
        "unrecognised": list(imported.unrecognised),
    }


@command.command("bundle")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("paths", metavar="[PATH...]", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For machines: one object.")
@click.pass_obj
def make_bundle(app: App, out: Path, paths: tuple[Path, ...], as_json: bool) -> int:
    """Write OUT, one signed and dated file with the feeds of PATH..., or with all that was imported here.

    It is signed with this workspace's evidence key. Hand the fingerprint over by another way than the bundle.

    Exit codes: 0 written, 2 error, 3 something that was imported here was too large to be kept, and is not in it.
    """
    from agent.flows import feeds

    info = feeds.bundle(app, out, paths)
    if as_json:
        click.echo(json.dumps(asdict(info) | {"path": str(out), "size": out.stat().st_size}, ensure_ascii=False))
    else:
        echo_table(
            ("file", "bytes", "sha256", "feeds"),
            [(one.name, str(one.size), one.sha256[:12], _short(", ".join(one.feeds), 60)) for one in info.files],
        )
        for left in info.left_out:
            click.echo(f"{'no feed' if paths else 'left out'}: {one_line(left)}")
        click.echo(f"wrote {out}: {len(info.files)} files, {out.stat().st_size} bytes, made {info.made} by {info.by}")
        click.echo(f"signer's fingerprint, to be handed over apart from it: {info.fingerprint}")
        click.echo(f"elsewhere: agent feeds import {out.name} --trust {info.fingerprint}")
    # Of named folders, what is no feed (a licence, a note) is left out by right.
    return Exit.INCOMPLETE if info.left_out and not paths else Exit.CLEAN
