"""Durable files: written whole or not at all, and there after a power cut once the call returned."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_private(file: Path, data: bytes, mode: int = 0o600) -> None:
    """Create a new file with that mode and fsync it. Raises OSError; FileExistsError when it is there."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        write_all(handle, data)
        os.fsync(handle)
    finally:
        os.close(handle)


def replace_private(file: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a file in place of another by rename: temporary file, fsync, rename, fsync of the folder."""
    new = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    try:
        write_private(new, data, mode)
        new.rename(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    fsync_folder(file.parent)


def write_all(handle: int, data: bytes) -> None:
    """Write every byte; a full disk writes a part first and fails only then."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def fsync_folder(folder: Path) -> None:
    """Make renames and creations in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
