"""EPSS (first.org/epss/data_stats): the daily CSV, and the files by CVE year that mirrors keep without its header."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.advisories import fields
from agent.advisories.source import Source
from agent.model.advisory import Authority, Header, Likelihood, Record

_CVE = re.compile(r"CVE-\d{4}-\d{4,12}").fullmatch
_BARE = re.compile(rb"CVE-\d{4}-\d{4,12}([;,])[0-9.eE-]+\1[0-9.eE-]+\r?$", re.MULTILINE)
_COLUMNS = b"cve,epss,percentile"
_SCORED = re.compile(r"score_date:\s*([0-9T:+.Z-]+)")
_LINE = 4096
"""Most bytes of a line; a real one has forty."""


class Epss:
    """`#model_version:...,score_date:...`, the columns' names, then one CVE a line; or only the lines, `;` between."""

    name = "epss"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By the comment, the columns' names or the first line."""
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        return (
            (text.startswith(b"#model_version") and b"score_date" in text[:200])
            or text.lower().startswith(_COLUMNS)
            or bool(_BARE.match(text))
        )

    def read(self, source: Source) -> Iterator[Header | Record]:
        """One `Likelihood` a line. Raises FeedError with the line."""
        date, whole, separator, began = "", False, ",", False
        for number, raw in source.lines(_LINE):
            place = f"line {number}"
            try:
                text = raw.decode("ascii")
                if not began and text.startswith("#"):
                    hit = _SCORED.search(text)
                    date, whole = fields.utc(hit[1]) if hit else "", True
                    continue
                if not began:
                    yield _header(source, date, whole=whole or raw.lower() == _COLUMNS)
                    began = True
                    if raw.lower() == _COLUMNS:
                        continue
                    separator = ";" if ";" in text else ","
                yield _likelihood(text, separator)
            except UnicodeDecodeError as error:
                raise source.error(f"not EPSS: broken at byte {error.start} of the line", place) from error
            except ValueError as error:
                raise source.error(f"not EPSS: {error}", place) from error
        if not began:
            raise source.error("an EPSS file without a line of data")


def _likelihood(text: str, separator: str) -> Likelihood:
    cells = text.split(separator)
    if len(cells) != 3 or not _CVE(cells[0]):  # noqa: PLR2004 - CVE, probability, percentile
        raise ValueError(f"a line is CVE{separator}probability{separator}percentile")
    probability, percentile = float(cells[1]), float(cells[2])
    if not (0 <= probability <= 1 and 0 <= percentile <= 1):
        raise ValueError("a probability lies between 0 and 1")
    return Likelihood(cells[0], probability, percentile)


def _header(source: Source, date: str, *, whole: bool) -> Header:
    """A file by year is a scope of its own, so that importing one leaves the other years alone."""
    return Header(
        feed="epss/first",
        scope="*" if whole else fields.line(source.base),
        ecosystem="CVE 利用概率",
        authority=Authority.THIRD_PARTY,
        date=date,
        licence="EPSS of FIRST.org, free to use with attribution",
        snapshot=True,
    )


FORMATS = (Epss(),)
