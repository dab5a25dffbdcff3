"""Passwords that no program can set (VPN, mail, devices): a person does it, guided, and says that it works."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.flows.passwords import known_names
from agent.model.account import Way
from agent.model.errors import AgentError, RefusedError
from agent.vault.generate import CHARACTERS, generate
from agent.vault.vault import PENDING, WHOLE, New

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app import App
    from agent.model.account import Managed
    from agent.model.secret import Secret
    from agent.vault.records import Row

TAIL = 6
"""Characters that a person types again out of what the login took: enough to tell that it was this one."""
_LARGEST = 20 << 20
"""Bytes of a file of proof."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a person is to set, kept already."""

    account: Managed
    row: Row
    secret: Secret
    again: bool
    """It was offered before, and nobody has said how that ended."""


def offer(app: App, account: Managed, *, length: int = 0, special: str | None = None) -> Offer:
    """The new password of a manual account; the one that is pending already, where there is one.

    Args:
        app: the workspace.
        account: of kind `manual`.
        length: characters that the device takes; 0: as the policy and the kind ask for.
        special: special characters that it takes; None: those of the kind.

    Raises:
        RefusedError: it is of another kind, or the device takes less than the policy asks for.
        StoreError: it cannot be kept; nothing was.
    """
    if account.kind != "manual":
        raise RefusedError("a program can change it", where=account.id, remedy="agent password rotate --account ...")
    app.vault.sound()
    pending = [row for row in app.vault.versions([account.id]).get(account.id, []) if row.state == PENDING]
    if pending:
        return Offer(account, pending[0], app.vault.reveal(pending[0]), again=True)
    rules = CHARACTERS["manual"] if special is None else replace(CHARACTERS["manual"], special=special)
    policy = app.password_policies[account.policy]
    secret = generate(rules, policy, names=(*known_names(app), account.user, account.target), length=length)
    zone = account.zone or WHOLE
    app.vault.add_zone(zone)
    row = app.vault.pend([New(account.id, zone, secret)])[account.id]
    return Offer(account, row, secret, again=False)


def same_tail(made: Offer, typed: Secret) -> bool:
    """Whether the last characters that a person typed are those of the offer."""
    return typed.reveal() == made.secret.reveal()[-TAIL:]


def confirm(app: App, made: Offer, *, proof: Path | None = None) -> Row:
    """A person logged in with it: it is current. A file of proof is sealed beside the statement.

    Raises:
        AgentError: the file cannot be read, or is larger than 20 MiB; nothing was changed.
        RefusedError: it is not pending any more.
    """
    body = {"account": made.account.id, "version": made.row.version, "by": app.operator, "way": Way.PERSON.value}
    blob = _proof(proof) if proof else b""
    if blob:
        body |= {"proof": proof.name if proof else "", "sha256": hashlib.sha256(blob).hexdigest()}
        app.ledger.seal("manual-proof", blob, subject=made.account.id)
    (row,) = app.vault.promote_all([made.row], why={made.account.id: Way.PERSON.value})
    app.ledger.seal("manual-rotation", json.dumps(body, ensure_ascii=False).encode(), subject=made.account.id)
    app.ledger.checkpoint()
    return row


def give_up(app: App, made: Offer, why: str) -> Row:
    """The device kept the old one: the offer is void, and kept a while."""
    return app.vault.void(made.row, f"{why}（{app.operator}）")


def _proof(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise AgentError("larger than 20 MiB", where=str(path), remedy="a picture of the device's own page will do")
        return path.read_bytes()
    except OSError as error:
        raise AgentError(f"cannot be read: {error.strerror}", where=str(path)) from None
