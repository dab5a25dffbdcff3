"""Accounts on real hosts: closed, expired, aged; one account's lines come back, whatever happened to others meanwhile."""

import pytest
from hardening import HostUnderChange, differences, proves
from identity import fixed, judged

from agent.model.change import Item, Skip, TxState, Why

NOTHING = "rm -f /etc/nothing"
MADE = (
    "useradd -m -s /bin/bash gone; install -d -m 700 -o gone -g gone /home/gone/.ssh;"
    "echo 'ssh-ed25519 AAAA gone' >/home/gone/.ssh/authorized_keys; chown gone /home/gone/.ssh/authorized_keys;"
    "printf 'gone:Fictional-2026-%s\\n' gone | chpasswd; echo 'gone ALL=(ALL) ALL' >/etc/sudoers.d/gone"
)
SAVE = "mkdir -p /run/was && cp -a /etc/passwd /etc/passwd- /etc/shadow /etc/shadow- /etc/group /etc/group- /etc/gshadow /etc/gshadow- /etc/subuid /etc/subgid /etc/subuid- /etc/subgid- /etc/security/opasswd /run/was/ 2>/dev/null || :"
BACK = "cp -a /run/was/* /etc/ && { [ ! -e /run/was/opasswd ] || mv /etc/opasswd /etc/security/opasswd; }; for f in subuid- subgid- gshadow- group- ; do [ -e /run/was/$f ] || rm -f /etc/$f; done; rm -rf /run/was /home/gone /etc/sudoers.d/gone"


def test_an_empty_password_is_closed_and_an_old_age_too(lab):
    under = HostUnderChange(lab.workspace, "node-01")
    names = ["LIN-IA-A-01", "LIN-IA-A-11", "LIN-AC-B-02", "LIN-AC-B-03"]
    under.root(
        f"{SAVE}\ncp -a /etc/shadow /run/shadow.was; sed -i 's/^lp:[*]:/lp:$6$x$y:/; /^oldmd5:/d; /^olddes:/d' /etc/shadow"
    )
    try:
        assert judged(under, names) == dict.fromkeys(names, "fail")
        for control in names:
            proves(under, [fixed(control)], broken=":", mended=":")
        txs = [under.harden(fixed(control)) for control in names]
        assert judged(under, names) == dict.fromkeys(names, "pass")
        under.root("! su -s /bin/sh nobody -c 'echo | su guest9 -c true' 2>/dev/null")
        for tx in reversed(txs):
            under.revert(tx)
    finally:
        under.root("cp -a /run/shadow.was /etc/shadow; rm -f /run/shadow.was; " + BACK)


def test_who_left_is_closed_with_keys_and_told_what_stays_and_comes_back(lab):
    under = HostUnderChange(lab.workspace, "node-02")
    before = under.manifest()
    under.root(f"{SAVE}\n{MADE}")
    try:
        item = fixed("LIN-AC-C-01", roster=["operator1"], keep=["ops"])
        (step,) = under.steps(item)
        assert step.name == "gone"
        assert "/etc/sudoers.d/gone" in step.note
        proves(
            under,
            [item],
            broken=":",
            mended=":",
            more="getent shadow gone; ls -ln /home/gone/.ssh; cat /home/gone/.ssh/*",
        )
        tx = under.harden(item)
        told = under.root("chage -l gone; getent passwd gone; ls /home/gone/.ssh")
        assert "Jan 02, 1970" in told
        assert "/usr/sbin/nologin" in told
        assert told.split()[-1] == "authorized_keys.secops-disabled"
        under.root("chage -W 9 operator1")  # another account is changed meanwhile
        under.revert(tx)
        assert "9" in under.root("getent shadow operator1 | cut -d: -f6")
    finally:
        under.root(BACK)
    assert differences(before, under.manifest()) == []


def test_who_would_expire_at_once_and_who_is_kept_are_told_by_name(lab):
    under = HostUnderChange(lab.workspace, "node-01")
    found = under.plan(fixed("LIN-IA-A-11"))["LIN-IA-A-11"]
    assert not isinstance(found, Skip)
    assert [step.name for step in found]
    assert "operator1" in [step.name for step in found]
    kept = under.plan(fixed("LIN-IA-A-11", keep=["operator1", "oldmd5", "olddes"]))["LIN-IA-A-11"]
    assert isinstance(kept, Skip)
    assert kept.why is Why.UNSAFE
    assert "operator1 未动" in kept.text


def test_the_account_that_we_log_in_with_is_never_touched(lab):
    under = HostUnderChange(lab.workspace, "sudo-01")
    found = under.plan(Item("a", "account", {"max_days": 30}, {"select": "login"}))["a"]
    assert isinstance(found, Skip)
    assert "ops 未动" in found.text
    assert under.plan(fixed("LIN-AC-C-01", roster=["nobody-else"]))["LIN-AC-C-01"] == ()


def test_a_lock_that_another_tool_holds_is_waited_for_and_nothing_is_lost(lab):
    under = HostUnderChange(lab.workspace, "node-01")
    item = fixed("LIN-IA-A-01")
    before = under.manifest()
    under.root("sleep 300 >/dev/null 2>&1 & echo $! >/etc/shadow.lock")
    try:
        tx = under.transaction([item], under.steps(item))
        begun = under.begin(tx)
        assert "held by" in begun.why
        assert under.state(tx) is TxState.UNDONE
    finally:
        under.root("kill $(cat /etc/shadow.lock); rm -f /etc/shadow.lock")
    assert differences(before, under.manifest()) == []


@pytest.mark.parametrize("name", ["node-01", "node-02"])
def test_no_roster_no_judgement(lab, name):
    found = HostUnderChange(lab.workspace, name).plan(fixed("LIN-AC-C-01"))["LIN-AC-C-01"]
    assert isinstance(found, Skip)
    assert found.why is Why.MANUAL


def test_who_has_not_come_for_ninety_days_is_closed(lab):
    under = HostUnderChange(lab.workspace, "node-02")
    before = under.manifest()
    under.root(
        f"{SAVE}\n{MADE}\ncp -a /var/log/lastlog /run/lastlog.was;"
        "u=$(id -u gone); { printf '\\001\\000\\000\\131'; head -c 288 /dev/zero; } | dd of=/var/log/lastlog bs=1 seek=$((u * 292)) conv=notrunc 2>/dev/null"
    )
    try:
        assert judged(under, ["LIN-AC-C-02"]) == {"LIN-AC-C-02": "fail"}
        item = fixed("LIN-AC-C-02")
        under.root("echo '0 0 1 1 * true' | crontab -u gone -")
        told = under.plan(item)[item.id]
        assert isinstance(told, Skip)
        assert "定时任务" in told.text
        under.root("crontab -u gone -r")
        tx = under.harden(item)
        assert judged(under, ["LIN-AC-C-02"]) == {"LIN-AC-C-02": "pass"}
        under.revert(tx)
    finally:
        under.root(f"cp -a /run/lastlog.was /var/log/lastlog; rm -f /run/lastlog.was; {BACK}")
    assert differences(before, under.manifest()) == []
