"""What every account has now as a KeePass database, for emergencies without this program."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from agent.model.errors import RefusedError, StoreError
from agent.store.files import fsync_folder
from agent.vault.vault import CURRENT, PASSWORD

if TYPE_CHECKING:
    from agent.model.secret import Secret
    from agent.vault.vault import Vault


def export(vault: Vault, file: Path, passphrase: Secret, *, to: str, reason: str) -> int:
    """Write it (0600, whole or not at all), a group a zone; how many accounts. That it is written is sealed before.

    Raises:
        RefusedError: the file is there, pykeepass is not installed, or this slot does not open every zone.
        StoreError: it cannot be written.
    """
    try:
        from pykeepass import create_database  # noqa: PLC0415 - an extra: who needs it installs it
    except ImportError as error:
        raise RefusedError("KeePass files need pykeepass", remedy="pip install 'secops-agent[kdbx]'") from error
    if file.exists():
        raise RefusedError("there is a file already", where=str(file), remedy="name another")
    rows = [row for mine in vault.versions().values() for row in mine if row.state == CURRENT and row.kind == PASSWORD]
    texts = [vault.reveal(row) for row in rows]
    vault.tell("exported", rows, to=to, reason=reason)
    try:
        # pykeepass writes with mode 0644 and no fsync
        with tempfile.TemporaryDirectory(prefix=".kdbx-", dir=file.parent) as folder:
            draft = Path(folder, "draft.kdbx")
            made = create_database(str(draft), password=passphrase.reveal())
            groups = {zone: made.add_group(made.root_group, zone or "-") for zone in sorted({row.zone for row in rows})}
            for row, text in zip(rows, texts, strict=True):
                user, _, target = row.account.partition("@")
                made.add_entry(groups[row.zone], row.account, user, text.reveal(), url=target, notes=row.current_at)
            made.save()
            draft.chmod(0o600)
            with draft.open("rb") as written:
                os.fsync(written.fileno())
            draft.rename(file)
        fsync_folder(file.parent)
    except OSError as error:
        raise StoreError(f"cannot write the KeePass file ({error.strerror})", where=str(file)) from error
    return len(rows)
