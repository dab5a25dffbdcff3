"""Verify an exported folder: what verify.sh does, and besides against our own keys and the last known head."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from agent.ledger.chain import GENESIS, Checkpoint, entry_hash, parse_checkpoint
from agent.ledger.export import CORE
from agent.ledger.suites import named
from agent.model.errors import AgentError
from agent.model.evidence import Flaw, Verification
from agent.store.errors import from_system
from agent.store.times import from_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from agent.ledger.anchor import Anchor
    from agent.ledger.keys import PublicKeys

_CONTENT = re.compile(r"([1-9][0-9]{0,18}) ([0-9a-f]{64}) (\S+) ([0-9a-f]{64})")
_FIELDS = {"at": str, "blob": str, "kind": str, "run": str, "seq": int, "size": int}


def verify_export(folder: Path, public: PublicKeys, anchor: Anchor) -> Verification:
    """Verify an export against the keys that must have signed it and the last known head.

    Raises:
        StoreError: a file cannot be read. One that is missing is a flaw.
    """
    flaws: list[Flaw] = []
    try:
        data = {
            name: (folder / name).read_bytes() if (folder / name).is_file() else b"" for name in (*CORE, "SHA256SUMS")
        }
        flaws += [Flaw(name, "is missing or empty") for name, each in data.items() if not each]
        flaws += _sums(folder, data["SHA256SUMS"])
        flaws += _signatures(data, public)
        lines: list[dict[str, Any]] = []
        hashes = [GENESIS]
        flaws += _chain(data["ledger.txt"], lines, hashes)
        signed = _parsed(data["checkpoint.txt"])
        flaws += _covered(signed, hashes)
        flaws += _known(anchor, hashes)
        flaws += _contents(folder, lines)
    except OSError as error:
        raise from_system(error, str(folder)) from error
    at = lines[-1].get("at") if lines else None
    return Verification(
        entries=len(hashes) - 1,
        blobs=len({line["blob"] for line in lines if "blob" in line}),
        checkpoints=1 if signed else 0,
        head=hashes[-1],
        head_at=_time(at),
        flaws=tuple(flaws),
    )


def _time(text: object) -> Any:  # noqa: ANN401 - a time or None
    try:
        return from_text(str(text))
    except ValueError:
        return None


def _sums(folder: Path, listed: bytes) -> Iterator[Flaw]:
    named_files = set()
    for number, line in enumerate(_lines(listed), 1):
        expected, _, name = line.partition("  ")
        named_files.add(name)
        if not name or name.startswith("/") or ".." in name.split("/"):
            yield Flaw(f"SHA256SUMS:{number}", "names no file of the export")
        elif not (folder / name).is_file():
            yield Flaw(name, "is missing")
        elif hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            yield Flaw(name, "differs from SHA256SUMS")
    for name in (*CORE, "verify.sh"):
        if name not in named_files:
            yield Flaw("SHA256SUMS", f"does not list {name}")


def _lines(text: bytes) -> list[str]:
    """Lines as a shell reads them; Python's splitlines knows further ends of lines."""
    return text.decode(errors="replace").removesuffix("\n").split("\n")


def _signatures(data: Mapping[str, bytes], public: PublicKeys) -> Iterator[Flaw]:
    if (data["sign.pub"], data["sign-ed25519.pub"]) != public.pem():
        yield Flaw("sign.pub", "is a foreign key, not that of this workspace")
    text = data["checkpoint.txt"]
    if not public.ecdsa_ok(data["checkpoint.sig"], text):
        yield Flaw("checkpoint.sig", "the ECDSA signature is not good")
    if not public.ed25519_ok(data["checkpoint-ed25519.sig"], text):
        yield Flaw("checkpoint-ed25519.sig", "the Ed25519 signature is not good")


def _chain(text: bytes, lines: list[dict[str, Any]], hashes: list[str]) -> Iterator[Flaw]:
    for number, line in enumerate(text.decode(errors="replace").split("\n")[:-1], 1):
        place = f"ledger.txt:{number}"
        stated, _, body = line.partition(" ")
        values = _fields(body)
        if values is None:
            yield Flaw(place, "is no entry")
        elif values["seq"] != number:
            yield Flaw(place, f"is entry {values['seq']}: removed, inserted or reordered")
        if entry_hash(hashes[-1], body) != stated:
            yield Flaw(place, "does not have its hash: it was edited")
        lines.append(values or {})
        hashes.append(stated)
    if not text.endswith(b"\n"):
        yield Flaw("ledger.txt", "does not end with a whole line")


def _fields(body: str) -> dict[str, Any] | None:
    try:
        values = json.loads(body)
    except ValueError:
        return None
    if not isinstance(values, dict) or {name: type(each) for name, each in values.items()} != _FIELDS:
        return None
    return values


def _parsed(text: bytes) -> Checkpoint | None:
    try:
        return parse_checkpoint(text.decode())
    except ValueError:
        return None


def _covered(signed: Checkpoint | None, hashes: list[str]) -> Iterator[Flaw]:
    if signed is None:
        yield Flaw("checkpoint.txt", "is no checkpoint of this kind")
    elif signed.seq != len(hashes) - 1:
        yield Flaw("ledger.txt", f"has {len(hashes) - 1} entries, the signed checkpoint says {signed.seq}")
    elif signed.head != hashes[-1]:
        yield Flaw(f"ledger.txt:{signed.seq}", "is not the head that was signed")


def _known(anchor: Anchor, hashes: list[str]) -> Iterator[Flaw]:
    try:
        known = anchor.read()
    except AgentError as error:
        yield Flaw("anchor", error.message)
        return
    if known is None:
        yield Flaw("anchor", "no head is known here: whether the export is the newest cannot be told")
    elif known.seq >= len(hashes):
        yield Flaw(
            f"ledger.txt:{len(hashes) - 1}",
            f"ends before the last known head (entry {known.seq} of {known.at}): an old export, or cut",
        )
    elif hashes[known.seq] != known.hash:
        yield Flaw(f"ledger.txt:{known.seq}", f"is not the last known head of {known.at}: another ledger")


def _contents(folder: Path, lines: list[dict[str, Any]]) -> Iterator[Flaw]:
    index = folder / "contents.txt"
    there = {file.name for file in (folder / "content").iterdir()} if (folder / "content").is_dir() else set()
    if there and not index.is_file():
        yield Flaw("contents.txt", "is missing")
    named_files = set()
    for number, line in enumerate(_lines(index.read_bytes()) if index.is_file() else [], 1):
        match = _CONTENT.fullmatch(line)
        if match is None or not 0 < int(match[1]) <= len(lines):
            yield Flaw(f"contents.txt:{number}", "names no entry")
            continue
        seq, blob, algorithm, salt = match.groups()
        if lines[int(seq) - 1].get("blob") != blob:
            yield Flaw(f"contents.txt:{number}", f"is not what entry {seq} names")
        pair = [folder / "content" / f"{seq}.{kind}" for kind in ("head", "data")]
        named_files |= {file.name for file in pair}
        if not all(file.is_file() for file in pair):
            yield Flaw(f"content/{seq}.data", "is missing")
        elif _address(algorithm, salt, b"".join(file.read_bytes() for file in pair)) != blob:
            yield Flaw(f"content/{seq}.data", f"is not what was sealed as entry {seq}")
    for name in sorted(there - named_files):
        yield Flaw("content", f"holds {name!r}, which contents.txt does not name")


def _address(algorithm: str, salt: str, envelope: bytes) -> str:
    try:
        return named(algorithm).hash(f"agent-blob-v1\n{salt}\n".encode(), envelope)
    except AgentError:
        return ""
