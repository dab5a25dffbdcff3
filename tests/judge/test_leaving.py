"""Whose accounts are closed when somebody leaves, and which are left to people."""

from dataclasses import replace
from datetime import date

import pytest

from agent.declared.people import Person
from agent.judge.leaving import Registers, claims, left_behind
from agent.model.holder import Found

DAY = date(2027, 3, 1)
SUN = Person("sunba", "孙八", "engineer", until=date(2027, 2, 28), accounts=("deploy@web",))
LISI = Person("lisi", "李四", "engineer", accounts=("lisi@web",))
ABOUT = Registers({"web-01": ("web",)}, {"report@pg-net": "孙八"}, {("deploy", "web-02")}, {"ops@web-01"}, ("backup",))
OWN = Found("web-01", "sunba", "sunba", "linux", ("password", "key"))
REPORT = Found("pg-net", "report", "report", "postgresql", ("password",))


def kept(one, person=SUN, others=(LISI,), about=ABOUT):
    return [claim.kept for claim in claims([one], person, others, about)]


@pytest.mark.parametrize(
    "one", [OWN, REPORT, replace(OWN, name="deploy", user="deploy"), replace(OWN, ways=(), state="已锁定")]
)
def test_what_is_the_persons_alone_is_closed(one):
    assert kept(one) == [""]


def test_what_is_not_the_persons_is_no_business():
    assert kept(replace(OWN, name="lisi", user="lisi")) == []
    assert kept(OWN, replace(SUN, login="")) == []
    assert kept(replace(REPORT, target="pg-local")) == []


@pytest.mark.parametrize(
    ("one", "person", "word"),
    [
        (replace(OWN, name="root", user="root", rights=("uid 0",)), replace(SUN, accounts=("root@*",)), "自带"),
        (replace(OWN, rights=("uid 0",)), SUN, "自带"),
        (replace(OWN, name="ops", user="ops"), replace(SUN, accounts=("ops@web-01",)), "本程序"),
        (replace(OWN, target="web-02", name="deploy", user="deploy"), replace(SUN, accounts=("deploy@*",)), "服务"),
        (replace(OWN, name="backup", user="backup"), replace(SUN, accounts=("backup@*",)), "保留"),
        (replace(OWN, name="lisi", user="lisi"), replace(SUN, accounts=("lisi@web-01",)), "共用账号：李四"),
        (replace(OWN, twins=("other",)), SUN, "一个编号"),
        (replace(REPORT, name="postgres", user="postgres"), replace(SUN, accounts=("postgres@*",)), "自带"),
    ],
)
def test_what_others_need_is_left_to_people(one, person, word):
    (why,) = kept(one, person)
    assert word in why


def test_people_who_left_and_can_still_log_in_are_named():
    shared = replace(SUN, accounts=("lisi@web-01",))
    found = [OWN, replace(OWN, name="lisi", user="lisi"), replace(REPORT, ways=())]
    assert [(who.name, [one.name for one in mine]) for who, mine in left_behind(found, (shared, LISI), DAY, ABOUT)] == [
        ("孙八", ["sunba", "lisi"])
    ]
    assert list(left_behind([replace(one, ways=()) for one in found], (shared,), DAY, ABOUT)) == []
    assert list(left_behind(found, (replace(SUN, until=DAY),), DAY, ABOUT)) == []
