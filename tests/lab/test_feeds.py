"""Real hosts matched by feed: RPM hosts by their vendor's, hand-unpacked software by product, and who has none says so.

The round that all lab tests share is judged again with feeds that did not exist when it was made.
"""

from __future__ import annotations

import re

import pytest
import yaml

from agent.lab.cache import recipe
from agent.lab.disk import write_disk

FAMILIES = yaml.safe_load(recipe("rpm-packages.yaml"))


@pytest.fixture(scope="module")
def again(main, tmp_path_factory):
    """Findings of the second judgement by (target, check, location)."""
    disk = write_disk(tmp_path_factory.mktemp("disk"))
    taken = main.run("feeds", "import", str(disk))
    assert taken.returncode == 0, taken.stdout + taken.stderr
    (first,) = [row for row in main.json("findings", "runs") if row["whole"]]
    done = main.run("findings", "rejudge", first["run"])
    assert done.returncode in {1, 3}, done.stderr
    run = re.search(r"rejudge-[0-9a-f-]+", done.stderr)[0]
    return run, {(row["target"], row["check"], row["location"]): row for row in main.json("findings", "--run", run)}


def told_by_feeds(found, host):
    """Advisories by source package, as far as a feed told them."""
    return {
        check.removeprefix("UPDATE:"): row["remediation"]["advisories"]
        for (target, check, _), row in found.items()
        if target == host and check.startswith("UPDATE:") and row["layer"] == "host"
        if row["remediation"] and set(row["remediation"]["feeds"]) - {"mirror"}
    }


def test_an_rpm_host_is_matched_by_its_vendors_feed(again):
    _, found = again
    due = {one["source"]: [one["update"]["id"]] for one in FAMILIES["centos7"]["sources"] if "update" in one}
    assert told_by_feeds(found, "centos-01") == due


def test_an_rpm_host_with_all_updates_has_only_what_its_mirror_lacks(again):
    _, found = again
    assert told_by_feeds(found, "openeuler-01") == {"expat": ["LAB-SA-7"]}
    (row,) = [row for (target, check, _), row in found.items() if (target, check) == ("openeuler-01", "UPDATE:expat")]
    assert "软件源未提供" in row["remedy"]


@pytest.mark.parametrize(
    ("host", "kind", "place", "advisory"),
    [
        ("app-01", "tomcat", "/opt/apache-tomcat", "LAB-SA-1"),
        ("cache-01", "redis", "/usr/local/redis", "LAB-SA-2"),
        ("app-01", "log4j-core", "/opt/apache-tomcat", "LAB-SA-3"),
    ],
)
def test_software_that_was_put_there_by_hand_is_matched_by_product(again, host, kind, place, advisory):
    _, found = again
    every = ((target, row) for (target, check, _), row in found.items() if check == f"UPDATE:{kind}")
    hits = {target: row for target, row in every if row["layer"] == "middleware"}
    assert set(hits) == {host}
    assert hits[host]["location"].startswith(place)
    assert hits[host]["remediation"]["advisories"] == [advisory]


def test_what_is_known_to_be_exploited_comes_first(again):
    _, found = again
    plans = [row["remediation"] for row in found.values() if row["remediation"]]
    first = max(plans, key=lambda plan: plan["risk"])
    assert (first["package"], first["urgency"]) in {("log4j-core", "now"), ("spring-core", "now")}
    assert all(plan["urgency"] == "now" for plan in plans if plan["kev"])


def test_a_host_whose_system_has_no_feed_says_so(again):
    _, found = again
    without = {target: row for (target, check, _), row in found.items() if check == "COV-FEED"}
    assert "node-01" in without
    assert not {"centos-01", "openeuler-01"} & set(without)
    assert "无漏洞库" in without["node-01"]["title"]


def test_the_report_of_the_second_judgement_lists_the_feeds(again, main):
    run, _ = again
    done = main.run("report", "scan", "--run", run, "--format", "html")
    assert done.returncode == 0, done.stderr
    (page,) = (main.folder / "state" / "reports" / run).glob("*.html")
    text = page.read_text(encoding="utf-8")
    assert "kev/cisa" in text
    assert "漏洞处置次序" in text
    assert main.run("evidence", "verify").returncode == 0
