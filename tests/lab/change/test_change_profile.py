"""login.defs and what shells begin with, on real hosts."""

import pytest
from hardening import HostUnderChange, differences, proves
from identity import fixed, judged

from agent.model.change import Item

DEFS = ("LIN-IA-A-10", "LIN-IA-A-14", "LIN-IA-A-15")


def shell(under: HostUnderChange, words: str) -> str:
    """What a login shell of an ordinary account says."""
    return under.root(f"setpriv --reuid=65534 --regid=65534 --clear-groups sh -c '. /etc/profile; {words}'")


def test_login_defs_pass_afterwards_and_come_back(lab):
    under = HostUnderChange(lab.workspace, "node-03")  # nobody there has a weak hash, which only a new password mends
    broken = "sed -i.was -E 's/^(PASS_MIN_DAYS).*/\\1 0/; s/^(PASS_WARN_AGE).*/\\1 3/; s/^(ENCRYPT_METHOD).*/\\1 MD5/' /etc/login.defs; mv /etc/login.defs.was /run/"
    mended = "cp -a /run/login.defs.was /etc/login.defs; rm -f /run/login.defs.was"
    items = [fixed(control) for control in DEFS]
    before = under.manifest()
    under.root(broken)
    try:
        assert judged(under, DEFS) == dict.fromkeys(DEFS, "fail")
        proves(under, items, broken=":", mended=":")
        tx = under.harden(*items)
        assert judged(under, DEFS) == dict.fromkeys(DEFS, "pass")
        assert "# ENCRYPT_METHOD MD5" in under.root("cat /etc/login.defs")
        under.revert(tx)
    finally:
        under.root(mended)
    assert differences(before, under.manifest()) == []


@pytest.mark.parametrize(
    ("control", "words", "said"), [("LIN-IA-B-07", 'echo "$TMOUT"', "600"), ("LIN-AC-A-02", "umask", "0027")]
)
def test_a_shell_begins_as_wanted(lab, control, words, said):
    under = HostUnderChange(lab.workspace, "node-01")
    assert judged(under, [control]) == {control: "fail"}
    before = under.manifest()
    proves(under, [fixed(control)], broken=":", mended=":")
    tx = under.harden(fixed(control))
    try:
        assert judged(under, [control]) == {control: "pass"}
        assert shell(under, words).strip() == said
        assert shell(under, f". /etc/profile; {words}").strip() == said, "read twice"
    finally:
        under.revert(tx)
    assert differences(before, under.manifest()) == []


def test_places_that_set_more_are_lowered_where_they_stand(lab):
    under = HostUnderChange(lab.workspace, "node-01")
    broken = (
        "cp -a /etc/profile /etc/bash.bashrc /run/; printf 'if [ -n \"$X\" ]; then TMOUT=7200; fi\\nif true; then\\n    umask 002\\nelse\\n  umask 022\\nfi\\n' >>/etc/profile;"
        "printf 'readonly TMOUT=3600 HISTSIZE=1000\\n' >>/etc/bash.bashrc"
    )
    items = [
        Item("t", "profile", {"TMOUT": 600}),
        Item("u", "profile", {"umask": "027"}),
        Item("h", "profile", {"HISTSIZE": 50}),
    ]
    proves(
        under,
        items,
        broken=broken,
        mended="cp -a /run/profile /run/bash.bashrc /etc/; rm -f /run/profile /run/bash.bashrc",
    )
