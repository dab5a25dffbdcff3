"""What the store of advisories says of all that a round saw: looked up in one batch, handed to judges as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.advisories.lifecycle import shipped
from agent.advisories.store import open_feeds
from agent.flows.match import Matcher
from agent.judge import lifecycle, outside, packages, software

if TYPE_CHECKING:
    from agent.advisories.store import FeedStore
    from agent.app import App
    from agent.flows.seen import Seen
    from agent.model.advisory import CveFacts, FeedStatus, Lifecycle, Match
    from agent.model.facts import Software


@dataclass(frozen=True, slots=True)
class Product:
    """Software outside the package manager, and what the store says of it."""

    software: Software
    matches: tuple[Match, ...]
    why: str = ""
    """Why it could not be matched, or not with enough; empty when it was."""


@dataclass
class Advice:
    """Matches by target, and what is known of their CVEs."""

    packages: dict[str, tuple[Match, ...]] = field(default_factory=dict)
    """By host."""
    there: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By host: streams that speak of its system; empty: no feed does."""
    products: dict[str, list[Product]] = field(default_factory=dict)
    """By host or database: what no package manager knows."""
    streams: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    cves: dict[str, CveFacts] = field(default_factory=dict)
    lifecycle: dict[str, tuple[Lifecycle, ...]] = field(default_factory=dict)
    """Until when products are mended, by product: what was imported, then the table that is shipped."""
    feeds: tuple[FeedStatus, ...] = ()
    digest: str = ""
    """Names the state of the store that was judged with."""


def advise(app: App, seen: Seen) -> Advice:
    """Match all hosts and databases of a round, with the store as it is now.

    Opened here and not kept: rounds run on threads, and `agent watch` for months.
    """
    with open_feeds(app.state, readonly=True) as feeds:
        return _advise(app, seen, feeds)


def _advise(app: App, seen: Seen, feeds: FeedStore) -> Advice:
    matcher = Matcher(feeds)
    advice = Advice(streams=matcher.streams, sizes=matcher.sizes, feeds=feeds.status(), digest=feeds.digest())
    listings = {name: packages.listing_of(facts) for name, facts in seen.hosts.items()}
    found: dict[str, list[Software]] = {name: list(software.products(facts)) for name, facts in seen.hosts.items()}
    for database in app.inventory.databases:
        if facts := seen.databases.get(database.name):
            own = software.database_product(facts, seen.hosts.get(database.host))
            found[database.name] = [own] if own else []
    wanted = {key for listing in listings.values() for key in packages.keys(listing, matcher.sizes)}
    wanted |= {key for every in found.values() for one in every for key in software.keys(one)}
    matcher.prepare(wanted)
    for name, listing in listings.items():
        advice.there[name] = packages.stream_of(listing, matcher.sizes)
        advice.packages[name] = matcher.match(listing)
    for name, every in found.items():
        advice.products[name] = [_product(matcher, one) for one in every]
    mirror = {cve for facts in seen.hosts.values() for update in facts.pending for cve in update.cves}
    matches = [one for every in advice.packages.values() for one in every]
    matches += [one for every in advice.products.values() for product in every for one in product.matches]
    advice.cves = matcher.facts(matches, mirror)
    advice.lifecycle = _lifecycle(feeds)
    return advice


def _lifecycle(feeds: FeedStore) -> dict[str, tuple[Lifecycle, ...]]:
    known = feeds.lifecycle(lifecycle.products())
    for row in shipped():
        known[row.product] = (*known.get(row.product, ()), row)
    return known


def _product(matcher: Matcher, one: Software) -> Product:
    rows = [row for key in software.keys(one) for row in matcher.rows(key)]
    why = software.unjudged(one) or outside.gap(len({row.head.id for row in rows}))
    found = software.match(one, rows)
    return Product(one, tuple(packages.standing(found, matcher.facts(found))), why)
