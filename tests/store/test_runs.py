from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.asset import Layer
from agent.model.control import Outcome, Verdict
from agent.model.errors import StoreError
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.severity import Severity
from agent.store import runs
from agent.store.engine import Store, open_store
from agent.store.rows import finding_from_json, finding_to_json
from agent.store.times import from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 22, 1, 2, 3, 4, tzinfo=UTC)

FINDINGS = st.builds(
    Finding,
    target=st.text(),
    layer=st.sampled_from(Layer),
    kind=st.sampled_from(FindingKind),
    check=st.text(),
    location=st.text(),
    title=st.text(),
    severity=st.sampled_from(Severity),
    state=st.sampled_from(FindingState),
    actual=st.text(),
    expected=st.text(),
    remedy=st.text(),
    clause=st.text(),
    cves=st.lists(st.text()).map(tuple),
    evidence=st.lists(st.integers(min_value=1)).map(tuple),
    detail=st.text(),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "state") as opened:
        yield opened


def finding(check: str, target: str = "web01", **more: object) -> Finding:
    values = {
        "target": target,
        "layer": Layer.HOST,
        "kind": FindingKind.CONTROL,
        "check": check,
        "location": "",
        "title": "禁止 root 登录",
        "severity": Severity.HIGH,
        "state": FindingState.OPEN,
        "actual": "yes",
        "expected": "no",
        "remedy": "改",
    }
    return Finding(**values | more)


def verdict(control: str, target: str = "web01") -> Verdict:
    return Verdict(control, target, "", Outcome.FAIL, "yes", "no", "原因")


def begin(store: Store, run_id: str = "scan-1", period: str = "lianghui-2027", at: datetime = NOW) -> runs.Run:
    return runs.create_run(
        store,
        run_id,
        kind="scan",
        period=period,
        plan={"scope": "全部", "targets": ["web01"]},
        operator="ops",
        started_at=at,
        tasks=[("web01", "host"), ("web01", "network"), ("db01", "database")],
    )


@given(FINDINGS)
def test_a_finding_survives_its_way_through_json(each: Finding) -> None:
    assert finding_from_json(finding_to_json(each)) == each


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_its_way_through_text(at: datetime) -> None:
    assert from_text(to_text(at)) == at


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_text_sorts_as_time(one: datetime, other: datetime) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)


def test_times_are_stored_in_utc_and_naive_ones_refused() -> None:
    assert to_text(datetime(2026, 11, 22, 9, tzinfo=timezone(timedelta(hours=8)))) == "2026-11-22T01:00:00.000000Z"
    with pytest.raises(ValueError, match="naive"):
        to_text(datetime(2026, 11, 22))  # noqa: DTZ001 - the naive time is the case
    with pytest.raises(ValueError, match="does not match"):
        from_text("2026-11-22 01:00:00")


def test_a_damaged_finding_is_a_clear_error() -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        finding_from_json('{"layer": "cellar"}')


def test_a_run_and_its_tasks_come_back_as_given(store: Store) -> None:
    created = begin(store)
    assert created == runs.run_by_id(store, "scan-1")
    assert (created.state, created.started_at, created.finished_at) == ("open", NOW, None)
    assert created.plan == {"scope": "全部", "targets": ["web01"]}
    assert [(task.target, task.kind, task.state) for task in runs.tasks(store, "scan-1")] == [
        ("db01", "database", "waiting"),
        ("web01", "host", "waiting"),
        ("web01", "network", "waiting"),
    ]


def test_a_plan_may_be_given_as_its_json(store: Store) -> None:
    run = runs.create_run(
        store, "r", kind="scan", period="", plan='{"a": [1]}', operator="ops", started_at=NOW, tasks=[]
    )
    assert run.plan == {"a": [1]}


def test_a_run_begun_twice_is_refused_and_the_first_stays(store: Store) -> None:
    begin(store)
    with pytest.raises(StoreError, match="exists already"):
        begin(store)
    assert len(runs.tasks(store, "scan-1")) == 3


def test_no_such_run_or_task(store: Store) -> None:
    with pytest.raises(StoreError, match="no such run"):
        runs.run_by_id(store, "scan-9")
    begin(store)
    with pytest.raises(StoreError, match="no task host for target 'web99'"):
        runs.finish_task(store, "scan-1", "web99", "host", state="done", at=NOW, evidence=1)


def test_finished_tasks_keep_evidence_or_reason(store: Store) -> None:
    begin(store)
    runs.finish_task(store, "scan-1", "web01", "host", state="done", at=NOW, evidence=7, nonce="ab")
    runs.finish_task(
        store, "scan-1", "db01", "database", state="unreached", at=NOW, reason="timeout", detail="no answer"
    )
    database, host, network = runs.tasks(store, "scan-1")
    assert (host.state, host.at, host.evidence, host.nonce) == ("done", NOW, 7, "ab")
    assert (database.state, database.evidence, database.reason, database.detail) == (
        "unreached",
        None,
        "timeout",
        "no answer",
    )
    assert network.state == "waiting"


def test_latest_runs_newest_first_by_kind_and_period(store: Store) -> None:
    begin(store, "scan-1")
    begin(store, "scan-2", at=NOW + timedelta(seconds=1))
    begin(store, "scan-3", period="guoqing-2026", at=NOW + timedelta(seconds=2))
    assert [run.id for run in runs.latest_runs(store, "scan")] == ["scan-3", "scan-2", "scan-1"]
    assert [run.id for run in runs.latest_runs(store, "scan", "lianghui-2027")] == ["scan-2", "scan-1"]
    assert runs.latest_runs(store, "scan", "") == []
    assert runs.latest_runs(store, "harden") == []


def test_a_judgement_replaces_the_earlier_one_and_keeps_its_order(store: Store) -> None:
    begin(store)
    runs.save_judgement(store, "scan-1", [finding("OLD")], [verdict("OLD")], {"n": 1})
    order = [finding("Z"), finding("A", cves=("CVE-2026-1",), evidence=(3, 4)), finding("Z", target="web02")]
    runs.save_judgement(store, "scan-1", order, [verdict("B"), verdict("A")], {"n": 2, "notes": ["未"]})
    assert runs.findings(store, "scan-1") == order
    assert runs.verdicts(store, "scan-1") == [verdict("A"), verdict("B")]
    run = runs.run_by_id(store, "scan-1")
    assert (run.state, run.summary) == ("judged", {"n": 2, "notes": ["未"]})


def test_a_refused_judgement_leaves_the_earlier_one(store: Store) -> None:
    begin(store)
    runs.save_judgement(store, "scan-1", [finding("OLD")], [verdict("OLD")], {"n": 1})
    with pytest.raises(StoreError, match="two findings claim the same place"):
        runs.save_judgement(store, "scan-1", [finding("A"), finding("A")], [], {})
    with pytest.raises(StoreError, match="two verdicts claim the same place"):
        runs.save_judgement(store, "scan-1", [], [verdict("A"), verdict("A")], {})
    assert runs.findings(store, "scan-1") == [finding("OLD")]
    assert runs.run_by_id(store, "scan-1").summary == {"n": 1}


def test_a_closed_run_is_never_changed(store: Store) -> None:
    begin(store)
    runs.set_state(store, "scan-1", "observed")
    runs.save_judgement(store, "scan-1", [finding("A")], [], {})
    runs.close_run(store, "scan-1", NOW + timedelta(minutes=1))
    assert runs.run_by_id(store, "scan-1").finished_at == NOW + timedelta(minutes=1)
    for change in (
        lambda: runs.save_judgement(store, "scan-1", [], [], {}),
        lambda: runs.close_run(store, "scan-1", NOW),
        lambda: runs.set_state(store, "scan-1", "open"),
    ):
        with pytest.raises(StoreError, match="closed"):
            change()
    assert runs.findings(store, "scan-1") == [finding("A")]
    with pytest.raises(StoreError, match="no such run"):
        runs.close_run(store, "scan-9", NOW)


def test_changelogs_are_kept_by_source_and_version(store: Store) -> None:
    assert runs.changelog(store, "openssl", "3.0.1") is None
    runs.keep_changelog(store, "openssl", "3.0.1", "", NOW)
    assert runs.changelog(store, "openssl", "3.0.1") == ""
    runs.keep_changelog(store, "openssl", "3.0.1", "fixes CVE-2026-1", NOW)
    assert runs.changelog(store, "openssl", "3.0.1") == "fixes CVE-2026-1"
    assert runs.changelog(store, "openssl", "3.0.2") is None
