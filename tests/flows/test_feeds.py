"""Feeds taken in, sealed and carried on: what the store knows afterwards, and what the ledger holds of it."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
from feedsamples import kev

from agent.advisories.source import FeedError
from agent.app import App
from agent.declared.workspace import make_workspace
from agent.flows import feeds
from agent.model.errors import IntegrityError, RefusedError, StoreError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def workspace(folder, keys, monkeypatch, clock=lambda: NOW):
    make_workspace(folder)
    monkeypatch.setenv("AGENT_KEYS", str(keys))
    return App(folder, clock)


@pytest.fixture
def app(tmp_path, monkeypatch):
    made = workspace(tmp_path / "w", tmp_path / "keys", monkeypatch)
    yield made
    made.close()


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "kev.json.gz").write_bytes(gzip.compress(kev("CVE-2026-0001", "CVE-2026-0002")))
    return folder


def sealed(app):
    return [json.loads(app.ledger.open(entry.seq)) for entry in app.ledger.entries() if entry.kind == "feeds"]


def test_an_import_is_committed_and_sealed_with_who_did_it(app, disk):
    took = feeds.take_in(app, [disk])
    (change,) = took.changes
    assert (change.name, change.before, change.after.records) == ("kev/cisa", None, 2)
    assert change.after.signature == "unsigned"
    assert set(app.feeds.cves(["CVE-2026-0001"])) == {"CVE-2026-0001"}
    (record,) = sealed(app)
    assert record["who"] == app.operator
    assert record["at"] == "2026-11-22T12:00:00+00:00"
    assert record["digest"] == took.digest == app.feeds.digest()
    assert [(one["name"], one["feeds"]) for one in record["files"]] == [("kev.json.gz", ["kev/cisa"])]
    assert record["result"]["added"] == {"exploited": 2}
    assert app.ledger.verify().ok


def test_the_same_again_changes_nothing_and_is_sealed_all_the_same(app, disk):
    first = feeds.take_in(app, [disk])
    again = feeds.take_in(app, [disk])
    assert again.changes == ()
    assert again.digest == first.digest
    assert again.imported.result.unchanged == 1
    assert [record["files"] == [] for record in sealed(app)] == [False, True]


def test_a_newer_one_replaces_and_readers_see_it(app, disk):
    feeds.take_in(app, [disk])
    assert [one.status.records for one in feeds.ages(app)] == [2]
    (disk / "kev.json.gz").write_bytes(gzip.compress(kev("CVE-2026-0003", released="2026-11-21T10:00:00Z")))
    (change,) = feeds.take_in(app, [disk]).changes
    assert (change.before.records, change.after.records) == (2, 1)
    assert [one.status.records for one in feeds.ages(app)] == [1]


def test_a_broken_file_that_was_named_leaves_store_and_ledger_as_they_were(app, disk):
    bad = disk / "bad.json.gz"
    bad.write_bytes((disk / "kev.json.gz").read_bytes()[:-20])
    with pytest.raises(FeedError):
        feeds.take_in(app, [disk / "kev.json.gz", bad])
    assert feeds.ages(app) == ()
    assert sealed(app) == []


def test_nothing_is_imported_that_cannot_be_sealed(app, disk, tmp_path, monkeypatch):
    """Else advisories would stand in the store without a record of who brought them."""
    feeds.take_in(app, [disk])
    other = workspace(
        tmp_path / "other", tmp_path / "keys", monkeypatch
    )  # its ledger lacks what the keys' anchor knows
    with pytest.raises(IntegrityError, match="rolled back"):
        feeds.take_in(other, [disk])
    assert other.feeds.status() == ()
    other.close()


def test_a_broken_file_in_a_folder_is_refused_alone_and_sealed_as_such(app, disk):
    (disk / "bad.json.gz").write_bytes((disk / "kev.json.gz").read_bytes()[:-20])
    (disk / "README").write_text("no feed", encoding="utf-8")
    took = feeds.take_in(app, [disk])
    ((place, reason),) = took.imported.refused
    assert "bad.json.gz" in place
    assert reason
    (record,) = sealed(app)
    assert record["refused"] == [[place, reason]]
    assert record["unrecognised_count"] == 1
    assert took.changes


def test_ages_are_told_and_a_feed_without_a_date_counts_as_stale(app, disk):
    feeds.take_in(app, [disk])
    (row,) = feeds.ages(app)
    assert (row.days, row.stale) == (2, False)
    app.clock = lambda: NOW + timedelta(days=40)
    assert feeds.ages(app)[0].stale
    assert feeds.FeedAge(row.status, None).stale


def test_a_bundle_goes_over_the_air_gap(app, disk, tmp_path, monkeypatch):
    took = feeds.take_in(app, [disk])
    out = tmp_path / "feeds.tar"
    info = feeds.bundle(app, out, [])
    assert [one.feeds for one in info.files] == [("kev/cisa",)]
    assert feeds.take_in(app, [out]).changes == ()
    other = workspace(tmp_path / "other", tmp_path / "otherkeys", monkeypatch)
    try:
        with pytest.raises(FeedError, match=f"not trusted here, {info.fingerprint}"):
            feeds.take_in(other, [out])
        assert feeds.ages(other) == ()
        there = feeds.take_in(other, [out], trust=info.fingerprint)
        assert there.digest == took.digest
        (row,) = feeds.ages(other)
        assert (row.status.signature, row.status.source) == (info.fingerprint, "feeds.tar")
        assert sealed(other)[-1]["changed"][0]["signature"] == info.fingerprint
        with pytest.raises(FeedError, match="not trusted"):
            feeds.take_in(other, [out])
    finally:
        other.close()


def test_a_bundle_that_was_touched_is_refused_whole(app, disk, tmp_path):
    out = tmp_path / "feeds.tar"
    feeds.bundle(app, out, [disk])
    whole = out.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        out.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(FeedError):
            feeds.take_in(app, [out])
        out.write_bytes(whole[:place])
        with pytest.raises(FeedError):
            feeds.take_in(app, [out])
    assert feeds.ages(app) == ()


def test_a_bundle_overwrites_nothing_and_is_never_empty(app, disk, tmp_path):
    out = tmp_path / "feeds.tar"
    with pytest.raises(FeedError, match="nothing to bundle"):
        feeds.bundle(app, out, [])
    assert not out.exists()
    out.write_bytes(b"mine")
    with pytest.raises(RefusedError, match="will not overwrite"):
        feeds.bundle(app, out, [disk])
    with pytest.raises(StoreError):
        feeds.bundle(app, tmp_path / "no" / "such", [disk])
    assert out.read_bytes() == b"mine"


def test_a_feed_that_lost_most_of_its_records_is_told(app, disk):
    (disk / "kev.json.gz").write_bytes(gzip.compress(kev(*(f"CVE-2026-000{number}" for number in range(1, 6)))))
    assert not feeds.take_in(app, [disk]).changes[0].shrunk
    (disk / "kev.json.gz").write_bytes(gzip.compress(kev("CVE-2026-0001", released="2026-11-22T00:00:00Z")))
    (change,) = feeds.take_in(app, [disk]).changes
    assert change.after.records == 1
    assert change.shrunk
