from __future__ import annotations

import io
import tarfile

import pytest
from feeds import SAMPLES, read, real, refused_or_read, source
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.formats import epss
from agent.advisories.source import FeedError
from agent.model.advisory import Header, Likelihood

EPSS = epss.FORMATS[0]
DAILY, YEAR = ((SAMPLES / "lists" / name).read_text() for name in ("epss.csv", "CVE_2099_EPSS.csv"))


def test_both_forms_are_recognised_and_other_tables_are_not() -> None:
    assert EPSS.recognise(DAILY.encode(), "x")
    assert EPSS.recognise(b"cve,epss,percentile\nCVE-2099-6001,0.1,0.2\n", "x")
    assert EPSS.recognise(YEAR.encode(), "x")
    assert not EPSS.recognise(b"CVE-2099-1;KB1;Windows\n", "x.csv")
    assert not EPSS.recognise(b"advisory,cve,package\nX-1,CVE-2099-1,vim\n", "x.csv")


def test_the_daily_file_is_the_whole_and_a_years_file_is_a_scope_of_its_own() -> None:
    daily, first, _ = read(EPSS, DAILY, "disk/epss_scores-2099-07-01.csv")
    year = read(EPSS, YEAR, "disk/epss.tar!EPSS_CVE_data/CVE_2099_EPSS.csv")
    assert isinstance(daily, Header)
    assert isinstance(year[0], Header)
    assert (daily.feed, daily.scope, daily.snapshot, daily.date) == ("epss/first", "*", True, "2099-07-01T00:00:00Z")
    assert (year[0].feed, year[0].scope, year[0].snapshot) == ("epss/first", "CVE_2099_EPSS.csv", True)
    assert first == Likelihood("CVE-2099-6001", 0.00043, 0.08123)
    assert set(read(EPSS, DAILY)[1:]) == set(year[1:])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "without a line"),
        ("#model_version:v1,score_date:yesterday\n", "without a line"),
        ("#model_version:v1,score_date:2099-19-39\ncve,epss,percentile\n", "line 2: .*is no time|line 1: .*is no time"),
        (DAILY + "CVE-2099-6003,nan,0.1\n", "line 5: .*between 0 and 1"),
        (DAILY + "CVE-2099-6003,1.5,0.1\n", "between 0 and 1"),
        (DAILY + "CVE-2099-6003,1\n", "a line is CVE,probability,percentile"),
        (DAILY + "CVE-2099-6003,\u4e00,1\n", "broken at byte"),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(text: str, message: str) -> None:
    with pytest.raises(FeedError, match=message):
        read(EPSS, text)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="CVE-20991;,.e\n#nan\u4e00", max_size=60) | st.binary(max_size=40))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    refused_or_read(EPSS, YEAR.encode() + (text if isinstance(text, bytes) else text.encode()))


def test_the_real_files() -> None:
    counts, scopes = 0, set()
    with tarfile.open(fileobj=io.BytesIO(real("epss/epss-by-year.tar.zst"))) as archive:
        for member in archive:
            held = archive.extractfile(member) if member.isfile() else None
            if held is not None and member.name.endswith(".csv"):
                content = held.read()
                assert EPSS.recognise(content[:65536], member.name)
                for one in EPSS.read(source(content, member.name)):
                    counts += isinstance(one, Likelihood)
                    scopes |= {one.scope} if isinstance(one, Header) else set()
    assert counts > 360_000
    assert len(scopes) == 28
