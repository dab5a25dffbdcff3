"""PostgreSQL's resource types without a server: shipped fixes, hostile answers, quoting, lines of pg_hba.conf."""

from __future__ import annotations

import base64
import hashlib
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.app import App
from agent.change.contract import Facts, FixError
from agent.change.pghba import fields
from agent.change.registry import check, registry
from agent.change.resources.postgresql_setting import measured
from agent.change.splice import Edit, spliced
from agent.change.sqlquote import pg_name, pg_text
from agent.flows.planning import filled
from agent.model.change import Item, Risk, Skip, Why
from agent.model.frames import Answer

CONTROLS = [each for each in App(folder=Path(__file__).parents[2]).controls if each.target == "postgresql"]
TYPES = ("pg_setting", "pg_hba", "pg_role", "pg_acl")
UP = "up\t150018\tpostgres\tf\ton\t2f\nunit\tpostgresql@15-main.service\n"
HBA = "/etc/pg/pg_hba.conf"
FROM = Facts({"from": "10.1.0.5"})


def hexed(text):
    return text.encode().hex()


def item(resource, want, **options):
    return Item(
        "i",
        resource,
        want,
        options,
        risk=(Risk.APP_BREAK,),
        subject={"port": "5432", "dbname": "app", "account": "scan"},
    )


def plan(one, text, facts=FROM, rc=0):
    check(one)
    return registry()[one.resource].plan(one, Answer(rc, text, ""), facts)


def setting(name, value, unit="", context="sighup", source="default", kind="string", start=""):
    return f"set\t{name}\t{hexed(value)}\t{unit}\t{context}\t{source}\t{kind}\tf\t\t{start and '=' + hexed(start)}\n"


def role(name, oid="16384", superuser="f", createrole="f", login="t", password="scram", expired="f", owned=""):
    return f"role\t{hexed(name)}\t{oid}\t{superuser}\t{createrole}\tf\t{login}\t{password}\t{expired}\t{owned}\n"


def rules(text, *rows):
    """A file as splice_show tells it, and its rules: line, type, databases, users, address, mask, method."""
    data = text.encode()
    told = "".join(
        f"rule\t{hexed(HBA)}\t{n}\t{kind}\t{hexed(json.dumps(dbs))}\t{hexed(json.dumps(users))}\t{address}\t{mask}\t{method}\t\n"
        for n, kind, dbs, users, address, mask, method in rows
    )
    sha, body = hashlib.sha256(data).hexdigest(), base64.b64encode(data).decode()
    file = f"file\t{HBA}\t{HBA}\t{sha}\t{len(data)}\n{body}\n.end\n"
    return UP + told + file + "ssl\ton\n"


@pytest.mark.parametrize("control", CONTROLS, ids=lambda each: each.id)
def test_every_shipped_fix_is_of_its_form(control):
    fix = filled(dict(control.fix), {"db_networks": ["10.1.0.0/16"]})
    options = {key: value for key, value in fix.items() if key not in {"resource", "want"}}
    check(Item("i", fix["resource"], fix.get("want"), options))
    if fix["resource"] == "manual":
        assert fix.get("text") or control.expect.op == "manual"


@pytest.mark.parametrize(
    ("resource", "want", "options"),
    [
        ("pg_setting", {}, {}),
        ("pg_setting", {"a b": "1"}, {}),
        ("pg_setting", {"log_destination": {"append": "syslog"}}, {}),
        ("pg_hba", {"method": {"scram-sha-256": "trust"}}, {}),
        ("pg_hba", {"method": {"md5": "trust"}}, {}),
        ("pg_hba", {"type": {"local": "hostssl"}}, {}),
        ("pg_hba", {"address": "declared"}, {}),
        ("pg_hba", {"address": "declared"}, {"networks": ["0.0.0.0/0"]}),
        ("pg_role", {"superuser": "yes"}, {}),
        ("pg_role", {"login": "no"}, {}),
        ("pg_role", {"not_in": ["pg_monitor"]}, {}),
        ("pg_acl", {"schema": "pg_catalog", "revoke": "CREATE"}, {}),
    ],
)
def test_a_malformed_fix_is_refused(resource, want, options):
    with pytest.raises(FixError):
        check(Item("i", resource, want, options))


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        ("30min", "ms", "1800000"),
        ("60s", "s", "60"),
        ("1min", "s", "60"),
        ("16MB", "8kB", "2048"),
        ("10", "ms", "10"),
        ("on", "", "on"),
    ],
)
def test_values_are_measured_as_the_server_shows_them(value, unit, shown):
    assert measured(value, unit) == shown


def test_what_is_so_already_is_left_and_what_a_file_undoes_at_the_next_start_is_not():
    one = item("pg_setting", {"idle_session_timeout": "30min"})
    now = setting("idle_session_timeout", "1800000", "ms", "user", kind="integer")
    assert plan(one, UP + now) == ()
    later = setting("idle_session_timeout", "1800000", "ms", "user", kind="integer", start="0")
    assert len(plan(one, UP + later)) == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (setting("ssl", "off", kind="bool"), Why.UNSUPPORTED),
        (setting("ssl", "off", kind="bool", source="command line"), Why.MANUAL),
        (setting("ssl", "off", kind="bool", context="internal"), Why.UNSUPPORTED),
        ("tls\n" + setting("ssl", "off", kind="bool", context="postmaster"), Why.MANUAL),
        ("tls\n" + setting("allow_alter_system", "off", kind="bool") + setting("ssl", "off", kind="bool"), Why.MANUAL),
        ("", Why.UNSUPPORTED),
    ],
)
def test_a_setting_that_must_be_left_alone_says_why(line, why):
    found = plan(item("pg_setting", {"ssl": "on"}), UP + line)
    assert isinstance(found, Skip)
    assert found.why is why


def test_a_pool_that_sleeps_longer_is_not_cut_off():
    one = item("pg_setting", {"idle_session_timeout": {"between": [1, 1800000], "value": "30min"}})
    told = UP + setting("idle_session_timeout", "0", "ms", "user", kind="integer")
    assert len(plan(one, told + f"sess\t{hexed('app')}\t10.1.0.9\t\tidle\t1799\n")) == 1
    assert plan(one, told + f"sess\t{hexed('app')}\t10.1.0.9\t\tidle\t1801\n").why is Why.UNSAFE


def test_a_library_joins_those_that_are_there():
    one = item("pg_setting", {"shared_preload_libraries": {"append": ["credcheck"]}}, restart=True)
    told = UP + setting("shared_preload_libraries", "pgaudit", context="postmaster")
    assert plan(one, told).why is Why.UNSUPPORTED
    (step,) = plan(one, told + "lib\tcredcheck\n")
    assert (step.after, Risk.RESTART in step.risk) == ("pgaudit, credcheck", True)
    assert [act.verb for act in step.acts] == ["restart", "pg_up"]


LINES = 'local all postgres peer\nhost app,\t"b c" web  10.1.0.0 255.255.0.0\ttrust # 说明\nhost all all 0.0.0.0/0 md5'
ROWS = (
    (1, "local", ["all"], ["postgres"], "", "", "peer"),
    (2, "host", ["app", "b c"], ["web"], "10.1.0.0", "255.255.0.0", "trust"),
    (3, "host", ["all"], ["all"], "0.0.0.0", "0.0.0.0", "md5"),
)
TRUST = {"method": {"trust": "scram-sha-256"}}


def test_a_method_changes_alone_and_only_with_passwords_that_allow_it():
    told = rules(LINES, *ROWS)
    skip = plan(item("pg_hba", TRUST), told + role("web", password="md5"))
    assert (skip.why, "web" in skip.text) == (Why.UNSAFE, True)
    assert plan(item("pg_hba", TRUST), told + role("web", password="none")).why is Why.UNSAFE
    (step,) = plan(item("pg_hba", TRUST), told + role("web") + role("else", password="md5"))
    assert '"b c" web  10.1.0.0 255.255.0.0\tscram-sha-256 # 说明' in step.write
    md5 = item("pg_hba", {"method": {"md5": "scram-sha-256"}})
    assert len(plan(md5, told + role("web") + role("postgres", password="none"))) == 1
    assert plan(md5, told + role("old", password="md5")).why is Why.UNSAFE


def test_members_of_a_group_are_let_in_through_others_too():
    row = (1, "host", ["all"], ["+apps"], "10.1.0.0", "255.255.0.0", "trust")
    told = rules("host all +apps 10.1.0.0/16 trust\n", row) + role("apps", login="f", password="none")
    told += role("mid", login="f", password="none") + role("web", password="md5")
    assert len(plan(item("pg_hba", TRUST), told)) == 1
    told += f"member\t{hexed('mid')}\t{hexed('apps')}\nmember\t{hexed('web')}\t{hexed('mid')}\n"
    assert plan(item("pg_hba", TRUST), told).why is Why.UNSAFE


def test_addresses_become_the_declared_ones_with_us_inside_and_nobody_outside():
    told = rules(LINES, *ROWS)
    wide = item("pg_hba", {"address": "declared"}, networks=["10.1.0.0/16", "fd00::/64"])
    (step,) = plan(wide, told)
    assert step.after == "host all all 10.1.0.0/16 md5"
    assert plan(wide, told, Facts({"from": "10.9.0.1"})).why is Why.MANUAL
    assert plan(wide, told, Facts({})).why is Why.MANUAL
    assert plan(wide, told + f"sess\t{hexed('web')}\t10.9.0.1\tTLSv1.3\tidle\t1\n").why is Why.UNSAFE
    behind = rules(
        "host all all 0.0.0.0/0 md5\nhost all web 10.9.0.0/16 trust",
        (1, *ROWS[2][1:]),
        (2, "host", ["all"], ["web"], "10.9.0.0", "255.255.0.0", "trust"),
    )
    assert plan(wide, behind).why is Why.UNSAFE


def test_tls_is_asked_of_all_only_when_spoken_and_used():
    one = item("pg_hba", {"type": {"host": "hostssl"}})
    told = rules(LINES, *ROWS)
    assert [step.after.split()[0] for step in plan(one, told)] == ["hostssl", "hostssl"]
    assert plan(one, told.replace("ssl\ton", "ssl\toff")).why is Why.UNSAFE
    assert plan(one, told + f"sess\t{hexed('web')}\t10.1.0.9\t\tidle\t1\n").why is Why.UNSAFE


def test_two_that_mean_one_line_write_it_as_both_want_it():
    told = rules(LINES, *ROWS)
    options = {"networks": ["10.1.0.0/16", "10.2.0.0/16"]}
    tls, near = {"type": {"host": "hostssl"}}, {"address": "declared"}
    one = plan(item("pg_hba", tls, also=[{"want": near, "options": options}]), told)
    (other,) = plan(item("pg_hba", near, also=[{"want": tls, "options": {}}], **options), told)
    assert other.after == "hostssl all all 10.1.0.0/16 md5；hostssl all all 10.2.0.0/16 md5"
    assert [step.digest for step in one if step.name == other.name] == [other.digest]
    assert len(one) == 2
    away = told.replace("ssl\ton", "ssl\toff")  # what is refused is not done in the other's name
    (alone,) = plan(item("pg_hba", near, also=[{"want": tls, "options": {}}], **options), away)
    assert alone.after.startswith("host all all 10.1.0.0/16")


def test_equal_lines_are_steps_of_their_own():
    rows = [(number, "host", ["all"], ["web"], "10.1.0.0", "255.255.0.0", "trust") for number in (1, 2)]
    steps = plan(item("pg_hba", TRUST), rules("host all web 10.1.0.0/16 trust\n" * 2, *rows) + role("web"))
    assert len({step.name for step in steps}) == 2


@pytest.mark.parametrize("text", ["host all web \\\n10.1.0.0/16 trust", "host all web 10.9.0.0/16 md5", "########", ""])
def test_a_line_that_is_not_what_the_server_told_is_left_to_people(text):
    told = rules(text, (1, "host", ["all"], ["web"], "10.1.0.0", "255.255.0.0", "trust")) + role("web")
    assert plan(item("pg_hba", TRUST), told).why is Why.MANUAL


@given(st.lists(st.text(st.sampled_from('ab" ,#\t'), min_size=1), max_size=6).map(" ".join))
def test_fields_cover_what_is_no_blank_and_no_comment(line):
    found = fields(line)
    if found is None:
        assert line.count('"') % 2
        return
    for one, two in pairwise(found):
        assert one.end <= two.start
    left = spliced(line, [Edit(each.start, each.end - each.start, "") for each in found])
    assert not left.partition("#")[0].strip(" \t")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_a_name_and_a_text_stay_one_name_and_one_text(text):
    name, literal = pg_name(text), pg_text(text)
    assert name[1:-1].replace('""', "").count('"') == 0
    assert name[1:-1].replace('""', '"') == text
    body = literal.lstrip(" E")[1:-1]
    if "\\" in text:
        assert literal.startswith(" E'")
        body = body.replace("\\\\", "\\")
    assert body.replace("''", "'") == text


def test_roles_that_must_not_be_touched_are_not():
    one = item("pg_role", {"superuser": "no"})
    boot = role("postgres", "10", superuser="t")
    assert plan(one, UP + boot) == ()
    (step,) = plan(one, UP + boot + role("dba", superuser="t", createrole="t"))
    assert step.after == "NOSUPERUSER NOCREATEROLE"
    for line in (
        role("scan", superuser="t"),
        role("dba", superuser="t") + f"sess\t{hexed('dba')}\t\t\tidle\t1\n",
        role("dba", superuser="t", owned="pg_proc"),
        role("a\tb", superuser="t"),
    ):
        assert plan(one, UP + boot + line).why is Why.UNSAFE
    assert plan(one, UP.replace("\tf\ton", "\tt\ton") + role("dba", superuser="t")).why is Why.UNSUPPORTED
    gone = item("pg_role", {"login": "no"}, select="expired", keep=["web"])
    assert plan(gone, UP + role("old", expired="t"))[0].after == "NOLOGIN"
    assert plan(gone, UP + role("web", expired="t")).why is Why.UNSAFE


def test_what_everybody_may_is_taken_unless_an_extension_gave_it():
    schema = item("pg_acl", {"schema": "public", "revoke": "CREATE"})
    assert plan(schema, UP + f"create\t{hexed('other')}\n") == ()
    (step,) = plan(schema, UP + f"create\t{hexed('app')}\ncreate\t{hexed('other')}\n")
    assert "other" in step.note
    tables = item("pg_acl", {"relations": "all", "revoke": "ALL"})
    line = f"open\ttable\t{hexed('public')}\t{hexed('t')}\tSELECT\t"
    assert len(plan(tables, UP + line + "f\n")) == 1
    assert plan(tables, UP + line + "t\n").why is Why.MANUAL


ITEMS = [
    item("pg_setting", {"ssl": "on", "idle_session_timeout": {"between": [1, 9], "value": "9"}}),
    item("pg_hba", TRUST),
    item("pg_hba", {"address": "declared"}, networks=["10.1.0.0/16"]),
    item("pg_role", {"superuser": "no"}),
    item("pg_acl", {"relations": "all", "revoke": "ALL"}),
]
GOOD = (
    rules(LINES, *ROWS)
    + role("web")
    + setting("ssl", "off", kind="bool")
    + f"sess\t{hexed('web')}\t10.1.0.9\t\tidle\t1\n"
)


@pytest.mark.parametrize("one", ITEMS, ids=lambda each: each.resource)
@given(st.data())
def test_no_answer_whatever_makes_a_plan_raise(one, data):
    lines = data.draw(st.lists(st.sampled_from(GOOD.splitlines()) | st.text(), max_size=12))
    text = "\n".join(
        "\t".join(data.draw(st.permutations(line.split("\t")))) if len(line) % 3 == 0 else line for line in lines
    )
    plan(one, text)
    plan(one, UP + text)


@pytest.mark.parametrize("resource", TYPES)
@pytest.mark.parametrize(
    ("text", "rc", "why"),
    [("", 0, Why.ERROR), ("", 2, Why.ERROR), ("down\n", 0, Why.UNSUPPORTED), ("refused\n", 0, Why.UNSUPPORTED)],
)
def test_no_way_in_is_told(resource, text, rc, why):
    one = next(each for each in ITEMS if each.resource == resource)
    assert plan(one, text, rc=rc).why is why


@pytest.mark.parametrize("resource", TYPES)
def test_every_item_of_a_type_reads_the_same(resource):
    kinds = [each for each in CONTROLS if each.fix["resource"] == resource]
    one = {registry()[resource].read(item(resource, each.fix.get("want")), FROM) for each in kinds}
    assert len(one) == 1
