"""Evidence: what was sealed, and what verification said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    r"""One entry of the chain: `hash = SHA256(prev_hex \\n canonical_json \\n)`."""

    seq: int
    at: datetime
    kind: str
    run: str
    blob: str
    """Salted commitment that addresses the blob; empty for an entry without one."""
    size: int
    hash: str
    prev: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """One place where verification failed."""

    place: str
    """`entry 17`, `blob ab12...`, `checkpoint 3`, `export/ledger.txt:4` ..."""
    problem: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found; empty flaws and at least one good signature, or it failed."""

    entries: int
    blobs: int
    checkpoints: int
    head: str
    head_at: datetime | None
    flaws: tuple[Flaw, ...] = ()

    @property
    def ok(self) -> bool:
        """True only when nothing was wrong and nothing was left unsigned."""
        return not self.flaws
