"""The lab's nginx, Tomcat and Redis, read over SSH; what was planted is found, its twin is not reported."""

import secrets
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from agent.app import App
from agent.judge.controls import judge
from agent.model.control import Outcome
from agent.model.facts import Package
from agent.model.frames import Section, compose, split
from agent.model.session import Command
from agent.observe.middleware import parse, sections, unseen

ROOT = Path(__file__).parents[2]
PLANTED = [
    row
    for row in yaml.safe_load((ROOT / "tests/lab/expected.yaml").read_text(encoding="utf-8"))["planted"]
    if row["check"].startswith(("NGX-", "TOM-", "RDS-"))
]
HOSTS = ("web-01", "web-02", "app-01", "app-02", "cache-01", "cache-02")
QUIET = "node-02"
LISTING = "find /etc /var/log /var/lib /run /tmp /usr/share -xdev -newermt @%d -type f 2>/dev/null | sort"

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab")]


def run(name, parts):
    nonce = secrets.token_hex(16)
    with closing(App(folder=ROOT)) as app:
        host = app.inventory.host(name)
        session = app.sessions.open(host, 20)
        try:
            result = session.run(Command(compose(parts, nonce), privileged=True, deadline=60))
        finally:
            session.close()
    return split(result.stdout, result.stderr, nonce)


@pytest.fixture(scope="module")
def seen(lab):  # noqa: ARG001 - it must be up
    controls = App(folder=ROOT).controls
    packages = Section("packages", "dpkg-query -W -f '${Package} ${Version}\\n'")
    found = {}
    for name in (*HOSTS, QUIET):
        answers = run(name, [*sections(controls), packages])
        rows = [line.split() for line in answers["packages"].text.splitlines() if line.strip()]
        known = [Package(row[0], row[1], "", row[0], row[1], "dpkg") for row in rows]
        instances, subjects = parse(answers, name, known)
        # what was put there by hand besides the package's is tests/lab/test_software.py's matter
        instances = tuple(one for one in instances if not one.location.startswith("/usr/local/"))
        subjects = tuple(one for one in subjects if not one.location.startswith("/usr/local/"))
        verdicts = {
            verdict.control: verdict.outcome for subject in subjects for verdict in judge(subject, controls)
        }  # one instance a host
        found[name] = (instances, verdicts, unseen(answers))
    return found


@pytest.mark.parametrize(
    ("name", "kind", "location", "package"),
    [
        ("web-01", "nginx", "/etc/nginx/nginx.conf", "nginx"),
        ("web-02", "nginx", "/etc/nginx/nginx.conf", "nginx"),
        ("app-01", "tomcat", "/var/lib/tomcat10", "tomcat10-common"),
        ("app-02", "tomcat", "/var/lib/tomcat10", "tomcat10-common"),
        ("cache-01", "redis", "/etc/redis/redis.conf", "redis-tools"),
        ("cache-02", "redis", "/etc/redis/redis.conf", "redis-tools"),
    ],
)
def test_the_one_instance_is_found_with_its_version_and_package(seen, name, kind, location, package):
    [instance], verdicts, missed = seen[name]
    assert (instance.kind, instance.location, instance.package) == (kind, location, package)
    assert instance.version
    assert not missed
    assert [control for control, outcome in verdicts.items() if outcome == Outcome.ERROR] == []


@pytest.mark.parametrize("row", PLANTED, ids=lambda row: row["check"])
def test_what_was_planted_is_found_and_its_twin_is_not(seen, row):
    weak, twin = (seen[row[which]][1][row["check"]] for which in ("weak", "twin"))
    assert (weak, twin) == (Outcome.FAIL, Outcome.PASS), row["what"]


def test_a_host_without_middleware_has_none(seen):
    assert seen[QUIET] == ((), {}, {})


@pytest.mark.parametrize("name", ["web-01", "app-01", "cache-02"])
def test_reading_leaves_nothing_behind(name):
    controls = App(folder=ROOT).controls
    begin = int(run(name, [Section("now", "date +%s")])["now"].text)
    run(name, sections(controls))
    new = run(name, [Section("new", LISTING % begin)])["new"].text.split()
    # what sshd, sudo and the service themselves write meanwhile is not ours
    theirs = ("/var/log/", "/run/systemd/", "/run/log/", "/run/utmp", "/var/lib/systemd/", "/run/sudo/", "/run/motd")
    assert [path for path in new if not path.startswith(theirs)] == []
    assert not [path for path in new if "nginx" in path or "redis" in path or "tomcat" in path]
