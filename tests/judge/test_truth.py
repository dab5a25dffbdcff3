"""Floors under the figures of bench/truth.py: what is right was decided by others, or by hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench import truth, truth_alma

ROOT = Path(__file__).parents[2]
FEEDS = Path(os.environ.get("AGENT_TEST_FEEDS") or ROOT.parent / "shared/feeds")
needs_feeds = pytest.mark.skipif(not FEEDS.is_dir(), reason="no real feeds: set AGENT_TEST_FEEDS to their folder")


def rows(name, place):
    found = {one.name: one for one in truth.measure(FEEDS, place, name)}
    assert found
    return found


def differences(found):
    return [said for one in found.values() for said in one.differences]


def test_hand_made_systems_are_judged_as_by_a_person(tmp_path):
    assert differences(rows("rules", tmp_path)) == []


@needs_feeds
def test_almalinux_hosts_of_a_day_are_judged_as_by_the_dates(tmp_path, monkeypatch):
    monkeypatch.setattr(truth_alma, "DAYS", {"8": ("2023-06-30",), "9": ("2024-06-30",), "10": ("2025-12-31",)})
    for name, one in rows("alma", tmp_path).items():
        labelled = "full" in name or "Linux 8" not in name
        known = labelled or "unlisted" not in name
        assert one.right > 1_000, name
        assert one.precision >= (0.999 if labelled else 0.98), (name, one.differences[:5])
        assert one.recall >= (0.999 if known else 0.97), (name, one.differences[:5])


@needs_feeds
def test_openeuler_is_judged_as_in_others_reports(tmp_path):
    found = rows("openeuler", tmp_path)
    assert differences(found) == []
    assert all(one.right > 500 for one in found.values())


@needs_feeds
def test_debian_is_judged_as_by_dates_and_changelogs(tmp_path):
    found = {name: one for name, one in rows("debian", tmp_path).items() if "this machine" not in name}
    assert differences(found) == []
    assert all(one.right > 1_000 for one in found.values())


@needs_feeds
def test_oval_is_read_as_by_another_project(tmp_path):
    found = rows("redhat", tmp_path)
    assert [one.precision for one in found.values()] == [1.0, 1.0]
    assert [one.recall >= floor for one, floor in zip(found.values(), (0.93, 1.0), strict=True)] == [True, True]
