"""Tomcat on app-01, which is weak, and app-02: every automatic control passes afterwards, pages are served again."""

import urllib.error
import urllib.request

import pytest
from hardening import HostUnderChange, differences
from middleware import judged, of

from agent.lab.record import alone
from agent.model.change import Skip, TxState, Why

BASE = "/var/lib/tomcat10"
CONF = "/etc/tomcat10"
WEAK = ("TOM-IA-A-01", "TOM-AC-B-01", "TOM-AU-A-01", "TOM-IP-A-01", "TOM-IP-B-01", "TOM-IP-B-02")
UP = "t=0; until ss -Hltn | grep -q :8080 || [ $t -gt 60 ]; do t=$((t + 1)); sleep 1; done"
DOWN_PORT = "t=0; until ss -Hltn | grep -q :8005 || [ $t -gt 20 ]; do t=$((t + 1)); sleep 1; done"  # opens last
APPS = f"find {BASE}/webapps -printf '%y %m %U:%G %p\\n' | sort; find {BASE}/webapps -type f -print0 | sort -z | xargs -0 sha256sum"


@pytest.fixture(autouse=True)
def undisturbed(lab):  # noqa: ARG001 - it must be up
    """Tomcat is away for seconds when it restarts: meanwhile nobody may take its host for dead and make it anew."""
    with alone():
        yield


def served(address, path="/"):
    """Status code of a page; no proxy is asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{address}:8080{path}", timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_every_tomcat_control_that_fails_passes_afterwards_and_comes_back(lab):
    under = HostUnderChange(lab.workspace, "app-01", ttl=240)
    assert judged(under, WEAK, BASE) == dict.fromkeys(WEAK, "fail")
    items = [of(control, BASE) for control in WEAK]
    before = under.manifest(APPS)
    assert (served(under.host.address), served(under.host.address, "/examples/")) == (
        200,
        403,
    )  # deployed; for the host itself only
    tx = under.harden(*items)
    try:
        assert judged(under, WEAK, BASE) == dict.fromkeys(WEAK, "pass")
        assert (served(under.host.address), served(under.host.address, "/examples/")) == (200, 404)
        ears = under.root("ss -Hltn")
        assert ":8080" in ears
        assert ":8005" not in ears
        assert ":8009" not in ears
        moved = under.root("ls /var/lib/secops-agent/moved/var/lib/tomcat10/webapps").split()
        assert moved == ["examples", "manager"]
    finally:
        under.revert(tx)
        under.root(DOWN_PORT)
    assert differences(before, under.manifest(APPS)) == []
    assert served(under.host.address, "/examples/") == 403
    assert judged(under, WEAK, BASE) == dict.fromkeys(WEAK, "fail")


REALM = r"""s|<Realm className="org.apache.catalina.realm.LockOutRealm">||; s|<Realm className="org.apache.catalina.realm.UserDatabaseRealm"|&|; /^      <\/Realm>$/d"""


READONLY = (
    "0,/<param-name>listings/s|<init-param>|<init-param><param-name>readonly</param-name>"
    "<param-value> false </param-value></init-param>&|; /<param-name>listings/,/init-param/s|>false<|>true<|"
)


@pytest.mark.parametrize(
    ("controls", "broken"),
    [
        (("TOM-IA-B-01", "TOM-IA-B-02"), f"sed -i '{REALM}' {CONF}/server.xml"),
        (("TOM-IA-B-01",), f"sed -i 's|<session-timeout>30<|<session-timeout>0<|' {CONF}/web.xml"),
        (
            ("TOM-IP-B-03", "TOM-IP-B-01"),
            f"sed -i '{READONLY}' {CONF}/web.xml",
        ),
        (
            ("TOM-AC-F-01",),
            f"chmod 666 {CONF}/server.xml; chmod 644 {CONF}/tomcat-users.xml; chgrp root {CONF}/tomcat-users.xml",
        ),
    ],
    ids=lambda each: "+".join(each) if isinstance(each, tuple) else "",
)
def test_controls_are_mended_where_they_were_broken_and_taken_back(lab, controls, broken):
    under = HostUnderChange(lab.workspace, "app-02", ttl=240)
    items = [of(control, BASE) for control in controls]
    broken = f"mkdir -p /root/keep && cp -a {CONF}/*.xml /root/keep/; {broken}"
    mended = f"cp -a /root/keep/*.xml {CONF}/; rm -rf /root/keep; systemctl restart tomcat10; {UP}"
    before = under.manifest()
    under.root(broken)
    try:
        assert judged(under, controls, BASE) == dict.fromkeys(controls, "fail")
        weak = under.manifest()
        tx = under.harden(*items)
        assert judged(under, controls, BASE) == dict.fromkeys(controls, "pass")
        assert served(under.host.address) == 200
        under.revert(tx)
        assert differences(weak, under.manifest()) == []
        second = under.transaction(items, under.steps(*items))
        assert not under.begin(second).failed
        assert under.undo(second) is TxState.UNDONE
        assert differences(weak, under.manifest()) == []
        assert served(under.host.address) == 200
    finally:
        under.root(mended)
    assert differences(before, under.manifest()) == []


def test_nothing_is_restarted_that_may_not_be_and_a_tomcat_that_does_not_start_is_put_back(lab):
    under = HostUnderChange(lab.workspace, "app-02", ttl=240)
    item = of("TOM-IP-A-01", BASE, restart=False)
    found = under.plan(item)[item.id]
    assert isinstance(found, Skip)
    assert found.why is Why.EXCLUDED
    item = of("TOM-IP-A-01", BASE)
    before = under.manifest()
    steps = under.steps(item)
    under.root(
        "mkdir -p /run/systemd/system/tomcat10.service.d; printf '[Service]\\nExecStartPre=/bin/false\\n' "
        ">/run/systemd/system/tomcat10.service.d/bad.conf; systemctl daemon-reload"
    )
    try:
        tx = under.transaction([item], steps)
        assert under.begin(tx).failed == "apply"
    finally:
        under.root(
            f"rm -rf /run/systemd/system/tomcat10.service.d; systemctl daemon-reload; systemctl start tomcat10; {UP}"
        )
    assert under.undo(tx) is TxState.UNDONE
    assert differences(before, under.manifest()) == []
    assert served(under.host.address) == 200
