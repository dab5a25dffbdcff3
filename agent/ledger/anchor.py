"""The last known head, kept beside the keys: a database that was rolled back or cut no longer reaches it."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from agent.model.errors import IntegrityError, StoreError
from agent.store.files import replace_private

if TYPE_CHECKING:
    from pathlib import Path

FILE = "anchor.json"
REMEDY = (
    "restore the newest database and blobs. Only when their loss is certain and reported: "
    "remove anchor.json from the key folder, which accepts it"
)


@dataclass(frozen=True, slots=True)
class Head:
    """How far the chain reached."""

    seq: int
    hash: str
    at: str


class Anchor:
    """The anchor file of a key folder. It only moves forward."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`/anchor.json; nothing is read yet."""
        self.file = folder / FILE
        self._lock = folder / "anchor.lock"

    def read(self) -> Head | None:
        """Return the last known head; None when there never was one.

        Raises:
            IntegrityError: the file is damaged.
            StoreError: it cannot be read.
        """
        try:
            raw = json.loads(self.file.read_bytes())
            head = Head(int(raw["seq"]), str(raw["hash"]), str(raw["at"]))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot be read ({error.strerror})", where=str(self.file)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError("the anchor is damaged", where=str(self.file), remedy=REMEDY) from error
        return head

    def advance(self, head: Head) -> None:
        """Remember a newer head, durably; an older one changes nothing.

        Raises:
            IntegrityError: the file is damaged.
            StoreError: it cannot be written.
        """
        try:
            lock = os.open(self._lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                known = self.read()
                if known is None or known.seq < head.seq:
                    replace_private(self.file, json.dumps(asdict(head)).encode() + b"\n")
            finally:
                os.close(lock)
        except OSError as error:
            raise StoreError(
                f"sealed, but the anchor cannot be written ({error.strerror})",
                where=str(self.file),
                remedy="free space on the disk of the key folder, then seal anything or close a run",
            ) from error
