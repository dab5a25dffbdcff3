"""PAM on real hosts: who knows the password gets in, who guesses is locked out, and all of it comes back."""

import pytest
from hardening import HostUnderChange, differences, proves
from identity import fixed, judged

from agent.model.change import Skip, TxState, Why

RULES = ("LIN-IA-A-05", "LIN-IA-A-06", "LIN-IA-A-07", "LIN-IA-A-08")
STACKS = ("LIN-IA-A-13", "LIN-IA-B-01")
TRIED = "faillock --user tried --reset 2>/dev/null; userdel -rf tried 2>/dev/null; rm -f /var/log/su-tried"
SAVED = "for f in passwd passwd- shadow shadow- group group- gshadow gshadow- subuid subgid subuid- subgid- security/opasswd security/opasswd.old; do"


@pytest.fixture
def tried(lab):
    """node-01 with an account whose password we know."""
    under = HostUnderChange(lab.workspace, "node-01")
    before = under.manifest()
    under.root(
        f"mkdir -p /run/was/security; {SAVED} [ ! -e /etc/$f ] || cp -a /etc/$f /run/was/$f; done;"
        "useradd -M -s /bin/sh tried; printf 'tried:%s\\n' 'Fictional-2026-tried' | chpasswd"
    )
    yield under
    under.root(
        f"{TRIED}; {SAVED} if [ -e /run/was/$f ]; then cp -a /run/was/$f /etc/$f; else rm -f /etc/$f; fi; done; rm -rf /run/was"
    )
    assert differences(before, under.manifest()) == []


def gets_in(under: HostUnderChange, password: str) -> bool:
    """A real authentication by a user who is not root."""
    said = under.root(
        f"printf '%s\\n' '{password}' | setpriv --reuid=65534 --regid=65534 --clear-groups su tried -c 'echo in' 2>/dev/null || :"
    )
    return "in" in said.split()


def test_password_rules_pass_afterwards_and_come_back(lab):
    under = HostUnderChange(lab.workspace, "node-01")
    assert judged(under, RULES) == dict.fromkeys(RULES, "fail")
    proves(under, [fixed(control) for control in RULES], broken=":", mended=":")
    before = under.manifest()
    tx = under.harden(*[fixed(control) for control in RULES])
    assert judged(under, RULES) == dict.fromkeys(RULES, "pass")
    under.revert(tx)
    assert differences(before, under.manifest()) == []


def test_an_argument_that_weakens_the_rules_is_taken_off_the_line(lab):
    under = HostUnderChange(lab.workspace, "node-02")
    assert under.plan(fixed("LIN-IA-A-05"))["LIN-IA-A-05"] == ()
    proves(
        under,
        [fixed("LIN-IA-A-05")],
        broken="sed -i.was 's/pam_pwquality.so retry=3/pam_pwquality.so minlen=9 retry=3/' /etc/pam.d/common-password; mv /etc/pam.d/common-password.was /run/",
        mended="cp -a /run/common-password.was /etc/pam.d/common-password; rm -f /run/common-password.was",
        more="cat /etc/pam.d/common-password",
    )


def test_lock_out_and_history_come_by_pam_auth_update_and_really_work(tried):
    under = tried
    assert judged(under, STACKS) == dict.fromkeys(STACKS, "fail")
    items = [fixed(control) for control in STACKS]
    seen = "ls -l /usr/share/pam-configs | cut -c1-30,40-; cat /var/lib/pam/*"
    for item in items:
        proves(under, [item], broken=":", mended=":", more=seen)
    limits = [fixed("LIN-IA-B-02"), fixed("LIN-IA-B-03")]
    txs = [under.harden(items[0]), under.harden(items[1])]
    try:
        assert judged(under, STACKS) == dict.fromkeys(STACKS, "pass")
        assert gets_in(under, "Fictional-2026-tried")
        for _ in range(3):
            assert not gets_in(under, "wrong")
        assert not gets_in(under, "Fictional-2026-tried"), "locked after three, the module's own limit"
        under.root("faillock --user tried --reset")
        txs.append(under.harden(*limits))
        for _ in range(4):
            assert not gets_in(under, "wrong")
        assert gets_in(under, "Fictional-2026-tried"), "four failures are not five, and the count starts anew"
        under.root("passwd -S tried; printf 'tried:%s\\n' 'Another-2026-tried-!' | chpasswd")
    finally:
        for tx in reversed(txs):
            under.revert(tx)
    assert judged(under, STACKS) == dict.fromkeys(STACKS, "fail")


def test_stacks_that_were_written_by_hand_are_changed_by_hand(tried):
    under = tried
    names = "common-auth common-account common-password"
    under.root(f"mkdir -p /run/pam; cd /etc/pam.d && cp -a {names} /run/pam/ && sed -i '/pam-auth-update/d' {names}")
    try:
        items = [fixed(control) for control in STACKS]
        for item in items:
            proves(under, [item], broken=":", mended=":")
        tx = under.harden(items[1])
        assert judged(under, ["LIN-IA-B-01"]) == {"LIN-IA-B-01": "pass"}
        assert gets_in(under, "Fictional-2026-tried")
        for _ in range(3):
            assert not gets_in(under, "wrong")
        assert not gets_in(under, "Fictional-2026-tried")
        under.revert(tx)
    finally:
        under.root("cp -a /run/pam/* /etc/pam.d/; rm -rf /run/pam; faillock --user tried --reset 2>/dev/null; :")


def test_a_password_login_with_sudo_still_works_and_a_broken_stack_does_not_stay(lab):
    under = HostUnderChange(lab.workspace, "sudo-01")
    before = under.manifest()
    item = fixed("LIN-IA-B-01")
    tx = under.harden(item)  # each call of it logs in anew by password, and sudo asks for it
    assert judged(under, ["LIN-IA-B-01"]) == {"LIN-IA-B-01": "pass"}
    under.revert(tx)
    assert differences(before, under.manifest()) == []
    steps = under.steps(item)
    bad = under.transaction([item], steps, ttl=5)
    assert not under.begin(bad).failed
    lab.enter("sudo-01", "sh", "-c", "sed -i '1i auth requisite pam_deny.so' /etc/pam.d/common-auth")
    with pytest.raises(Exception, match=r"sudo|password|login|refused|denied"):
        under.root("id")
    lab.enter(
        "sudo-01",
        "sh",
        "-c",
        "i=0; while [ $i -lt 30 ] && ! ls /var/lib/secops-agent/tx/"
        + bad.id
        + "/undone 2>/dev/null; do sleep 1; i=$((i + 1)); done",
    )
    assert under.state(bad) is TxState.UNDONE
    assert differences(before, under.manifest()) == []


def test_su_is_for_the_group_that_holds_who_uses_it(tried):
    under = tried
    item = fixed("LIN-AC-D-02")
    under.root("gpasswd -d ops sudo")
    try:
        found = under.plan(item)[item.id]
        assert isinstance(found, Skip)
        assert found.why is Why.UNSAFE
    finally:
        under.root("usermod -aG sudo ops; usermod -aG sudo operator1")
    proves(under, [item], broken=":", mended=":")
    tx = under.harden(item)
    try:
        assert judged(under, [item.id]) == {item.id: "pass"}
        assert not gets_in(under, "Fictional-2026-tried"), "nobody is not in the group"
        under.root("su tried -c true")
    finally:
        under.revert(tx)
    assert gets_in(under, "Fictional-2026-tried")


def test_what_is_right_is_left_alone(lab):
    under = HostUnderChange(lab.workspace, "node-02")
    names = (*RULES, *STACKS, "LIN-IA-A-09", "LIN-IA-B-02", "LIN-IA-B-03", "LIN-AC-D-02")
    found = under.plan(*[fixed(control) for control in names])
    assert found == dict.fromkeys(names, ())


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("pam-auth-update --disable pwquality", "pam-auth-update --enable pwquality"),
        (
            "cp -a /etc/pam.d/common-password /etc/pam.d/common-auth /run/; sed -i '/pam-auth-update/d' /etc/pam.d/common-auth; sed -i '/pam_pwquality/d; /pam-auth-update/d; s/ use_authtok//' /etc/pam.d/common-password",
            "cp -a /run/common-password /run/common-auth /etc/pam.d/; rm -f /run/common-password /run/common-auth",
        ),
    ],
    ids=["pam-auth-update", "by-hand"],
)
def test_password_rules_come_into_the_stack(lab, broken, mended):
    under = HostUnderChange(lab.workspace, "node-01")
    before, item = under.manifest(), fixed("LIN-IA-A-09")
    under.root(
        f"mkdir -p /run/pam; cp -a /var/lib/pam /run/pam/; DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; {broken}"
    )
    try:
        assert judged(under, [item.id]) == {item.id: "fail"}
        proves(under, [item], broken=":", mended=":")
        tx = under.harden(item)
        assert judged(under, [item.id]) == {item.id: "pass"}
        under.revert(tx)
    finally:
        under.root(
            f"DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; {mended}; cp -a /run/pam/pam/* /var/lib/pam/; rm -rf /run/pam"
        )
    assert differences(before, under.manifest()) == []
