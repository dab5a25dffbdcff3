"""The order of upstream versions: pairs that makers themselves put in order, and laws that any text must keep."""

from functools import cmp_to_key
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.versions.generic import compare

ASCENDING = [
    "9.0.0.M1 9.0.0.M10 9.0.0-M27 9.0.0 9.0.1 9.0.9 9.0.10 9.0.70",
    "10.1.0-M1 10.1.0-milestone5 10.1.0-rc1 10.1.0 10.1.56",
    "0.9.8 0.9.8a 0.9.8zh 1.0.0-beta1 1.0.0 1.0.1t 1.0.2-beta3 1.0.2 1.0.2a 1.0.2k 1.0.2u 1.0.2za",
    "1.0.2za 1.1.0-pre1 1.1.0 1.1.1k 3.0.0-alpha1 3.0.0",
    "2.0-alpha1 2.0-beta9 2.0-rc1 2.0-rc2 2.0-SNAPSHOT 2.0 2.0.1 2.14.1 2.17.1",
    "12.1.3.0.0 12.2.1.3.0 12.2.1.4.0 14.1.1.0.0",
    "19.3 19.3.0.0.1 19.24 21.3 23.4",
    "5.5.20 5.7.44 8.0.9 8.0.36 8.4.0",
    "7.4 7.4p1 8.9p1 9.2p1 9.3",
    "1.2.24 1.2.24.sec10 1.2.25 1.2.83",
    "1.0.0-alpha 1.0.0-alpha.1 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0",
    "1.19.9 1.20.0 1.22.1 1.31.2",
]
EQUAL = [
    "12.2.1.3 12.2.1.3.0",
    "19.24.0.0.0 19.24",
    "5.3.17.RELEASE 5.3.17",
    "4.1.77.Final 4.1.77",
    "9.0.0.M1 9.0.0-milestone1 9.0.0:m1 9.0-M1",
    "v1.2 1.2 1.2+build.7",
    "1.02 1.2",
    "1.0.0.RC2 1.0.0-rc2",
]


@pytest.mark.parametrize("row", ASCENDING)
def test_versions_stand_in_their_makers_order(row):
    for left, right in pairwise(row.split()):
        assert (compare(left, right), compare(right, left)) == (-1, 1), (left, right)


@pytest.mark.parametrize("row", EQUAL)
def test_spellings_of_one_version_are_equal(row):
    first, *others = row.split()
    for other in others:
        assert compare(first, other) == 0, (first, other)


TEXT = st.one_of(
    st.text(max_size=20), st.from_regex(r"[0-9]{1,3}([.-][0-9]{0,3}(rc|m|a|b|k|final)?){0,4}", fullmatch=True)
)


@settings(max_examples=300, deadline=None)
@given(TEXT, TEXT, TEXT)
def test_any_text_has_one_place(one, two, three):
    assert compare(one, one) == 0
    assert compare(one, two) == -compare(two, one)
    low, middle, high = sorted((one, two, three), key=cmp_to_key(compare))
    assert compare(low, middle) <= 0
    assert compare(middle, high) <= 0
    assert compare(low, high) <= 0


def test_a_text_of_any_length_is_ordered_quickly():
    assert compare("9" * 100_000, "1.2") == 1
    assert compare("1." * 100_000, "1.2") == -1
