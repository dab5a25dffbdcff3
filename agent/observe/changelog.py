"""The mirror as an advisory source: CVE ids out of a candidate's changelog, read from its .deb.

The host names the candidate's address; it is fetched only from mirror hosts that the caller
allows, once per source version, and nothing of it is unpacked to disk.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit

from agent.model import kernels
from agent.model.errors import ToolError
from agent.model.facts import HostFacts, PendingUpdate
from agent.observe import deb
from agent.versions import dpkg

_HEAD = re.compile(r"^\S+ \(([^()\s]+)\) [^;\n]*;", re.MULTILINE)
_CVE = re.compile(r"\bCVE-(\d{4})-(\d{4,7})\b", re.IGNORECASE)
KERNEL_SIDE = re.compile(
    r"linux-(?:libc-dev|headers|perf|tools|doc|kbuild|cpupower|source|compiler)\b.*|linux-compiler.*"
)
"""Packages of the kernel's source that are not the kernel: never a host-kernel finding."""


def cves_between(text: str, installed: str, candidate: str = "") -> tuple[str, ...]:
    """CVE ids that a Debian changelog names in versions after `installed` up to `candidate` (empty: its newest).

    An entry counts when `installed < version <= candidate`; ids are sorted by year and number.
    """
    heads = list(_HEAD.finditer(text))
    found: set[tuple[int, int, str]] = set()
    for at, head in enumerate(heads):
        version = head[1]
        if dpkg.compare(version, installed) <= 0 or (candidate and dpkg.compare(version, candidate) > 0):
            continue
        end = heads[at + 1].start() if at + 1 < len(heads) else len(text)
        for hit in _CVE.finditer(text, head.end(), end):
            found.add((int(hit[1]), int(hit[2]), f"CVE-{hit[1]}-{hit[2]}"))
    return tuple(name for _, _, name in sorted(found))


class Store(Protocol):
    """Where changelogs are kept, once per source version (table store.schema.changelog)."""

    def get(self, source: str, version: str) -> str | None:
        """The text, or None when it was never fetched."""
        ...

    def put(self, source: str, version: str, text: str) -> None:
        """Keep the text; a second put of the same version changes nothing."""
        ...


@dataclass
class Memory:
    """A store for one run."""

    texts: dict[tuple[str, str], str] = field(default_factory=dict)

    def get(self, source: str, version: str) -> str | None:
        """The text, or None when it was never fetched."""
        return self.texts.get((source, version))

    def put(self, source: str, version: str, text: str) -> None:
        """Keep the text."""
        self.texts.setdefault((source, version), text)


class Changelogs:
    """Changelogs of candidates; safe to share between threads, each version is fetched once.

    Args:
        store: where texts are kept.
        mirrors: allowed hosts, `name` or `name:port`; an address that names another is refused.
        timeout: seconds for one package, all told.
        limit: most bytes read of one .deb.
    """

    def __init__(
        self, store: Store, mirrors: Collection[str], *, timeout: float = 20.0, limit: int = 256 * 1024 * 1024
    ) -> None:
        self._store = store
        self._mirrors = frozenset(mirror.lower() for mirror in mirrors)
        self._timeout = timeout
        self._limit = limit
        self._guard = threading.Lock()
        self._busy: dict[tuple[str, str], threading.Lock] = {}
        self._failed: dict[str, str] = {}

    def allowed(self, uri: str) -> bool:
        """Whether the address is http(s) on a declared mirror host."""
        try:
            parts = urlsplit(uri)
            name, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return False
        plain = not parts.username and not parts.password and parts.scheme in {"http", "https"}
        default = {"http": 80, "https": 443}.get(parts.scheme, 0)
        return plain and bool(name) and bool({name, f"{name}:{port or default}"} & self._mirrors)

    def text(self, source: str, version: str, uris: Iterable[str]) -> str:
        """The changelog of one source version, out of the first of its packages that holds one.

        Raises:
            ToolError: no address is allowed, or none of them gave a changelog.
        """
        with self._guard:
            lock = self._busy.setdefault((source, version), threading.Lock())
        with lock:
            text = self._store.get(source, version)
            if text is None:
                text = self._fetch(list(dict.fromkeys(filter(None, uris))))
                self._store.put(source, version, text)
            return text

    def _fetch(self, uris: list[str]) -> str:
        problems = [] if uris else ["the host names no address"]
        for uri in uris:
            if not self.allowed(uri):
                problems.append(f"{uri}: not on a declared mirror")
                continue
            if uri not in self._failed:
                try:
                    return deb.changelog(uri, deadline=time.monotonic() + self._timeout, limit=self._limit)
                except ToolError as error:
                    self._failed[uri] = error.message
            problems.append(f"{uri}: {self._failed[uri]}")
        raise ToolError("; ".join(problems[:3]), remedy="name the mirror's host among the allowed ones, and check it")


def enrich(facts: HostFacts, changelogs: Changelogs) -> HostFacts:
    """Fill `PendingUpdate.cves` of apt updates from the candidates' changelogs.

    A changelog that could not be had is noted in `unseen` as `changelog SOURCE`: CVEs not
    looked up are not "no CVEs". Updates of rpm have theirs from updateinfo already.
    """
    built = {(one.name, one.version): one.source_version for one in facts.packages if one.manager == "dpkg"}
    groups: dict[tuple[str, str], list[PendingUpdate]] = {}
    for one in facts.pending:
        if (one.package, one.installed) in built and not KERNEL_SIDE.fullmatch(one.package):
            groups.setdefault((kernels.source_name(one.source), one.candidate), []).append(one)
    named: dict[tuple[str, str], tuple[str, ...]] = {}
    unseen = dict(facts.unseen)
    for (source, candidate), updates in groups.items():
        try:
            text = changelogs.text(source, candidate, (one.uri for one in updates))
        except ToolError as error:
            unseen[f"changelog {source}"] = error.message
            continue
        for one in updates:
            installed = built[one.package, one.installed]
            named[one.package, one.candidate] = cves_between(text, installed)
    pending = tuple(
        replace(one, cves=tuple(dict.fromkeys((*one.cves, *named.get((one.package, one.candidate), ())))))
        for one in facts.pending
    )
    return replace(facts, pending=pending, unseen=unseen)
