"""Files in which programs keep the password of an account: compared and rewritten in place, under commit-confirm.

Secrets stand in scripts alone, which travel on standard input; a step's own words and the undo file hold none. The
captures do (the file as it was), in the transaction's folder that is root's alone: `forget` takes them away.
"""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import quote as percent

from agent.change.library import TXROOT, modules
from agent.change.transaction import Transaction
from agent.model.change import Act, Handle, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model.account import Dependent
    from agent.model.secret import Secret

MARK = "pw-"
"""Begins the ids of these transactions."""
LIBRARY = ("secretfile",)
WAIT = 20
"""Seconds in which a program must serve again."""


def preamble() -> str:
    """What `ask`, `say` and `forget` stand on."""
    head = f"TX=none; TXROOT=$R{TXROOT}\nhandles() {{ :; }}; acts() {{ :; }}\n"
    return head + modules(LIBRARY)


def _given(secrets: Sequence[str]) -> str:
    """The builtin printf: no argument of any process."""
    return "printf '%s\\n' " + " ".join([str(len(secrets)), *map(quote, secrets)])


def ask(place: Dependent, known: Sequence[Secret]) -> str:
    """Print the file's real path, and which of the secrets it holds: a number, `other`, `absent` or `twice`."""
    given = _given([secret.reveal() for secret in known])
    return f"""_f=$(sf_file {quote(place.file)}) || exit 4
printf '%s\\n' "$_f"; {given} | sf_ask get "$_f" {place.form} {quote(place.key)}"""


def say(place: Dependent) -> str:
    """Print what the file holds: for one who takes it into the vault."""
    return f"""_f=$(sf_file {quote(place.file)}) || exit 4
printf '%s\\n' 0 | sf_ask say "$_f" {place.form} {quote(place.key)}"""


def forget() -> str:
    """Take away the captures of what is over."""
    return "sf_forget"


def holder() -> str:
    """Print the transaction that holds the target, where it is one of these."""
    return f'_x=$(readlink "$TXROOT/lock") || exit 0; case $_x in {MARK}*) echo "$_x" ;; esac; :'


def rewriting(tx: str, places: Sequence[tuple[Dependent, str]], secret: Secret, ttl: int) -> Transaction:
    """The transaction that puts a new password into files of one host.

    Args:
        tx: its id, beginning with MARK.
        places: each with the file's real path.
        secret: the new one.
        ttl: seconds after which the target puts the old ones back.
    """
    steps = []
    for place, real in places:
        text = percent(secret.reveal(), safe="") if place.form == "url" else secret.reveal()
        port = place.probe.removeprefix("tcp/")
        handles = [Handle("file", (real,))]
        if place.service:
            handles.append(Handle("unit", (place.service,)))
        serves = f"sf_serves {quote(place.service)} {quote(port)} {WAIT}" if place.service or port else ""
        steps.append(
            Step(
                "secret_file",
                "files",
                f"{real} {place.key}",
                "***",
                "***",
                f"{_given([text])} | sf_put {quote(real)} {place.form} {quote(place.key)}",
                handles=tuple(handles),
                confirm=serves,
                acts=(Act("serve", (place.service, "restart" if place.restart else "reload")),)
                if place.service
                else (),
            )
        )
    return Transaction(tx, tuple(steps), LIBRARY, ttl=ttl)
