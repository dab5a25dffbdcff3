"""Feeds of advisories: what came in, by whom, sealed as evidence; how old it is; and the bundle that carries it on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from agent.advisories.bundle import make_bundle
from agent.advisories.intake import Imported, read_feeds
from agent.advisories.store import open_feeds
from agent.judge.feedcover import STALE_DAYS, age_days
from agent.model.errors import RefusedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from agent.advisories.bundle import BundleInfo
    from agent.app import App
    from agent.ledger import Keys
    from agent.model.advisory import FeedStatus

LISTED = 1000
"""Most refused or unrecognised files that are sealed by name; the rest is counted."""


@dataclass(frozen=True, slots=True)
class FeedAge:
    """A feed and how old it is now."""

    status: FeedStatus
    days: int | None
    """Since its newest record; None when nothing in it bears a date."""

    @property
    def stale(self) -> bool:
        """Whether it says too little about what is known today; a feed without a date may be of any age."""
        return self.days is None or self.days > STALE_DAYS


@dataclass(frozen=True, slots=True)
class Change:
    """What an import did to one feed."""

    before: FeedStatus | None
    after: FeedStatus | None
    """None: the feed is gone, since nothing of it counts any more."""

    @property
    def name(self) -> str:
        """The feed's name."""
        return next(one.feed for one in (self.after, self.before) if one)

    @property
    def shrunk(self) -> bool:
        """Whether more than half of its records went: a cut file, or another's under its name."""
        before, after = (one.records if one else 0 for one in (self.before, self.after))
        return after * 2 < before


@dataclass(frozen=True, slots=True)
class Took:
    """An import that was committed and sealed."""

    imported: Imported
    changes: tuple[Change, ...]
    """Feeds that are not what they were."""
    digest: str
    evidence: int
    """Ledger sequence number of its record."""


def ages(app: App) -> tuple[FeedAge, ...]:
    """Every feed of the store, by ecosystem and name. Raises StoreError."""
    now = app.clock()
    every = sorted(app.feeds.status(), key=lambda one: (one.ecosystem, one.feed))
    return tuple(FeedAge(one, age_days(one.newest, now)) for one in every)


def take_in(
    app: App,
    paths: Sequence[Path],
    *,
    trust: str = "",
    watch: Callable[[str, int], None] = lambda _name, _records: None,
) -> Took:
    """Import feeds and bundles in one transaction, and seal who did it with what came of it.

    Args:
        paths: files, folders, archives, bundles.
        trust: fingerprint of a bundle's key that is not this workspace's own.
        watch: told a document's name and how many of its records were read, now and then.

    Raises:
        FeedError: a file that was named is broken or nothing was recognised; the store is as it was.
        StoreError: disk full, store locked or damaged.
    """
    ledger, at = app.ledger, app.clock()
    ledger.checkpoint()  # a ledger that cannot be sealed to is told before anything is imported
    with open_feeds(app.state) as store:
        before, files = {one.feed: one for one in store.status()}, store.originals().keys()
        imported = read_feeds(
            store,
            paths,
            who=app.operator,
            at=at,
            watch=watch,
            trusted=(ledger.keys.public.ed25519,),
            trust_key=trust,
        )
        after = {one.feed: one for one in store.status()}
        changes = tuple(
            Change(before.get(name), after.get(name))
            for name in sorted(before.keys() | after.keys())
            if _content(before.get(name)) != _content(after.get(name))
        )
        record = _record(app, paths, imported, changes) | {
            "at": at.astimezone(UTC).isoformat(timespec="seconds"),
            "digest": store.digest(),
            "files": [
                {"sha256": sha256, "name": name, "size": size, "feeds": feeds}
                for sha256, (name, size, feeds) in store.originals().items()
                if sha256 not in files
            ],
        }
    if "feeds" in app.__dict__:
        app.__dict__.pop("feeds").close()  # it shows the store as it was
    payload = json.dumps(record, ensure_ascii=False, sort_keys=True).encode("utf-8", "backslashreplace")
    sealed = ledger.seal("feeds", payload, subject="@feeds")
    ledger.checkpoint()
    return Took(imported, changes, str(record["digest"]), sealed.seq)


def _content(status: FeedStatus | None) -> tuple[str, int]:
    return (status.sha256, status.records) if status else ("", 0)


def _record(app: App, paths: Sequence[Path], imported: Imported, changes: Sequence[Change]) -> dict[str, object]:
    """What is sealed of an import, but for what only the store tells."""
    result = asdict(imported.result)
    skipped = result.pop("skipped")
    return {
        "who": app.operator,
        "paths": [str(path) for path in paths],
        "result": result,
        "skipped": len(skipped),
        "changed": [asdict(one.after) for one in changes if one.after],
        "removed": [one.name for one in changes if one.after is None],
        "refused": imported.refused[:LISTED],
        "refused_count": len(imported.refused),
        "unrecognised": imported.unrecognised[:LISTED],
        "unrecognised_count": len(imported.unrecognised),
    }


@dataclass(frozen=True, slots=True)
class _Signer:
    """The workspace's evidence key, as a bundle is signed with it."""

    keys: Keys

    @property
    def public(self) -> Ed25519PublicKey:
        """The half that others verify with."""
        return self.keys.public.ed25519

    def sign(self, data: bytes) -> bytes:
        """An Ed25519 signature."""
        return self.keys.sign(data)[0]


def bundle(app: App, out: Path, paths: Sequence[Path]) -> BundleInfo:
    """Write a signed bundle of feed files, or (no paths) of all that was imported here.

    Raises:
        FeedError: a path cannot be read, or there is nothing to bundle.
        StoreError: the bundle cannot be written.
        RefusedError: something else lies where it is to be written.
    """
    if out.exists() or out.is_symlink():
        raise RefusedError("will not overwrite it", where=str(out), remedy="name a new file")
    return make_bundle(paths, out, signer=_Signer(app.ledger.keys), who=app.operator, at=app.clock(), store=app.feeds)
