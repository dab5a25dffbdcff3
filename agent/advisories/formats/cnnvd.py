"""CNNVD's XML (国家信息安全漏洞库, www.cnnvd.org.cn): which CNNVD id a CVE has, with its grade and Chinese name.

Both spellings that its downloads had: `<entry><vuln-id>`, and the older `<entry><cnnvd-id>`. An entry without a CVE is
left out: nothing in other feeds could be tied to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model.advisory import Authority, CveNote, Header, Record

_ID = re.compile(r"CNNVD-\d{4,6}-\d{1,8}")
_IDS = ("vuln-id", "cnnvd-id")


class Cnnvd:
    """A year's or a month's download."""

    name = "cnnvd"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the root element or an id of the library in an entry."""
        return b"<cnnvd" in head[:2048] or (b"<entry" in head and b">CNNVD-" in head)

    def read(self, source: Source) -> Iterator[Header | Record]:
        """A note for each CVE of an entry. Raises FeedError with the entry's line."""
        yield Header(
            feed="cnnvd/cnnvd",
            scope=source.base,
            ecosystem="CNNVD 编号",
            authority=Authority.THIRD_PARTY,
            snapshot=True,
        )
        for entry in source.elements(["{*}entry"]):
            texts: dict[str, str] = {}
            for element in entry.iter("{*}*"):
                texts.setdefault(str(element.tag).rpartition("}")[2], fields.line(element.text or ""))
            ident = next((texts[key] for key in _IDS if texts.get(key)), "")
            if not _ID.fullmatch(ident):
                raise source.error(f"{ident!r} is no id (CNNVD-202301-123)", f"line {entry.sourceline}")
            every = " ".join(element.text or "" for element in entry.iter("{*}cve-id"))
            for cve in fields.cves(every):
                yield CveNote(cve, title=texts.get("name", ""), severity=texts.get("severity", ""), cnnvd=ident)


FORMATS = (Cnnvd(),)
