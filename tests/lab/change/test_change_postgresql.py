"""Settings of PostgreSQL on db-02 (pg-net, weak as the lab plants it): each control's own word before and after."""

import pytest
from databases import DatabaseUnderChange
from hardening import differences, proves

from agent.model.change import Risk, Skip, TxState, Why

WARM = ("PG-IA-A-01", "PG-IA-B-02", "PG-IA-B-03", "PG-AU-A-01", "PG-AU-B-01")
COLD = ("PG-IA-A-04", "PG-AU-A-03")


@pytest.fixture
def under(lab):
    return DatabaseUnderChange(lab.workspace, "db-02")


def test_settings_that_are_wrong_pass_afterwards_and_come_back(under):
    assert under.outcome(*WARM) == dict.fromkeys(WARM, "fail")
    before = under.manifest(under.more)
    items = [under.item(each) for each in WARM]
    tx = under.harden(*items)
    try:
        assert under.outcome(*WARM) == dict.fromkeys(WARM, "pass")
    finally:
        under.revert(tx)
    assert differences(before, under.manifest(under.more)) == []
    assert under.outcome(*WARM) == dict.fromkeys(WARM, "fail")


def test_what_another_had_set_comes_back_byte_for_byte(under):
    proves(
        under,
        [under.item("PG-AU-B-01"), under.item("PG-IA-B-03")],
        broken="cd /; runuser -u postgres -- psql -Xq -c \"ALTER SYSTEM SET log_line_prefix = 'it''s \\\\ %p '\" -c 'ALTER SYSTEM SET work_mem = 7777' -c 'SELECT pg_reload_conf()'; sleep 1",
        mended="cd /; runuser -u postgres -- psql -Xq -c 'ALTER SYSTEM RESET ALL' -c 'SELECT pg_reload_conf()'; sleep 1",
        more=under.more,
    )


def test_what_only_a_start_sets_waits_for_leave_and_then_is_done(under):
    for control in COLD:
        skip = under.plan(under.item(control))[f"i.{control}"]
        assert isinstance(skip, Skip)
        assert skip.why is Why.MANUAL
        assert "--restart" in skip.text
    before = under.manifest(under.more)
    items = [under.item(each, restart=True) for each in COLD]
    assert all(Risk.RESTART in step.risk for step in under.steps(*items))
    tx = under.harden(*items)
    try:
        assert under.outcome(*COLD) == dict.fromkeys(COLD, "pass")
    finally:
        under.revert(tx)
        under.root("rm -rf /var/lib/postgresql/15/main/log")
    assert differences(before, under.manifest(under.more)) == []


def test_a_library_that_stops_the_start_is_undone_at_once(under):
    item = under.item("PG-IA-A-04", restart=True)
    before = under.manifest(under.more)
    steps = under.steps(item)
    library = "/usr/lib/postgresql/15/lib/passwordcheck.so"
    under.root(f"cp -a {library} /root/kept.so; echo broken >{library}")
    try:
        tx = under.transaction([item], steps)
        assert under.begin(tx).failed
        assert under.state(tx) is TxState.UNDONE
    finally:
        under.root(f"cat /root/kept.so >{library}; rm /root/kept.so")
    assert differences(before, under.manifest(under.more)) == []


def test_what_is_not_there_is_told(under):
    for control, word in (("PG-IA-A-05", "credcheck"), ("PG-AU-A-02", "pgaudit"), ("PG-IA-B-01", "credcheck")):
        skip = under.plan(under.item(control, restart=True))[f"i.{control}"]
        assert isinstance(skip, Skip)
        assert skip.why is Why.UNSUPPORTED
        assert word in skip.text
    skip = under.plan(under.item("PG-BK-A-01", restart=True))["i.PG-BK-A-01"]
    assert skip.why is Why.MANUAL


def test_the_twin_is_right_already(lab):
    twin = DatabaseUnderChange(lab.workspace, "db-03")
    for control in ("PG-IA-A-01", "PG-IA-C-01", "PG-AU-A-01", "PG-AU-A-03"):
        assert twin.plan(twin.item(control)) == {f"i.{control}": ()}
