"""CISA's catalogue of known exploited vulnerabilities (cisa.gov/known-exploited-vulnerabilities-catalog), as JSON."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Any

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model.advisory import Authority, Exploited, Header, Record

_CVE = re.compile(r"CVE-\d{4}-\d{4,12}").fullmatch


class Kev:
    """The whole catalogue in one document."""

    name = "kev"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By two keys that no other feed has."""
        return b'"catalogVersion"' in head and (b'"cveID"' in head or b'"vulnerabilities"' in head)

    def read(self, source: Source) -> Iterator[Header | Record]:
        """One `Exploited` an entry. Raises FeedError with the entry's number."""
        place = ""
        try:
            catalogue = fields.obj(source.json(), "the catalogue")
            entries = _entries(catalogue)
            yield Header(
                feed="kev/cisa",
                scope="*",
                ecosystem="CVE 已知被利用",
                authority=Authority.THIRD_PARTY,
                date=fields.utc(fields.text(catalogue, "dateReleased")),
                licence="CC0-1.0",
                snapshot=True,
            )
            for number, entry in enumerate(entries, 1):
                place = f"vulnerabilities[{number}]"
                yield _exploited(entry)
        except ValueError as error:
            raise source.error(str(error), place) from error


def _entries(catalogue: dict[str, Any]) -> list[dict[str, Any]]:
    if entries := fields.children(catalogue, "vulnerabilities"):
        return entries
    raise ValueError("a catalogue without entries")


def _exploited(entry: dict[str, Any]) -> Exploited:
    cve = fields.text(entry, "cveID").strip().upper()
    if not _CVE(cve):
        raise ValueError("field 'cveID' holds no CVE id")
    return Exploited(
        cve=cve,
        added=_day(fields.text(entry, "dateAdded")),
        due=_day(fields.text(entry, "dueDate")),
        ransomware=fields.text(entry, "knownRansomwareCampaignUse").strip().lower() == "known",
        name=fields.line(fields.text(entry, "vulnerabilityName")),
        action=fields.line(fields.text(entry, "requiredAction")),
    )


def _day(text: str) -> str:
    return dt.date.fromisoformat(text.strip()[:10]).isoformat() if text.strip() else ""


FORMATS = (Kev(),)
