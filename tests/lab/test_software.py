"""What was put on the lab's hosts past the package manager is seen over SSH; what a package owns says whose it is."""

import re
import secrets
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from agent.app import App
from agent.judge.software import database_owner, database_product, products
from agent.model.facts import DatabaseFacts, Subject
from agent.model.frames import Section, compose, split
from agent.model.session import Command
from agent.observe import software
from agent.observe.host import parse, script

ROOT = Path(__file__).parents[2]
PLANTED = yaml.safe_load((ROOT / "tests/lab/expected.yaml").read_text(encoding="utf-8"))["software"]
HOSTS = ("app-01", "app-02", "cache-01", "cache-02", "web-01", "db-01", "db-02", "centos-01", "node-02")
LISTING = "find /etc /opt /usr/local /var/log /var/lib /run /tmp -xdev -newermt @%d -type f 2>/dev/null | sort"

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


def run(name, text, *, privileged=True):
    with closing(App(folder=ROOT)) as app:
        session = app.sessions.open(app.inventory.host(name), 20)
        try:
            return session.run(Command(text, privileged=privileged, deadline=120))
        finally:
            session.close()


@pytest.fixture(scope="module")
def seen(lab):  # noqa: ARG001 - it must be up
    controls = App(folder=ROOT).controls
    found = {}
    for name in HOSTS:
        nonce = secrets.token_hex(16)
        result = run(name, script(controls, nonce))
        found[name] = parse(name, result.stdout, result.stderr, nonce)
    return found


@pytest.mark.parametrize("row", PLANTED, ids=lambda row: row["kind"])
def test_what_was_planted_is_found_and_the_twin_has_none_or_a_mended_one(seen, row):
    weak = [one for one in products(seen[row["weak"]]) if one.kind == row["kind"]]
    twin = [one for one in products(seen[row["twin"]]) if one.kind == row["kind"]]
    [found] = weak
    assert re.fullmatch(row["location"], found.location)
    assert re.fullmatch(row["version"], found.version)
    assert (found.how, found.package) == (row["how"], "")
    assert all(re.fullmatch(row["mended"], one.version) for one in twin) if "mended" in row else twin == []


def test_nothing_else_is_taken_for_a_product(seen):
    planted = {name: {row["kind"] for row in PLANTED if row["weak"] == name} for name in HOSTS}
    planted["app-02"] = {"log4j-core", "fastjson"}
    assert {name: {one.kind for one in products(facts)} for name, facts in seen.items()} == planted


def test_everything_was_looked_at(seen):
    for facts in seen.values():
        assert [key for key in facts.unseen if key.startswith("sw.")] == []


@pytest.mark.parametrize(
    ("name", "kind", "package"),
    [
        ("db-01", "mariadb", "mariadb-server-core"),
        ("db-02", "postgresql", "postgresql-15"),
        ("node-02", "openssh", "openssh-server"),
    ],
)
def test_a_packages_server_bears_its_owner_and_version(seen, name, kind, package):
    [found] = [one for one in seen[name].software if one.kind == kind]
    assert found.package == package
    assert re.match(r"\d+\.\d+", found.version)
    assert found.listening


def test_a_database_is_judged_by_the_package_that_owns_its_server(seen):
    [live] = [one for one in seen["db-01"].software if one.kind == "mariadb"]
    told = DatabaseFacts("maria-01", "mariadb", "mariadb", live.version, Subject("mysql", "maria-01"))
    assert database_owner(told, seen["db-01"]) == "mariadb-server-core"
    assert database_product(told, seen["db-01"]) is None


def test_an_ordinary_user_sees_the_files_and_is_told_what_it_does_not_see():
    nonce = secrets.token_hex(16)
    result = run("app-01", compose(software.sections(), nonce), privileged=False)
    answers = split(result.stdout, result.stderr, nonce)
    assert {one.kind for one in software.parse(answers, ())} >= {"tomcat", "log4j-core", "fastjson", "shiro-core"}
    assert "openssh×1" in software.unseen(answers)["sw.programs"]


@pytest.mark.usefixtures("seen")
def test_a_program_of_an_ordinary_user_is_read_and_not_run(lab):
    path = "/usr/local/redis/bin"
    lab.enter("cache-01", "chown", "-R", "redis:redis", path)
    try:
        nonce = secrets.token_hex(16)
        result = run("cache-01", compose(software.sections(), nonce))
    finally:
        lab.enter("cache-01", "chown", "-R", "root:root", path)
    found = software.parse(split(result.stdout, result.stderr, nonce), ())
    [by_hand] = [one for one in found if one.exe == f"{path}/redis-server"]
    assert (by_hand.version, by_hand.detail) == ("7.0.15", "版本读自程序文件")


@pytest.mark.parametrize("name", ["app-01", "cache-01"])
def test_looking_leaves_nothing_behind(name):
    def asked(sections):
        nonce = secrets.token_hex(16)
        result = run(name, compose(sections, nonce))
        return split(result.stdout, result.stderr, nonce)

    begin = int(asked([Section("now", "date +%s")])["now"].text)
    asked(software.sections())
    new = asked([Section("new", LISTING % begin)])["new"].text.split()
    theirs = ("/var/log/", "/run/systemd/", "/run/log/", "/run/utmp", "/var/lib/systemd/", "/run/sudo/", "/run/motd")
    assert [path for path in new if not path.startswith(theirs)] == []
