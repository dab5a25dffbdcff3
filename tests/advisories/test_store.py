from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from feedstore import AT, LATER, advisory, dump, fixes, header
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.advisories.schema import VERSION
from agent.advisories.source import FeedError
from agent.advisories.store import FeedStore, ImportResult, open_feeds
from agent.model.advisory import (
    Advisory,
    Affected,
    Authority,
    CveNote,
    Exploited,
    Header,
    Lifecycle,
    Likelihood,
    Record,
    Scheme,
    Status,
)
from agent.model.errors import StoreError


@pytest.fixture
def store(tmp_path):
    with open_feeds(tmp_path / "state") as opened:
        yield opened


def put(store: FeedStore, head: Header, *records: Record, sha256: str = "", at: datetime = AT) -> ImportResult:
    sha256 = sha256 or f"{hash((head, records)) & 0xFFFFFFFF:064x}"
    with store.importing(who="tester", at=at, source="disk") as work:
        work.document(head, name="disk!doc", sha256=sha256)
        for record in records:
            work.add(record)
        return work.finish()


FULL = Advisory(
    "FULL-1", "everything", "Important", 9.8, "CVSS:3.1/AV:N", ("CVE-2099-0001", "CVE-2099-0002"), ("GHSA-x",),
    "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", "https://example.invalid/1",
    affected=(
        Affected(
            "rhel:8", "nodejs", Scheme.RPM, "binary", "1:10.0", "1:10.2-3", "1:10.1", ("1:10.0-1",), Status.DEFERRED,
            ("CVE-2099-0002",), ("nodejs:18",), modular=True, arches=("x86_64",), fix="KB1",
            supersedes=("KB0",), reboot=True,
        ),
        Affected("windows:Windows Server 2016", "Windows Server 2016", Scheme.WINDOWS, "product", fixed="10.0.14393.9"),
        Affected("rhel:8", "nodejs", Scheme.RPM, "source", fixed="2"),
    ),
)  # fmt: skip


def test_everything_that_an_advisory_says_comes_back(store):
    put(store, header("osv/x", authority="nvd"), FULL)
    keys = [
        ("rhel:8", "nodejs"),
        ("windows:Windows Server 2016", "Windows Server 2016"),
        ("rhel:8", "absent"),
        ("x", "y"),
    ]
    known = store.known(keys)
    assert set(known) == set(keys[:2])
    first, second = known["rhel:8", "nodejs"]
    assert (first.row, second.row) == (FULL.affected[0], FULL.affected[2])
    assert known[keys[1]][0].row == FULL.affected[1]
    assert first.head is second.head
    head = first.head
    assert (head.id, head.feed, head.authority, head.title) == ("FULL-1", "osv/x", Authority.NVD, "everything")
    assert (head.severity, head.score, head.cves) == ("Important", 9.8, FULL.cves)
    assert (head.aliases, head.published, head.url) == (FULL.aliases, FULL.published, FULL.url)


def test_a_missing_file_is_an_empty_store_when_only_read(tmp_path):
    with open_feeds(tmp_path / "state", readonly=True) as empty:
        assert empty.known([("a", "b")]) == {}
        assert empty.status() == ()
        assert empty.digest() == ""
        assert empty.streams() == {}
        assert empty.cves(["CVE-2099-0001"]) == {}
        assert empty.lifecycle(["debian"]) == {}
    assert not (tmp_path / "state").exists()


def test_the_files_are_private(store):
    put(store, header(), advisory("A"))
    assert store.file.parent.stat().st_mode & 0o777 == 0o700
    for file in store.file.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


def test_the_same_document_again_changes_nothing(store):
    put(store, header(), advisory("A"), sha256="1" * 64)
    before = dump(store)
    again = put(store, header(), advisory("A"), sha256="1" * 64, at=LATER)
    assert dump(store) == before
    assert (again.new, again.replaced, again.unchanged, again.older) == (0, 0, 1, 0)
    assert again.skipped == (("disk!doc", "unchanged: it was imported before"),)
    assert not again.added
    assert not again.removed


def test_a_newer_advisory_replaces_and_an_older_one_is_left_out(store):
    put(store, header(scope="a"), advisory("A", "2.0", modified="2024-02-01T00:00:00Z"))
    put(store, header(scope="b"), advisory("A", "1.0", modified="2024-01-01T00:00:00Z"))
    assert fixes(store) == {"A": "2.0"}
    put(store, header(scope="c"), advisory("A", "3.0", modified="2024-03-01T00:00:00Z"))
    assert fixes(store) == {"A": "3.0"}
    assert store.status()[0].records == 1


def test_without_a_time_of_its_own_the_documents_date_decides(store):
    put(store, header(scope="a", date="2024-02-01T00:00:00Z"), advisory("A", "2.0"))
    put(store, header(scope="b", date="2024-01-01T00:00:00Z"), advisory("A", "1.0"))
    assert fixes(store) == {"A": "2.0"}
    put(store, header(scope="b", date="2024-03-01T00:00:00Z"), advisory("A", "3.0"))
    assert fixes(store) == {"A": "3.0"}


def test_an_older_document_is_left_out_with_its_reason(store):
    put(store, header(date="2024-02-01T00:00:00Z"), advisory("A", "2.0"))
    result = put(store, header(date="2024-01-01T00:00:00Z"), advisory("B"))
    assert result.older == 1
    assert "older (2024-01-01T00:00:00Z)" in result.skipped[0][1]
    assert fixes(store) == {"A": "2.0"}


def test_a_withdrawn_advisory_goes_and_an_older_copy_does_not_bring_it_back(store):
    put(store, header(scope="a"), advisory("A", modified="2024-01-01T00:00:00Z"), advisory("B"))
    gone = put(store, header(scope="b"), advisory("A", modified="2024-03-01T00:00:00Z", withdrawn=True))
    assert gone.removed == {"advisory": 1}
    assert fixes(store) == {"B": "1.0"}
    put(store, header(scope="c"), advisory("A", modified="2024-02-01T00:00:00Z"))
    assert fixes(store) == {"B": "1.0"}
    back = put(store, header(scope="d"), advisory("A", modified="2024-04-01T00:00:00Z"))
    assert back.added == {"advisory": 1}
    assert set(fixes(store)) == {"A", "B"}


def test_a_snapshot_takes_away_what_it_does_not_tell_again_of_its_scope_only(store):
    put(store, header(scope="x", snapshot=True), advisory("A"), advisory("B"))
    put(store, header(scope="y", snapshot=True), advisory("C"))
    put(store, header("other/test", scope="x", snapshot=True), advisory("D"))
    result = put(store, header(scope="x", snapshot=True), advisory("B", "2.0"), advisory("E"))
    assert fixes(store) == {"B": "2.0", "C": "1.0", "D": "1.0", "E": "1.0"}
    assert (result.added, result.removed) == ({"advisory": 1}, {"advisory": 1})
    assert [one.documents for one in store.status()] == [1, 2]


def test_a_document_that_is_no_snapshot_adds_to_what_is_there(store):
    put(store, header(), advisory("A"), advisory("B"))
    put(store, header(), advisory("B", "2.0"))
    assert fixes(store) == {"A": "1.0", "B": "2.0"}
    assert store.provenance("tiny/test", "A") != store.provenance("tiny/test", "B")


def test_two_of_one_id_that_are_equally_new_become_one_with_the_statements_of_both(store):
    one = advisory("A", "1.0", cves=("CVE-2099-0002",))
    other = advisory("A", "2.0", stream="debian:11", cves=("CVE-2099-0001",))
    put(store, header(), one, one, other)
    known = store.known([("debian:12", "pkg"), ("debian:11", "pkg")])
    assert [candidate.row.cves for candidate in known["debian:12", "pkg"]] == [("CVE-2099-0002",)]
    assert [candidate.row.cves for candidate in known["debian:11", "pkg"]] == [("CVE-2099-0001",)]
    assert known["debian:11", "pkg"][0].head.cves == ("CVE-2099-0001", "CVE-2099-0002")
    assert store.status()[0].records == 1


def test_of_two_snapshots_of_one_scope_in_one_import_the_first_stays_unless_the_other_is_newer(store):
    with store.importing(who="tester", at=AT, source="disk") as work:
        assert work.document(header(snapshot=True, date="2024-01-01T00:00:00Z"), name="a", sha256="1" * 64)
        work.add(advisory("A"))
        assert not work.document(header(snapshot=True), name="b", sha256="2" * 64)
        work.add(advisory("B"))
        assert "another document of this import" in work.skipped[0][1]
        assert work.document(header(snapshot=True, date="2024-01-02T00:00:00Z"), name="c", sha256="3" * 64)
        work.add(advisory("C"))
    assert set(fixes(store)) == {"C"}


def test_other_records_are_by_cve_or_cycle_and_the_newer_document_counts(store):
    old, new = "2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"
    put(store, header("epss/t", "b", new), Likelihood("CVE-2099-0001", 0.9, 0.99))
    put(store, header("epss/t", "a", old), Likelihood("CVE-2099-0001", 0.1, 0.2), Likelihood("CVE-2099-0002", 0.3, 0.4))
    put(store, header("eol/t", "x"), Lifecycle("debian", "12", "2028-06-30"), Lifecycle("debian", "11", "2026-08-31"))
    put(store, header("eol/t", "x"), Lifecycle("debian", "12", "2029-01-01"))
    assert {cve: fact.epss for cve, fact in store.cves(["CVE-2099-0001", "CVE-2099-0002"]).items()} == {
        "CVE-2099-0001": 0.9, "CVE-2099-0002": 0.3,
    }  # fmt: skip
    assert [(one.cycle, one.eol) for one in store.lifecycle(["debian"])["debian"]] == [
        ("11", "2026-08-31"), ("12", "2029-01-01"),
    ]  # fmt: skip


def test_facts_of_a_cve_are_merged_the_surest_source_first(store):
    cve, v3, v4 = "CVE-2099-0001", "CVSS:3.1/AV:N", "CVSS:4.0/AV:N"
    put(store, header("z/other", authority="third-party"), CveNote(cve, "other", 1.0, v4, "LOW", "CNNVD-209901-001"))
    put(store, header("nvd/nist", authority="nvd"), CveNote(cve, "nvd", 7.5, v3, "HIGH"))
    put(
        store,
        header("kev/cisa"),
        Exploited(cve, "2024-01-02", "2024-02-02", ransomware=True, name="kev", action="patch"),
    )
    fact = store.cves([cve, "CVE-2099-9999"])[cve]
    assert (fact.title, fact.score, fact.severity, fact.cnnvd) == ("nvd", 7.5, "HIGH", "CNNVD-209901-001")
    assert fact.kev == Exploited(cve, "2024-01-02", "2024-02-02", ransomware=True, name="kev", action="patch")
    assert (fact.epss, fact.rejected) == (None, False)
    put(store, header("a/vendor"), CveNote(cve, "vendor", 5.0, v3, "MEDIUM"))
    put(store, header("b/vendor"), CveNote(cve, "newest", 6.0, v4, "MEDIUM", rejected=True))
    fact = store.cves([cve])[cve]
    assert (fact.title, fact.score, fact.rejected) == ("newest", 6.0, True)


def test_streams_and_status_tell_the_newest_but_nothing_from_the_future(store):
    put(
        store, header("a/x", date="2024-05-01T00:00:00Z", licence="CC0"),
        advisory("A", modified="2024-06-01T00:00:00Z"), advisory("B", stream="cpe", modified="2024-01-01T00:00:00Z"),
    )  # fmt: skip
    put(
        store,
        header("b/x"),
        advisory("C", modified="2999-01-01T00:00:00Z", stream="rhel:8"),
        advisory("D", stream="uos:20"),
    )
    assert store.streams() == {
        "debian:12": "2024-06-01T00:00:00Z", "cpe": "2024-05-01T00:00:00Z", "rhel:8": "", "uos:20": "",
    }  # fmt: skip
    first, second = store.status()
    assert (first.feed, first.ecosystem, first.source, first.records) == ("a/x", "Test", "disk", 2)
    assert (first.newest, first.licence, first.signature) == ("2024-06-01T00:00:00Z", "CC0", "unsigned")
    assert (first.imported_at, first.imported_by, first.documents) == ("2026-11-22T08:00:00Z", "tester", 1)
    assert first.streams == ("debian:12",)
    assert second.streams == ("rhel:8", "uos:20")


def test_what_is_dated_in_the_future_keeps_nothing_newer_out(store):
    """A wrong clock, or a hostile feed, would else have the last word for ever."""
    ahead, next_day = "2199-01-01T00:00:00Z", "2026-11-23T07:00:00Z"
    put(store, header("a/x", date=ahead, snapshot=True), Exploited("CVE-2024-0001", ""))
    put(store, header("b/x", "one"), advisory("A", "0.1", modified=ahead))
    assert [one.newest for one in store.status()] == ["", ""]
    put(store, header("a/x", date=next_day, snapshot=True), Exploited("CVE-2024-0002", ""))
    put(store, header("b/x", "one"), advisory("A", "2.0", modified="2026-05-01T00:00:00Z"))
    assert set(store.cves(["CVE-2024-0001", "CVE-2024-0002"])) == {"CVE-2024-0002"}
    assert fixes(store) == {"A": "2.0"}
    assert [one.newest for one in store.status()] == ["2026-11-22T08:00:00Z", "2026-05-01T00:00:00Z"]


def test_equal_knowledge_has_an_equal_digest(tmp_path):
    digests = []
    for name, order in (("one", (0, 1)), ("other", (1, 0))):
        with open_feeds(tmp_path / name) as store:
            documents = ((header("a/x"), advisory("A")), (header("b/x"), advisory("B")))
            for number in order:
                put(store, *documents[number], sha256=f"{number:064}", at=AT if name == "one" else LATER)
            digests.append(store.digest())
            put(store, header("c/x"), advisory("C"))
            assert store.digest() != digests[-1]
    assert len(set(digests)) == 1


def test_every_row_leads_to_its_document(store):
    with store.importing(who="赵工", at=AT, source="disk 7", signature="ab" * 32) as work:
        work.document(header(scope="s", date="2024-01-01T00:00:00Z"), name="f.zip!a.json", sha256="1" * 64)
        work.add(advisory("A"))
    found = store.provenance("tiny/test", "A")
    assert (found.scope, found.name, found.sha256, found.date) == (
        "s",
        "f.zip!a.json",
        "1" * 64,
        "2024-01-01T00:00:00Z",
    )
    assert (found.source, found.signature, found.imported_by) == ("disk 7", "ab" * 32, "赵工")
    assert found.imported_at == "2026-11-22T08:00:00Z"
    assert store.provenance("tiny/test", "B") is None


def fail() -> None:
    raise ZeroDivisionError


def test_an_exception_undoes_the_whole_import(store):
    put(store, header(), advisory("A"))
    before = dump(store)
    with pytest.raises(ZeroDivisionError), store.importing(who="tester", at=AT, source="disk") as work:  # noqa: PT012
        work.document(header(snapshot=True), name="x", sha256="f" * 64)
        work.add(advisory("B"))
        fail()
    assert dump(store) == before


def test_a_savepoint_undoes_its_part_alone_counts_and_all(store):
    put(store, header("old/x"), advisory("O"))
    with store.importing(who="tester", at=AT, source="disk") as work:
        work.document(header(), name="a", sha256="1" * 64)
        work.add(advisory("A"))
        with pytest.raises(ZeroDivisionError), work.savepoint():  # noqa: PT012
            with work.savepoint():
                work.document(header("old/x", snapshot=True), name="b", sha256="2" * 64)
                work.add(advisory("B", stream="brand:new"))
            fail()
        with work.savepoint():
            work.document(header("new/x"), name="c", sha256="3" * 64)
            work.add(advisory("C", stream="brand:new"))
        result = work.finish()
    assert fixes(store) == {"A": "1.0", "O": "1.0"}
    assert fixes(store, stream="brand:new") == {"C": "1.0"}
    assert (result.new, result.replaced, result.added, result.removed) == (2, 0, {"advisory": 2}, {})


def test_a_reader_sees_one_moment_and_does_not_hold_an_import_up(store, tmp_path):
    put(store, header(), advisory("A"))
    with open_feeds(tmp_path / "state", readonly=True) as reader:
        assert set(fixes(reader)) == {"A"}
        start = time.monotonic()
        put(store, header(scope="b"), advisory("B"))
        assert time.monotonic() - start < 5
        assert set(fixes(reader)) == {"A"}
        with pytest.raises(StoreError):
            put(reader, header(scope="c"), advisory("C"))
    with open_feeds(tmp_path / "state", readonly=True) as reader:
        assert set(fixes(reader)) == {"A", "B"}


def test_a_newer_database_is_refused_and_a_damaged_one_named(tmp_path):
    open_feeds(tmp_path).close()
    with sqlite3.connect(tmp_path / "feeds.db") as raw:
        raw.execute(f"PRAGMA user_version={VERSION + 1}")
    raw.close()
    for readonly in (True, False):
        with pytest.raises(StoreError, match="newer than this program"):
            open_feeds(tmp_path, readonly=readonly)
    (tmp_path / "feeds.db").write_bytes(b"this is no database, but it is long enough to look at" * 100)
    for readonly in (True, False):
        with pytest.raises(StoreError, match="damaged"):
            open_feeds(tmp_path, readonly=readonly)


def test_a_file_that_a_killed_process_left_empty_is_made_whole(tmp_path):
    (tmp_path / "feeds.db").touch(0o600)
    with open_feeds(tmp_path, readonly=True) as store:
        assert store.status() == ()


IMPORT = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from feedstore import AT, advisory, header
from agent.advisories.store import open_feeds
with open_feeds(Path(sys.argv[1])) as store, store.importing(who="x", at=AT, source="x") as work:
    work.document(header(snapshot=True), name="x", sha256="9" * 64)
    for number in range(10**9):
        work.add(advisory(f"N-{number}", package="p" * 1000))
        if number == 12_000:
            print("busy", flush=True)
"""


def _child(state: Path, **more: object) -> subprocess.Popen[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", IMPORT, str(state), str(root), str(root / "tests/support")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def test_kill_9_in_the_middle_leaves_the_store_as_it_was(store, tmp_path):
    put(store, header(), advisory("A"))
    before = dump(store)
    with _child(tmp_path / "state") as child:
        assert child.stdout.readline() == "busy\n"
        os.kill(child.pid, signal.SIGKILL)
    with open_feeds(tmp_path / "state") as again:
        assert dump(again) == before
        put(again, header(scope="b"), advisory("B"))
        assert set(fixes(again)) == {"A", "B"}


def test_a_full_disk_leaves_the_store_as_it_was(store, tmp_path):
    put(store, header(), advisory("A"))
    before = dump(store)
    store.close()

    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))

    with _child(tmp_path / "state", preexec_fn=small) as child:
        _, said = child.communicate(timeout=120)
    assert child.returncode == 1
    assert "StoreError" in said
    assert "full or failing" in said
    with open_feeds(tmp_path / "state") as again:
        assert dump(again) == before


def test_no_more_pages_is_a_full_disk_too(store):
    put(store, header(), advisory("A"))
    store._db.execute("PRAGMA max_page_count=60")
    with pytest.raises(StoreError, match="full"):
        put(store, header(), *(advisory(f"N-{number}", package="p" * 500) for number in range(3000)))
    assert set(fixes(store)) == {"A"}


def test_text_that_cannot_be_stored_is_a_declared_error(store):
    with pytest.raises(FeedError, match="cannot be stored"):
        put(store, header(), replace(advisory("A"), title="\ud800"))
    assert store.status() == ()


def test_twenty_thousand_keys_are_looked_up_at_once(store):
    put(store, header(), *(advisory(f"N-{number}", package=f"p{number}") for number in range(0, 20_000, 10)))
    start = time.monotonic()
    known = store.known([("debian:12", f"p{number}") for number in range(20_000)])
    assert len(known) == 2000
    assert time.monotonic() - start < 5


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8)
rows = st.builds(
    Affected, st.sampled_from(["debian:12", "rhel:8"]), st.sampled_from(["a", "b"]), st.sampled_from(Scheme),
    st.sampled_from(["binary", "source"]), words, words, words, st.lists(words.filter(bool), max_size=2).map(tuple),
    st.sampled_from(Status), st.just(()), st.lists(words.filter(bool), max_size=2).map(tuple), st.booleans(),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(rows, max_size=3), max_size=4))
def test_whatever_rows_go_in_come_out(tmp_path_factory, several):
    with open_feeds(tmp_path_factory.mktemp("s")) as store:
        put(store, header(), *(Advisory(f"A{n}", "t", affected=tuple(each)) for n, each in enumerate(several)))
        found = [
            (one.head.id, one.row)
            for candidates in store.known([(s, p) for s in ("debian:12", "rhel:8") for p in "ab"]).values()
            for one in candidates
        ]
    told = [(f"A{n}", row) for n, each in enumerate(several) for row in each]
    assert sorted(map(repr, found)) == sorted(map(repr, told))
