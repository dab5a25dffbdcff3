"""Take feeds in: files, folders, archives and bundles, recognised by their content, as one transaction."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from agent.advisories import formats, seal
from agent.advisories.layers import open_outer, walk
from agent.advisories.limits import Budget, Limits, behind, buffered, drain
from agent.advisories.originals import Originals
from agent.advisories.source import FeedError, Source
from agent.model.advisory import Header
from agent.model.errors import AgentError
from agent.model.text import decode, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from agent.advisories.formats import Format
    from agent.advisories.importing import Importing, ImportResult
    from agent.advisories.store import FeedStore
    from agent.model.advisory import Record

HOLD = 16 * 1024 * 1024
"""Bytes of a document that is held, so that it is hashed, and perhaps known, before it is read."""
STEP = 5_000
"""Records between two calls of `watch`."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of everything that was named."""

    result: ImportResult
    refused: tuple[tuple[str, str], ...]
    """Files and members that were recognised and are broken, each with place and reason; nothing of them counts."""
    unrecognised: tuple[str, ...]
    """Files and members that are no feed of a known format."""


class _UnchangedError(Exception):
    """A document that was read to its end turned out to be what is there."""


def read_feeds(
    store: FeedStore,
    paths: Sequence[Path],
    *,
    who: str,
    at: datetime,
    source_label: str = "",
    signature: str = "",
    watch: Callable[[str, int], None] = lambda _name, _records: None,
    trusted: Sequence[Ed25519PublicKey] = (),
    trust_key: str = "",
    limits: Limits | None = None,
    known: Sequence[Format] | None = None,
) -> Imported:
    """Import everything that the paths hold; all of it or, when this raises, nothing.

    Args:
        store: opened for writing.
        paths: files, folders, archives, bundles.
        who, at: for the record.
        source_label: what to say in place of the file's name, say the disk's.
        signature: fingerprint of the key that signed the paths, where the caller verified that.
        watch: told a document's name and how many of its records were read, now and then.
        trusted: keys whose bundles are taken.
        trust_key: fingerprint of one more key whose bundles are taken.
        limits: of each outer file.
        known: formats; None: all.

    Raises:
        FeedError: a file that was named itself is broken, or nothing at all was recognised.
        StoreError: disk full, store locked or damaged.
    """
    originals = Originals(store.state)
    with store.importing(who=who, at=at, source=source_label, signature=signature) as importing:
        work = _Intake(importing, originals, watch, limits or Limits(), formats.ALL if known is None else known)
        work.label, work.signature, work.trust = source_label, signature, seal.Trust(tuple(trusted), trust_key)
        for path in paths:
            work.take(path)
        if not work.seen and not work.refused:
            raise FeedError(
                "nothing in it is a feed of a known format",
                where=", ".join(one_line(str(path)) for path in paths),
                remedy="see docs/feeds.md for what is understood",
            )
        result = importing.finish()
    with store.quiet() as alone:
        if alone:  # what another import has kept is told by nothing yet; the last one tidies
            originals.tidy(store.originals())
    return Imported(result, tuple(work.refused), tuple(work.unrecognised))


class _Intake:
    """One import at work; the visitor of the walk through each file."""

    label = ""
    signature = ""
    trust = seal.Trust()

    def __init__(
        self,
        importing: Importing,
        originals: Originals,
        watch: Callable[[str, int], None],
        limits: Limits,
        known: Sequence[Format],
    ) -> None:
        self._importing = importing
        self._originals = originals
        self._watch = watch
        self._limits = limits
        self._known = known
        self.seen = 0
        """Documents that were recognised."""
        self.refused: list[tuple[str, str]] = []
        self.unrecognised: list[str] = []

    def take(self, path: Path) -> None:
        """A path as the user named it."""
        if not path.is_dir():
            self._outer(path, shown_name(path))
            return
        for file in files_of(path):
            name = shown_name(file)
            refused, unrecognised = len(self.refused), len(self.unrecognised)
            try:
                _refuse_stray(file, name, path)
                self._outer(file, name)
            except FeedError as error:
                del self.refused[refused:], self.unrecognised[unrecognised:]
                self.refuse(name, error)

    def _outer(self, path: Path, name: str) -> None:
        _refuse_special(path, name)
        budget = Budget(name, self._limits)
        with open_outer(path, budget) as stream, self.part():
            if seal.is_bundle(stream):
                self._bundle(stream, path, budget)
                return
            before = os.fstat(stream.fileno())
            self._file(name, stream, budget, self.label or shown_name(Path(path.name)), self.signature)
            after = os.fstat(stream.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise FeedError("it changed while it was read", where=name, remedy="import it again")

    def _bundle(self, stream: io.BufferedReader, path: Path, budget: Budget) -> None:
        """Each file of a bundle is an outer file of its own, with the bundle's signature."""
        opened = seal.verified(stream, budget.name, self.trust)
        for name, entry in opened.files(stream, budget.name):
            with self.part():
                label = self.label or shown_name(Path(path.name))
                self._file(name, entry, budget, label, opened.info.fingerprint)

    def _file(self, name: str, stream: IO[bytes], budget: Budget, label: str, signature: str) -> None:
        """An outer file: left out whole when all of it is there; kept when something of it was taken."""
        if self._importing.may_have_file(stream.seek(0, os.SEEK_END)):
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256")  # type: ignore[arg-type] # it asks for less than it says
            if self._importing.has_file(digest.hexdigest(), name):
                self.seen += 1
                return
        stream.seek(0)
        budget.begin()
        self._importing.file(label, signature)
        before = len(self.refused), len(self.unrecognised), len(self._importing.skipped)
        walk(name, stream, self, budget)
        if self._importing.origin:
            stream.seek(0)
            after = len(self.refused), len(self.unrecognised), len(self._importing.skipped)
            self._importing.kept(*self._originals.keep(stream), whole=before == after)

    def part(self) -> AbstractContextManager[None]:
        """A savepoint."""
        return self._importing.savepoint()

    def refuse(self, name: str, error: FeedError) -> None:
        """Remember what was refused; its place, where the error tells a nearer one."""
        self.refused.append((error.where or name, error.message))

    def document(self, name: str, head: bytes, stream: IO[bytes]) -> None:
        """Read a document, if it is one. Raises FeedError."""
        form = self._recognise(name, head)
        if form is None:
            self.unrecognised.append(name)
            return
        self.seen += 1
        held = stream.read(HOLD + 1)
        if len(held) <= HOLD:
            sha256 = hashlib.sha256(held).hexdigest()
            if not self._importing.has(sha256, name):
                self._read(form, Source(name, io.BytesIO(held)), sha256)
            return
        digest = hashlib.sha256()

        def pull(count: int) -> bytes:
            data = whole.read(count)
            digest.update(data)
            return data

        whole = behind(held, stream)
        del held
        try:
            with self._importing.savepoint():
                source = Source(name, buffered(pull))
                self._read(form, source, "")
                drain(source.stream)
                self._seal(digest.hexdigest())
        except _UnchangedError:
            self._importing.has(digest.hexdigest(), name)

    def _seal(self, sha256: str) -> None:
        if not self._importing.seal(sha256):
            raise _UnchangedError

    def _recognise(self, name: str, head: bytes) -> Format | None:
        if not head:
            return None
        try:
            return next((one for one in self._known if one.recognise(head, name)), None)
        except Exception as error:
            raise _failed("recognising", error, name) from error

    def _read(self, form: Format, source: Source, sha256: str) -> None:
        began, count = False, 0
        for item in _guarded(form, source):
            if isinstance(item, Header):
                began = True
                self._importing.document(item, name=source.name, sha256=sha256)
            elif not began:
                raise source.error(f"the reader of {form.name} gives a record before its header")
            else:
                self._importing.add(item)
                count += 1
                if count % STEP == 0:
                    self._watch(source.name, count)
        self._watch(source.name, count)


def _guarded(form: Format, source: Source) -> Iterator[Header | Record]:
    """What a format reads; of its errors only declared ones leave."""
    try:
        yield from form.read(source)
    except (AgentError, GeneratorExit):
        raise
    except Exception as error:
        raise _failed(f"the reader of {form.name}", error, source.name) from error


def _failed(what: str, error: Exception, name: str) -> FeedError:
    said = one_line(str(error), 200)
    return FeedError(f"{what} failed: {type(error).__name__}: {said}", where=name, remedy="report it with the file")


def shown_name(path: Path) -> str:
    """A path as it may be shown, whatever bytes it is made of."""
    return one_line(decode(os.fsencode(path)))


def files_of(path: Path) -> Iterator[Path]:
    """The file itself, or all files below a folder, sorted, hidden folders (.git) left out.

    Raises:
        FeedError: a folder cannot be read.
    """

    def stop(error: OSError) -> None:
        raise FeedError(f"cannot be read ({error.strerror})", where=str(error.filename), remedy="check owner and mode")

    if not path.is_dir():
        yield path
    for place, folders, files in os.walk(path, onerror=stop) if path.is_dir() else ():
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            yield Path(place) / name


def _refuse_stray(file: Path, shown: str, folder: Path) -> None:
    """Below a folder no link may lead out of it."""
    try:
        stray = file.is_symlink() and not file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:
        raise FeedError("a link in a circle", where=shown, remedy="remove it") from error
    if stray:
        raise FeedError("a link that leads out of the folder", where=shown, remedy="name what it leads to itself")


def _refuse_special(path: Path, shown: str) -> None:
    """Only regular files are opened: a pipe would wait for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise FeedError(f"cannot be read ({said})", where=shown, remedy="check the path and its mode") from error
    if not stat.S_ISREG(mode):
        raise FeedError("is neither a file nor a folder", where=shown, remedy="name a file or a folder")
