r"""The chain's canonical texts and hashes. Pure: what verify.sh recomputes is defined here.

Entry: `hash = SHA256(prev_hex \n canonical_json \n)`. Checkpoint: lines of `name value`
behind a first line that names the type, so that a signature over it can be taken for nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

GENESIS = "0" * 64
"""What the first entry follows on."""
CHECKPOINT_TYPE = "secops-agent checkpoint 1"
_FORM = re.compile(
    rf"{CHECKPOINT_TYPE}\nid ([1-9]\d*)\nseq ([1-9]\d*)\nhead ([0-9a-f]{{64}})\nat ([0-9TZ:.-]+)\n"
    r"previous ([0-9a-f]{64})\n",
    re.ASCII,
)


def canonical(*, seq: int, at: str, kind: str, run: str, blob: str, size: int) -> str:
    """One line of JSON: sorted keys, no blanks, ASCII only."""
    fields = {"at": at, "blob": blob, "kind": kind, "run": run, "seq": seq, "size": size}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def entry_hash(prev: str, line: str) -> str:
    """Hash of an entry, in hexadecimal."""
    # What was tampered with may hold bytes that are no text; they count like any other.
    return hashlib.sha256(f"{prev}\n{line}\n".encode(errors="surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A statement, to be signed, of how far the chain reached."""

    id: int
    seq: int
    """The last entry that it covers."""
    head: str
    """Hash of that entry."""
    at: str
    """UTC, as `agent.store.times` writes it."""
    previous: str
    """SHA-256 of the text of the checkpoint before; GENESIS for the first."""

    @property
    def text(self) -> str:
        """What is signed."""
        return (
            f"{CHECKPOINT_TYPE}\nid {self.id}\nseq {self.seq}\nhead {self.head}\nat {self.at}\n"
            f"previous {self.previous}\n"
        )

    @property
    def hash(self) -> str:
        """SHA-256 of the text, which the next checkpoint names."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's text.

    Raises:
        ValueError: it is another type, or not to the letter what was written.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError("is no checkpoint of this kind")
    number, seq, head, at, previous = match.groups()
    return Checkpoint(int(number), int(seq), head, at, previous)
