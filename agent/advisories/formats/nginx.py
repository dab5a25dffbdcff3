"""nginx.org's own list (en/security_advisories.xml): which versions are vulnerable, from where on each branch is good.

`vulnerable="0.9.6-1.31.2" good="1.31.3+, 1.30.4+"` means: 1.30.x is good from 1.30.4 on, and everything from 1.31.3 on;
1.31.0 to 1.31.2 are not, although they are above 1.30.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model.advisory import Advisory, Affected, Authority, Header, Record, Scheme, Status

if TYPE_CHECKING:
    from lxml import etree

    Item = etree._Element  # noqa: SLF001 - the name that lxml-stubs gives it

PAGE = "https://nginx.org/en/security_advisories.html"
_RANGE = re.compile(r"(?P<windows>nginx/Windows )?(?P<first>\d+\.\d+\.\d+)(?:-(?P<last>\d+\.\d+\.\d+))?")
_GOOD = re.compile(r"(\d+\.\d+\.\d+)\+?")

Version = tuple[int, ...]


class Nginx:
    """The whole page in one document."""

    name = "nginx"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the article's link."""
        return b"security_advisories" in head and b"<article" in head and b"nginx security advisories" in head

    def read(self, source: Source) -> Iterator[Header | Record]:
        """One advisory an item. Raises FeedError with the item's line."""
        yield Header(
            feed="nginx/nginx.org",
            scope="*",
            ecosystem="nginx",
            authority=Authority.VENDOR,
            licence="BSD-2-Clause",
            snapshot=True,
        )
        for item in source.elements(["{*}item"]):
            try:
                yield _advisory(item)
            except ValueError as error:
                raise source.error(str(error), f"line {item.sourceline}") from error


def _advisory(item: Item) -> Advisory:
    title = fields.line(item.get("name") or "")
    if not title:
        raise ValueError("an item without a name")
    cves = fields.cves(f"CVE-{one.strip()}" for one in (item.get("cve") or "").split(",") if one.strip())
    link = item.get("advisory") or item.get("href") or PAGE
    return Advisory(
        id=cves[0] if len(cves) == 1 else f"nginx:{fields.line(item.get('core') or title)[:80]}",
        title=title,
        severity=fields.line(item.get("severity") or ""),
        cves=cves,
        url=link if link.startswith(("https://", "http://")) else PAGE,
        affected=tuple(_rows(item.get("vulnerable") or "", item.get("good") or "")),
    )


def _rows(vulnerable: str, good: str) -> Iterator[Affected]:
    words = [word.strip() for word in vulnerable.split(",") if word.strip()]
    if not words:
        raise ValueError("an item that does not say which versions are vulnerable")
    if words == ["none"] or all(word.startswith("nginx/Windows") for word in words):
        yield _row(status=Status.NOT_AFFECTED)  # of the builds for Unix, the only ones that are looked at
        return
    if words == ["all"]:
        yield _row(status=Status.WILL_NOT_FIX)
        return
    fixes = sorted(_version(word) for word in _words(good))
    for word in words:
        hit = _RANGE.fullmatch(word)
        if not hit:
            raise ValueError(f"{word!r} is no range of versions (1.2.3-1.3.4)")
        if not hit["windows"]:
            yield from _range(_version(hit["first"]), _version(hit["last"] or hit["first"]), fixes)


def _words(good: str) -> Iterator[str]:
    for word in (word.strip() for word in good.split(",")):
        hit = _GOOD.fullmatch(word)
        if hit:
            yield hit[1]
        elif word not in {"", "none"}:
            raise ValueError(f"{word!r} is no good version (1.2.3+)")


def _range(first: Version, last: Version, fixes: list[Version]) -> Iterator[Affected]:
    """Pieces of one vulnerable range, each up to the fix of its branch."""
    start = first
    while start <= last:
        fix = next((one for one in fixes if one > start), None)
        beyond = fix is None or fix > last
        yield _row(
            introduced=_text(start),
            fixed=_text(fix) if fix else "",
            last=_text(last) if beyond else "",
            status=Status.FIXED if fix else Status.AFFECTED,
        )
        if beyond or fix is None:
            return
        start = (fix[0], fix[1] + 1, 0)


def _row(*, introduced: str = "", fixed: str = "", last: str = "", status: Status) -> Affected:
    return Affected(
        stream="cpe",
        package="f5:nginx",
        scheme=Scheme.GENERIC,
        by="product",
        introduced=introduced,
        fixed=fixed,
        last=last,
        status=status,
    )


def _version(text: str) -> Version:
    return tuple(int(part[:9]) for part in text.split("."))


def _text(version: Version) -> str:
    return ".".join(map(str, version))


FORMATS = (Nginx(),)
