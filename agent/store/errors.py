"""From a driver's or the system's words to what the operator can do."""

from __future__ import annotations

import errno

from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from agent.model.errors import StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_REMEDIES = (
    (
        ("is full", "disk i/o error", "no space left", "could not extend", "disk full"),
        "the disk under the database is full or failing",
        "free space (`df -h`, `dmesg | tail`), then run the verb again: what was acknowledged is kept",
    ),
    (
        ("is locked", "database is busy", "lock timeout", "deadlock"),
        "another process holds the database for too long",
        "see who does (`fuser -v state/agent.db`), let it end, then run the verb again",
    ),
    (
        ("malformed", "not a database", "corrupt", "unsupported file format"),
        "the database is damaged",
        "keep the file as it is, restore the newest backup, then run `agent evidence verify`",
    ),
    (
        ("readonly database", "unable to open", "permission denied", "authorization"),
        "the database cannot be opened for writing",
        "check that the folder and agent.db belong to you (modes 0700 and 0600)",
    ),
    (
        ("connection", "could not translate", "timeout expired"),
        "the database server cannot be reached",
        "check the address in the database url and that PostgreSQL runs",
    ),
)


def is_full(error: OSError) -> bool:
    """Whether the system refused a write for lack of space, quota or file-size limit."""
    return error.errno in _FULL


def from_driver(error: DBAPIError, where: str) -> StoreError:
    """Make a StoreError of a driver's error. The statement's parameters are left out: they may be secret."""
    said = " ".join(str(error.orig).split())
    low = said.lower()
    for words, message, remedy in _REMEDIES:
        if any(word in low for word in words):
            return StoreError(f"{message} ({said})", where=where, remedy=remedy)
    return StoreError(f"the database refused ({said})", where=where, remedy="run `agent doctor`")


def from_system(error: OSError, where: str) -> StoreError:
    """Make a StoreError of a failed file operation."""
    said = error.strerror or str(error)
    if is_full(error):
        remedy = "free space or raise the quota (`df -h`), then run the verb again: what was acknowledged is kept"
        return StoreError(f"cannot write, the disk is full ({said})", where=where, remedy=remedy)
    return StoreError(f"cannot read or write ({said})", where=where, remedy="check the folder's owner, mode and mount")


def is_callers(error: DBAPIError) -> bool:
    """Whether the caller may want to handle it itself (a violated constraint, a wrong statement)."""
    return isinstance(error, IntegrityError | ProgrammingError)
