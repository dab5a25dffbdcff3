"""Who gets in, from where and how, and what he may do: PostgreSQL on db-02 (pg-net, weak as the lab plants it)."""

import pytest
from databases import DatabaseUnderChange
from hardening import differences, proves

from agent.model.change import Skip, TxState, Why

RIGHTS = ("PG-AC-A-02", "PG-AC-D-01")
HBA = "/etc/postgresql/15/main/pg_hba.conf"
PSQL = "cd /; runuser -u postgres -- psql -Xq -v ON_ERROR_STOP=1"
SCRAM = (
    f"{PSQL} -c \"SET password_encryption='scram-sha-256'\" -c \"ALTER ROLE report PASSWORD 'Rep0rt-of-tests-only'\""
)


@pytest.fixture
def under(lab):
    return DatabaseUnderChange(lab.workspace, "db-02")


@pytest.fixture
def kept(under):
    """The rules and the roles' passwords, put back afterwards."""
    before = under.manifest(under.more)
    under.root(
        f"cp -a {HBA} /root/hba.kept; {PSQL} -At -c \"SELECT format('ALTER ROLE %I PASSWORD %L;',rolname,rolpassword) "
        'FROM pg_authid WHERE rolpassword IS NOT NULL" >/root/roles.kept; chmod 600 /root/roles.kept'
    )
    yield before
    under.root(
        f"cp -a /root/hba.kept {HBA}; {PSQL} </root/roles.kept; {PSQL} -c 'SELECT pg_reload_conf()'; rm /root/*.kept; sleep 1"
    )
    assert differences(before, under.manifest(under.more)) == []


def test_rights_that_are_too_many_pass_afterwards_and_come_back(under):
    assert under.outcome(*RIGHTS) == dict.fromkeys(RIGHTS, "fail")
    before = under.manifest(under.more)
    tx = under.harden(*(under.item(each) for each in RIGHTS))
    try:
        assert under.outcome(*RIGHTS) == dict.fromkeys(RIGHTS, "pass")
    finally:
        under.revert(tx)
    assert differences(before, under.manifest(under.more)) == []


HOSTILE = """a"b'c;$(id) \\\\ 名 host=elsewhere"""


def test_names_that_want_to_be_more_than_names(under):
    quoted = '"' + HOSTILE.replace('"', '""').replace("\\\\", "\\") + '"'
    make = (
        f"CREATE ROLE {quoted} SUPERUSER CREATEROLE LOGIN IN ROLE pg_write_server_files PASSWORD 'x' VALID UNTIL '2020-01-01';\n"
        f'CREATE ROLE "plain one" CREATEROLE BYPASSRLS;\nGRANT pg_read_server_files TO "plain one" WITH ADMIN OPTION;\n'
        f"CREATE DATABASE {quoted};\n"
        f"\\c warnings\nCREATE TABLE {quoted} (i int);\nCREATE SEQUENCE s;\nCREATE VIEW v AS SELECT 1;\n"
        f"GRANT SELECT, INSERT ON {quoted} TO PUBLIC;\nGRANT USAGE ON SEQUENCE s TO PUBLIC;\nGRANT SELECT ON v TO PUBLIC, app;\n"
    )
    drop = (
        f"DROP DATABASE IF EXISTS {quoted};\n\\c warnings\nDROP VIEW IF EXISTS v;\nDROP SEQUENCE IF EXISTS s;\n"
        f'DROP TABLE IF EXISTS {quoted};\nDROP ROLE IF EXISTS {quoted};\nDROP ROLE IF EXISTS "plain one";\n'
    )
    names = ("PG-AC-C-01", "PG-AC-D-01", "PG-AC-D-02", "PG-AC-D-03", "PG-AC-F-01", "PG-AC-A-02")
    proves(
        under,
        [under.item(each) for each in names],
        broken=f"{PSQL} <<'END'\n{make}END\n",
        mended=f"{PSQL} <<'END'\n{drop}END\n",
        more=under.more,
    )


def test_who_is_connected_or_owns_what_runs_in_his_name_is_left_alone(under):
    item = under.item("PG-AC-D-01")
    run = f"{PSQL} -d warnings"
    under.root(
        f'{run} -c "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS \'SELECT 1\'" -c "ALTER FUNCTION f() OWNER TO report"'
    )
    try:
        skip = under.plan(item)[item.id]
        assert isinstance(skip, Skip)
        assert (skip.why, "函数" in skip.text) == (Why.UNSAFE, True)
    finally:
        under.root(f'{run} -c "DROP FUNCTION f()"')
    under.root(
        "(psql -X 'host=10.66.0.22 user=report dbname=warnings' -c 'SELECT pg_sleep(20)' >/dev/null 2>&1 &) ; sleep 2"
    )
    try:
        skip = under.plan(item)[item.id]
        assert isinstance(skip, Skip)
        assert (skip.why, "会话" in skip.text) == (Why.UNSAFE, True)
    finally:
        under.root(f"{PSQL} -c \"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='report'\"")


@pytest.mark.usefixtures("kept")
def test_trust_waits_for_passwords_and_then_goes(under):
    item = under.item("PG-IA-A-03")
    skip = under.plan(item)[item.id]
    assert isinstance(skip, Skip)
    assert skip.why is Why.UNSAFE
    assert "report" in skip.text
    under.root(SCRAM)
    assert under.outcome("PG-IA-A-03") == {"PG-IA-A-03": "fail"}
    weak = under.manifest(under.more)
    tx = under.harden(item)
    assert under.outcome("PG-IA-A-03") == {"PG-IA-A-03": "pass"}
    text = under.root(f"cat {HBA}")
    assert (
        "# secops was: host warnings report 10.66.0.0/24 trust\nhost warnings report 10.66.0.0/24 scram-sha-256\n"
        in text
    )
    under.revert(tx)
    assert differences(weak, under.manifest(under.more)) == []


def test_md5_that_the_account_of_the_scans_comes_by_is_left_alone(under):
    skip = under.plan(under.item("PG-IA-A-08"))["i.PG-IA-A-08"]
    assert isinstance(skip, Skip)
    assert skip.why is Why.UNSAFE
    assert "scan" in skip.text


@pytest.mark.parametrize("control", ["PG-IA-C-03", "PG-IP-C-01"])
def test_lines_from_the_network_are_narrowed_and_come_back(under, control):
    item = under.item(control)
    assert under.outcome(control) == {control: "fail"}
    before = under.manifest(under.more)
    tx = under.harden(item)
    try:
        assert under.outcome(control) == {control: "pass"}
    finally:
        under.revert(tx)
    assert differences(before, under.manifest(under.more)) == []


def test_one_after_the_other_on_one_line_leaves_one_comment_and_comes_back(under, kept):
    first, second = under.item("PG-IA-C-03"), under.item("PG-IP-C-01", networks=["10.66.0.0/24", "10.66.1.0/24"])
    one = under.harden(first)
    two = under.harden(second)
    assert under.outcome("PG-IA-C-03", "PG-IP-C-01") == {"PG-IA-C-03": "pass", "PG-IP-C-01": "pass"}
    lines = under.root(f"grep -A1 'was: host all all 0' {HBA}").splitlines()
    was = "# secops was: host all all 0.0.0.0/0 md5"
    assert lines == [was, "hostssl all all 10.66.0.0/24 md5", was, "hostssl all all 10.66.1.0/24 md5"]
    under.revert(two)
    under.revert(one)
    assert differences(kept, under.manifest(under.more)) == []


@pytest.mark.usefixtures("kept")
def test_all_at_one_word_with_masks_quotes_and_lists(under):
    under.root(SCRAM)
    proves(
        under,
        [under.item("PG-IP-C-01")],
        broken=f"printf 'host\\t\"warnings\", postgres\\treport 0.0.0.0  0.0.0.0\\tscram-sha-256 # 旧\\nhost all all ::/0 md5\\nhost all report all md5' >>{HBA}; {PSQL} -c 'SELECT pg_reload_conf()'; sleep 1",
        mended=f"cp -a /root/hba.kept {HBA}; {PSQL} -c 'SELECT pg_reload_conf()'; sleep 1",
        more=under.more,
    )


def test_a_line_in_the_clear_that_is_in_use_is_left_alone_and_so_is_one_from_outside(under):
    address = "10.66.0.22"
    under.root(
        f"(psql -X 'host={address} user=report dbname=warnings sslmode=disable' -c 'SELECT pg_sleep(20)' >/dev/null 2>&1 &); sleep 2"
    )
    try:
        clear, away = under.item("PG-IA-C-03"), under.item("PG-IP-C-01", networks=["10.66.0.1/32"])
        planned = under.plan(clear, away)
        assert planned[clear.id].why is Why.UNSAFE
        assert f"report@{address}" in planned[clear.id].text
        assert planned[away.id] != ()
    finally:
        under.root(f"{PSQL} -c \"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename='report'\"")
    skip = under.plan(under.item("PG-IP-C-01", networks=["192.0.2.0/24"]))["i.PG-IP-C-01"]
    assert skip.why is Why.MANUAL


@pytest.mark.usefixtures("kept")
def test_rules_that_cannot_be_read_are_told_and_those_that_break_meanwhile_are_undone(under):
    item = under.item("PG-IA-C-03")
    steps = under.steps(item)
    under.root(f"echo 'host all nobody 10.66.0.9/32' >>{HBA}")
    tx = under.transaction([item], steps)
    assert under.begin(tx).failed
    assert under.state(tx) is TxState.UNDONE
    skip = under.plan(item)[item.id]
    assert isinstance(skip, Skip)
    assert skip.why is Why.MANUAL


def test_the_twin_is_right_already(lab):
    twin = DatabaseUnderChange(lab.workspace, "db-03")
    for control in ("PG-IA-A-03", "PG-IA-A-08", "PG-IA-C-03", "PG-IP-C-01", *RIGHTS):
        assert twin.plan(twin.item(control)) == {f"i.{control}": ()}
