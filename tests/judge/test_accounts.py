"""Accounts held against people: each flaw where it is, and not where it is not."""

from dataclasses import dataclass, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.declared.people import Person
from agent.judge.accounts import on_database, on_host, reconcile
from agent.model.facts import Account, DatabaseFacts, HostFacts, Subject
from agent.model.holder import Flaw, Found

DAY = date(2027, 3, 1)
LISI = Person("lisi", "李四", "engineer", accounts=("lisi@web",), privileged=("ops@*",))
LEFT = Person("wangwu", "王五", "engineer", until=date(2027, 2, 28), accounts=("wangwu@web-01",))
GROUPS = {"web-01": ("web",)}
PLAIN = Found("web-01", "lisi", "lisi", "linux", ("password",), age=3, idle=2)


def flaws(found, people=(LISI, LEFT), **more):
    (one,) = reconcile([found], people, DAY, GROUPS, more.pop("managed", {}), **more)
    return [flaw for flaw, _ in one.flaws]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"name": "mallory", "user": "mallory"}, [Flaw.UNKNOWN]),
        ({"name": "mallory", "user": "mallory", "ways": ()}, []),
        ({"name": "wangwu", "user": "wangwu"}, [Flaw.ORPHANED]),
        ({"name": "wangwu", "user": "wangwu", "ways": ()}, []),
        ({"twins": ("shift-b",)}, [Flaw.SHARED]),
        ({"twins": ("shift-b",), "ways": ()}, [Flaw.SHARED]),
        ({"idle": 91}, [Flaw.DORMANT]),
        ({"idle": 90}, []),
        ({"idle": None, "age": 400}, []),
        ({"idle": -1, "age": 91}, [Flaw.DORMANT]),
        ({"idle": -1, "age": 90}, []),
        ({"ways": ("open",)}, [Flaw.OPEN]),
        ({"rights": ("sudo",)}, [Flaw.PRIVILEGED]),
        ({"rights": ("sudo",), "ways": ()}, []),
        ({"rights": ("sudo",), "name": "ops", "user": "ops"}, []),
        ({"rights": ("uid 0",), "ways": (), "name": "toor", "user": "toor", "twins": ("root",)},
         [Flaw.SHARED, Flaw.PRIVILEGED]),
        ({"name": "root", "user": "root", "rights": ("uid 0",)}, []),
        ({"name": "guest", "user": "guest"}, [Flaw.UNKNOWN, Flaw.DEFAULT]),
        ({"name": "guest", "user": "guest", "ways": ()}, []),
        ({"name": "@localhost", "user": "", "kind": "mariadb", "ways": ("open",)},
         [Flaw.UNKNOWN, Flaw.DEFAULT, Flaw.OPEN]),
        ({"name": "root@%", "user": "root", "kind": "mariadb", "rights": ("SUPER",)},
         [Flaw.UNKNOWN, Flaw.DEFAULT, Flaw.PRIVILEGED]),
        ({"name": "root@::1", "user": "root", "kind": "mariadb", "rights": ("SUPER",)}, []),
        ({"name": "postgres", "user": "postgres", "kind": "postgresql", "rights": ("SUPERUSER",)}, []),
        ({"name": "postgres", "user": "postgres"}, [Flaw.UNKNOWN, Flaw.DEFAULT]),
        ({"name": "root@localhost", "user": "root", "kind": "mariadb", "ways": ("local",)}, []),
    ],
)  # fmt: skip
def test_each_flaw_where_it_is(changed, expected):
    assert flaws(replace(PLAIN, **changed)) == expected


def test_registers_make_an_account_known():
    mallory = replace(PLAIN, name="svc", user="svc")
    assert flaws(mallory) == [Flaw.UNKNOWN]
    assert flaws(mallory, services={("svc", "*")}) == []
    assert flaws(mallory, services={("svc", "db-01")}) == [Flaw.UNKNOWN]
    assert flaws(mallory, own={"svc@web-01"}) == []
    assert flaws(mallory, managed={"svc@web-01": "李四"}) == []
    assert flaws(mallory, managed={"svc@web-01": ""}) == []
    assert flaws(mallory, managed={"svc@web-01": "王五"}) == [Flaw.ORPHANED]


def test_two_people_share_one():
    other = Person("zhaoliu", "赵六", "engineer", accounts=("lisi@web-01",))
    assert flaws(PLAIN, (LISI, other)) == [Flaw.SHARED]
    assert flaws(PLAIN, (LISI, replace(other, until=date(2027, 1, 1)))) == []
    assert flaws(PLAIN, (replace(LISI, since=date(2027, 4, 1)),)) == [Flaw.ORPHANED]


def test_one_id_of_two_names_is_told_even_if_nobody_can_log_in_with_it():
    a, b = (replace(PLAIN, name=name, user=name, ways=(), twins=(other,)) for name, other in (("a", "b"), ("b", "a")))
    told = [one.flaws for one in reconcile([a, b], (), DAY, GROUPS, {})]
    assert told == [((Flaw.SHARED, "同一编号：b（均无登录方式）"),), ((Flaw.SHARED, "同一编号：a（均无登录方式）"),)]
    told = [dict(one.flaws)[Flaw.SHARED] for one in reconcile([a, replace(b, ways=("key",))], (), DAY, GROUPS, {})]
    assert told == ["同一编号：b", "同一编号：a"]


def test_who_answers_for_an_account_does_not_bless_its_rights():
    app = Found("maria-01", "app@%", "app", "mariadb", ("password",), ("SUPER", "FILE"))
    managed = {"app@maria-01": "李四"}
    assert flaws(app, managed=managed) == [Flaw.PRIVILEGED]
    assert flaws(app, (replace(LISI, accounts=("app@maria-01",)),), managed=managed) == [Flaw.PRIVILEGED]
    assert flaws(app, (replace(LISI, privileged=("app@maria-01",)),), managed=managed) == []
    assert flaws(app, managed=managed, services={("app", "maria-01")}) == []
    root = Found("web-01", "root", "root", "linux", ("password",), ("uid 0",))
    assert flaws(root, managed={"root@web-01": "李四"}) == []


def host(*accounts, sudoers=()):
    rules = {f"/etc/sudoers:{n}": rule for n, rule in enumerate(sudoers, 1)}
    subject = Subject("linux", "web-01", tables={"sudoers": rules})
    empty = {"packages": (), "pending": (), "listeners": (), "instances": (), "stale_libraries": (), "kernels": ()}
    return HostFacts(
        target="web-01", os_id="debian", os_version="12", os_name="", family="debian", kernel="", lists_age_days=None,
        accounts=accounts, reboot_required=None, subjects=(subject,), **empty,
    )  # fmt: skip


def test_what_a_host_tells():
    found = {
        one.name: one
        for one in on_host(
            host(
                Account("root", 0, 0, "/root", "/bin/bash", "disabled"),
                Account("toor", 0, 0, "/root", "/bin/sh", "disabled"),
                Account("daemon", 1, 1, "/", "/usr/sbin/nologin", "disabled"),
                Account("ops", 1000, 1000, "/home/ops", "/bin/bash", "locked", keys=1, key_names=("SHA256:x ops",)),
                Account("zhao", 1001, 1001, "/home/zhao", "/bin/bash", "yescrypt", 40, 99999, ("zhao", "wheel")),
                Account("qian", 1002, 1002, "/home/qian", "/bin/bash", "sha512", ends_days=-1, keys=2),
                Account("guest", 1003, 1003, "/home/guest", "/bin/bash", "none", login_days=200),
                sudoers=["ops ALL=(ALL:ALL) NOPASSWD: ALL", "%wheel ALL=(ALL) ALL", "Defaults env_reset",
                         "guest ALL=(root) /bin/ls", "User_Alias DBA = qian, sun", "DBA ALL = ALL"],
            )
        )
    }  # fmt: skip
    assert (found["root"].twins, found["toor"].rights) == (("toor",), ("uid 0",))
    assert found["daemon"].ways == ()
    assert (found["ops"].ways, found["ops"].rights, found["ops"].state) == (("key",), ("sudo",), "已锁定")
    assert (found["zhao"].ways, found["zhao"].rights, found["zhao"].age) == (("password",), ("sudo（wheel 组）",), 40)
    assert (found["qian"].ways, found["qian"].rights, found["qian"].state) == ((), ("sudo",), "已到期")
    assert (found["guest"].ways, found["guest"].rights, found["guest"].idle) == (("open",), (), 200)


@dataclass
class Rows:
    accounts: tuple
    privileges: tuple = ()
    memberships: tuple = ()


def database(engine, rows):
    subject = Subject("postgresql" if engine == "postgresql" else "mysql", "db")
    facts = DatabaseFacts("db", engine, engine, "10", subject)
    return {one.name: one for one in on_database(facts, vars(rows))}


def test_what_mariadb_tells():
    no, yes = ["N"] * 14, ["N"] * 9 + ["Y", "Y", "Y", "N", "N"]
    found = database(
        "mariadb",
        Rows(
            (
                ("app", "%", "mysql_native_password", 41, None, None, None, None),
                ("root", "localhost", "unix_socket", 7, None, None, None, None),
                ("", "localhost", "", None, None, None, None, None),
                ("old", "%", "mysql_native_password", 41, "true", None, None, None),
                ("r", "", "", None, None, None, None, "1"),
            ),
            (("app", "%", *yes), ("root", "localhost", *no)),
        ),
    )
    assert (found["app@%"].ways, found["app@%"].rights) == (("password",), ("FILE", "GRANT OPTION", "SUPER"))
    assert found["root@localhost"].ways == ("local",)
    assert found["@localhost"].ways == ("open",)
    assert (found["old@%"].ways, found["old@%"].state) == ((), "已锁定")
    assert "r@" not in found


def test_what_postgresql_tells():
    base = (False, False, False, False, False, None, -1)
    found = database(
        "postgresql",
        Rows(
            (
                ("report", True, True, False, False, False, False, "2027-04-01", -1, "scram-sha-256", 133),
                ("postgres", True, True, True, True, True, True, None, -1, "none", None),
                ("pg_monitor", False, *base, "none", None),
            )
        ),
    )
    assert (found["report"].ways, found["report"].rights) == (("password",), ("SUPERUSER",))
    assert found["report"].state == "有效期至 2027-04-01"
    assert found["postgres"].ways == ("local",)
    assert found["pg_monitor"].ways == ()


def test_rights_by_membership_are_followed_to_any_depth():
    def role(name, full=False):
        return (name, True, full, False, False, False, False, None, -1, "scram-sha-256", 133)

    roles = (role("app"), role("team"), role("dba", full=True), role("load"), role("plain"))
    chain = (
        ("app", "team", False), ("team", "dba", False), ("dba", "team", False),
        ("load", "pg_write_server_files", False), ("plain", "pg_monitor", False),
    )  # fmt: skip
    found = database("postgresql", Rows(roles, memberships=chain))
    assert found["app"].rights == ("SUPERUSER（经 dba）",)
    assert found["dba"].rights == ("SUPERUSER",)
    assert found["load"].rights == ("pg_write_server_files",)
    assert found["plain"].rights == ()
    assert Flaw.PRIVILEGED in flaws(found["app"])
    assert Flaw.PRIVILEGED not in flaws(found["plain"])
    assert database("postgresql", Rows(roles))["app"].rights == ()


@given(st.text(max_size=30), st.lists(st.text(max_size=60), max_size=6))
def test_names_and_rules_of_any_form_are_judged(name, rules):
    found = on_host(host(Account(name, 1000, 1000, "/", "/bin/sh", "md5"), sudoers=rules))
    assert reconcile(found, (LISI,), DAY, GROUPS, {})[0].found.name == name
