"""What opens the vault without or with people: a key file, systemd's credentials, a prompt, the environment.

In this order: `$CREDENTIALS_DIRECTORY/secops-vault-key` (systemd.exec(5), LoadCredentialEncrypted=), the key file
of the workspace, a prompt, and last `$AGENT_VAULT_PASSPHRASE`, with a warning: every child and core file holds it too.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.model.errors import RefusedError, StoreError
from agent.model.secret import Secret
from agent.store.files import fsync_folder, write_private
from agent.vault import slots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE = "vault.key"
CREDENTIAL = "secops-vault-key"
VARIABLE = "AGENT_VAULT_PASSPHRASE"


@dataclass(frozen=True, slots=True)
class Key:
    """Something that may open a slot."""

    source: str
    """Where it is from, for messages."""
    private: bytes = b""
    passphrase: Secret | None = None

    def __repr__(self) -> str:
        """Name where it is from, and nothing else."""
        return f"Key({self.source})"


def find(file: Path, environ: Mapping[str, str], ask: Callable[[], Secret | None], warn: Callable[[str], None]) -> Key:
    """The first of what is there.

    Args:
        file: the workspace's key file.
        environ: the environment.
        ask: asks who sits at the terminal; None where nobody does.
        warn: takes a warning.

    Raises:
        RefusedError: there is nothing, or a key file is not its owner's alone.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    for path in (Path(folder, CREDENTIAL) if folder else None, file):
        if path is not None and path.exists():
            return Key(str(path), private=read(path))
    said = ask()
    if said is not None:
        return Key("the prompt", passphrase=said)
    text = environ.get(VARIABLE)
    if text:
        warn(f"{VARIABLE} is readable by every process of this user; a key file or systemd's credentials are not")
        return Key(VARIABLE, passphrase=Secret(text))
    raise RefusedError(
        "the vault is locked, and nothing here opens it",
        where=str(file),
        remedy="put the key file back, give the passphrase at a terminal, or see docs/passwords.md for cron",
    )


def write(file: Path) -> bytes:
    """Make a key file, 0400, durably; its public half.

    Raises:
        RefusedError: there is one already.
        StoreError: it cannot be written.
    """
    private = slots.new_private()
    if file.is_file():
        raise RefusedError("there is a key file already", where=str(file), remedy="move it away, or name another")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(file, private.hex().encode() + b"\n", 0o400)
        fsync_folder(file.parent)
    except OSError as error:
        raise StoreError(f"cannot write the key file ({error.strerror})", where=str(file)) from error
    return slots.public_of(private)


def read(file: Path) -> bytes:
    """The private half in a key file.

    Raises:
        RefusedError: it is a link, another's, open to others, or no key.
    """
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise RefusedError(f"the key file cannot be read ({error.strerror})", where=str(file)) from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise RefusedError("the key file is no plain file", where=str(file))
        if found.st_uid not in {os.geteuid(), 0}:
            raise RefusedError(f"the key file belongs to user id {found.st_uid}", where=str(file), remedy="chown it")
        if found.st_mode & 0o077:
            raise RefusedError(
                f"the key file is open to others (mode {stat.S_IMODE(found.st_mode):04o})",
                where=str(file),
                remedy=f"chmod 0400 {file}, and think of who may have read it: agent vault remove-slot, then a new one",
            )
        text = os.read(handle, 1000)
    finally:
        os.close(handle)
    try:
        private = bytes.fromhex(text.decode("ascii").strip())
    except ValueError as error:
        raise RefusedError("this is no key file of a vault", where=str(file)) from error
    slots.public_of(private)
    return private
