from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.advisories import fields

V31 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("", ""),
        ("2024-07-09", "2024-07-09T00:00:00Z"),
        ("2024-07-09T10:00:00Z", "2024-07-09T10:00:00Z"),
        ("2024-07-09T10:00:00.123456789+08:00", "2024-07-09T02:00:00Z"),
        ("2025-09-05 18:33:48", "2025-09-05T18:33:48Z"),
        ("01 Apr 2023", "2023-04-01T00:00:00Z"),
        ("Tue, 09 Jul 2024 10:00:00 +0200", "2024-07-09T08:00:00Z"),
        ("2024/07/09", "2024-07-09T00:00:00Z"),
        ("0001-01-01T00:00:00Z", ""),
    ],
)
def test_a_time_is_brought_to_utc(written: str, kept: str) -> None:
    assert fields.utc(written) == kept


@pytest.mark.parametrize(
    "written", ["yesterday", "2024-13-01", "9999-12-31T23:59:59-14:00", "0000-00-00", "1200-01-01"]
)
def test_what_is_no_time_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        fields.utc(written)


def test_cve_ids_are_found_sorted_by_year_and_number() -> None:
    assert fields.cves(["cve-2024-10000", "UBUNTU-CVE-2024-9999", "see CVE-2009-0001, CVE-2024-9999."]) == (
        "CVE-2009-0001", "CVE-2024-9999", "CVE-2024-10000",
    )  # fmt: skip
    assert fields.cves("XCVE-2024-1234 CVE-2024-XXXX") == ()


@pytest.mark.parametrize(
    ("vector", "value"),
    [
        (V31, 9.8),
        (V31.removeprefix("CVSS:3.1/"), 9.8),
        (f"9.8/{V31}", 9.8),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L", 5.3),
        ("(AV:N/AC:L/Au:N/C:P/I:P/A:P)", 7.5),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 9.3),
        ("", None),
        ("9.8", None),
        ("CVSS:3.1/AV:N", None),
    ],
)
def test_a_vector_has_its_base_score(vector: str, value: float | None) -> None:
    assert fields.score(vector) == value


def test_the_newest_cvss_version_wins_even_with_a_lower_score() -> None:
    old, new = "AV:N/AC:L/Au:N/C:C/I:C/A:C", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L"
    assert fields.best_score([old, new, "nonsense"]) == (5.3, new)
    assert fields.best_score([]) == (None, "")


@pytest.mark.parametrize("value", [5, True, [], {}])
def test_a_field_of_another_kind_is_named(value: object) -> None:
    with pytest.raises(ValueError, match=r"'summary' is .*, not text"):
        fields.text({"summary": value}, "summary")


@given(st.text(max_size=80) | st.from_regex(r"CVSS:[234]\.[01]/(AV:[A-Z]/){0,3}[A-Z:/]{0,20}"))
def test_hostile_text_gives_a_value_or_a_value_error(written: str) -> None:
    assert isinstance(fields.line(written), str)
    assert isinstance(fields.cves(written), tuple)
    assert fields.score(written) is None or 0 <= (fields.score(written) or 0) <= 10
    with contextlib.suppress(ValueError):
        assert len(fields.utc(written)) in {0, 20}
