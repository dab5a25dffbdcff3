"""endoflife.date: until when each cycle of a product is mended, in the four forms in which its data travels.

A dump of all products (`{product: {releases: [...]}}` or `{product: [...]}`), a product of the old API
(`/api/tomcat.json`: a list of cycles, the product only in the file's name), a product and all products of API v1
(`/api/v1/products/tomcat`, `/api/v1/products/full`).

What the site calls EOL is the end of free security fixes; EOES, the end of extended support: paid for most vendors,
LTS for Debian.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model.advisory import Authority, Header, Lifecycle, Record

_NAME = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,80}").fullmatch
_CYCLE = re.compile(rb'"(?:cycle|releaseCycle)"\s*:\s*["0-9]')
_ROLLING = re.compile(rb'"(?:isEol|isMaintained|eolFrom)"\s*:')


class EndOfLife:
    """One product or all of them."""

    name = "endoflife"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the keys of a cycle together with `eol`, or of API v1."""
        if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
            return False
        old = _CYCLE.search(head) and (b'"eol"' in head or b'"releases"' in head)
        return bool(old) or (b'"result"' in head and bool(_ROLLING.search(head)))

    def read(self, source: Source) -> Iterator[Header | Record]:
        """One `Lifecycle` a cycle. Raises FeedError with product and cycle."""
        place = ""
        try:
            value = source.json()
            products = _products(value, source.base)
            yield _header(value, products)
            for product, cycles in products.items():
                place = fields.line(product)
                for cycle in cycles:
                    yield _lifecycle(product, fields.obj(cycle, "a cycle"))
        except ValueError as error:
            raise source.error(str(error), place) from error


def _products(value: object, base: str) -> dict[str, list[Any]]:
    """Products with their cycles, whatever the form."""
    if isinstance(value, list):
        return {base.lower().removesuffix(".json"): value}
    document = fields.obj(value, "the document")
    if "result" in document:
        result = document["result"]
        many = result if isinstance(result, list) else [result]
        return {fields.text(one, "name"): fields.items(one, "releases") for one in (fields.obj(one) for one in many)}
    found = {}
    for product, held in document.items():
        found[product] = held if isinstance(held, list) else fields.items(fields.obj(held, repr(product)), "releases")
    return found


def _header(value: object, products: Mapping[str, list[Any]]) -> Header:
    """A dump bears no date: the newest release that it knows is the day it was still fed."""
    single = isinstance(value, list) or (isinstance(value, dict) and isinstance(value.get("result"), dict))
    date = fields.text(value, "last_modified") if isinstance(value, dict) and "result" in value else ""
    if not single and not date:
        days = [
            day
            for cycles in products.values()
            for cycle in cycles
            if isinstance(cycle, dict) and isinstance(day := cycle.get("latestReleaseDate"), str)
        ]
        date = max(days, default="")
    return Header(
        feed="endoflife/endoflife.date",
        scope=fields.line(next(iter(products))) if single and products else "*",
        ecosystem="生命周期",
        authority=Authority.THIRD_PARTY,
        date=fields.utc(date),
        licence="MIT",
        snapshot=True,
    )


def _lifecycle(product: str, cycle: dict[str, Any]) -> Lifecycle:
    name = next((cycle[key] for key in ("releaseCycle", "cycle", "name") if cycle.get(key) is not None), "")
    if isinstance(name, int | float) and not isinstance(name, bool):
        name = str(name)
    if not _NAME(product):
        raise ValueError("a product's name is of small letters, digits and hyphens")
    if not isinstance(name, str) or not name.strip():
        raise ValueError("a cycle without a name")
    latest = cycle.get("latest")
    if isinstance(latest, dict):
        latest = latest.get("name")
    if not isinstance(latest, str | int | float | None):
        raise ValueError("field 'latest' is no version")  # noqa: TRY004 - as of every wrong field
    return Lifecycle(
        product=product,
        cycle=fields.line(name).lower(),
        eol=_ends(cycle, ("eol",), ("eolFrom", "isEol")),
        extended=_day(_ends(cycle, ("eoes", "extendedSupport"), ("eoesFrom", "isEoes"))),
        released=_day(_word(cycle, "releaseDate")),
        latest="" if latest is None or isinstance(latest, bool) else fields.line(str(latest)),
        source=f"https://endoflife.date/{product}",
    )


def _ends(cycle: dict[str, Any], old: tuple[str, ...], new: tuple[str, str]) -> str:
    """ISO day, `yes`, `no` or empty, of the old API's one field or of API v1's two."""
    for key in (*old, *new):
        if cycle.get(key) is not None:
            return _word(cycle, key)
    return ""


def _word(cycle: dict[str, Any], key: str) -> str:
    value = cycle.get(key)
    if isinstance(value, bool):
        return "yes" if value else "no"
    written = fields.text(cycle, key).strip()
    try:
        return dt.date.fromisoformat(written).isoformat() if written else ""
    except ValueError:
        raise ValueError(f"field {key!r} is neither a day nor true or false") from None


def _day(word: str) -> str:
    return "" if word in {"yes", "no"} else word


FORMATS = (EndOfLife(),)
