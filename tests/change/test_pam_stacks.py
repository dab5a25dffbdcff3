"""PAM stacks as text: what people run on CentOS 7, RHEL 8, openEuler and Debian, changed and played through."""

import hashlib
import re

import pytest

from agent.change import pamtext
from agent.change.contract import Facts, FixError
from agent.change.resources.pam import PamProfile, _faillock, _pwhistory, _pwquality
from agent.model.change import Item, Skip, Why
from agent.model.frames import Answer

CENTOS7 = """\
#%PAM-1.0
auth        required      pam_env.so
auth        required      pam_faildelay.so delay=2000000
auth        sufficient    pam_unix.so nullok try_first_pass
auth        requisite     pam_succeed_if.so uid >= 1000 quiet_success
auth        required      pam_deny.so

account     required      pam_unix.so
account     sufficient    pam_localuser.so
account     sufficient    pam_succeed_if.so uid < 1000 quiet
account     required      pam_permit.so

password    requisite     pam_pwquality.so try_first_pass local_users_only retry=3 authtok_type=
password    sufficient    pam_unix.so sha512 shadow nullok try_first_pass use_authtok
password    required      pam_deny.so

session     required      pam_unix.so
"""
SSSD = """\
auth        required                                     pam_env.so
auth        [default=1 ignore=ignore success=ok]         pam_usertype.so isregular
auth        [default=1 ignore=ignore success=ok]         pam_localuser.so
auth        sufficient                                   pam_unix.so nullok
auth        [default=1 ignore=ignore success=ok]         pam_usertype.so isregular
auth        sufficient                                   pam_sss.so forward_pass
auth        required                                     pam_deny.so
account     required                                     pam_unix.so
account     sufficient                                   pam_usertype.so issystem
account     [default=bad success=ok user_unknown=ignore] pam_sss.so
account     required                                     pam_permit.so
password    requisite                                    pam_pwquality.so local_users_only
password    sufficient                                   pam_unix.so sha512 shadow nullok use_authtok
password    [success=1 default=ignore]                   pam_localuser.so
password    sufficient                                   pam_sss.so use_authtok
password    required                                     pam_deny.so
"""
DEBIAN = """\
auth\t[success=1 default=ignore]\tpam_unix.so nullok
auth\trequisite\t\t\tpam_deny.so
auth\trequired\t\t\tpam_permit.so
"""
LDAP = """\
auth\t[success=2 default=ignore]\tpam_unix.so nullok
auth\t[success=1 default=ignore]\tpam_ldap.so use_first_pass
auth\trequisite\t\t\tpam_deny.so
auth\trequired\t\t\tpam_permit.so
"""
STACKS = {"centos7": CENTOS7, "sssd": SSSD, "debian": DEBIAN, "ldap": LDAP}


def modules(lines, kind):
    return [line.module.removeprefix("pam_").removesuffix(".so") for line in pamtext.stack(lines, kind)]


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_stays_sound_with_lock_out(name):
    lines = STACKS[name].splitlines()
    assert pamtext.sound(lines) == ""
    made = _faillock(lines, "auth", [])
    assert pamtext.sound(made) == ""
    assert "pam_faillock.so preauth" in next(line for line in made if "faillock" in line)
    kinds = modules(made, "auth")
    assert kinds.index("faillock") < kinds.index("unix") < len(kinds) - 1 - kinds[::-1].index("faillock")
    assert [line for line in made if "faillock" not in line and "success=" not in line] == [
        line for line in lines if "success=" not in line
    ]


def test_jumps_lead_past_what_was_put_in_and_those_to_deny_pass_the_counter_first():
    made = _faillock(DEBIAN.splitlines(), "auth", [])
    assert "[success=2 default=ignore]\tpam_unix.so" in made[1]
    ldap = _faillock(LDAP.splitlines(), "auth", ["deny=5"])
    assert "[success=3 default=ignore]\tpam_unix.so" in ldap[1]
    assert "[success=2 default=ignore]\tpam_ldap.so" in ldap[2]
    assert "authfail deny=5" in ldap[3]
    sssd = _faillock(SSSD.splitlines(), "auth", [])
    assert modules(sssd, "auth")[-2:] == ["faillock", "deny"]
    assert sum("default=1" in line for line in sssd) == 3, "a skipped sssd leads to the counter"


def test_history_and_rules_ask_once():
    made = _pwhistory(CENTOS7.splitlines(), "password", ["remember=12", "use_authtok"])
    assert modules(made, "password") == ["pwquality", "pwhistory", "unix", "deny"]
    bare = [
        "password\t[success=1 default=ignore]\tpam_unix.so yescrypt",
        "password\trequisite\tpam_deny.so",
        "password\trequired\tpam_permit.so",
    ]
    alone = _pwhistory(bare, "password", ["remember=12", "use_authtok"])
    assert "use_authtok" not in alone[0], "nobody asked before it"
    assert "use_authtok" in alone[1]
    both = _pwquality(alone, "password", ["retry=3"])
    assert modules(both, "password") == ["pwquality", "pwhistory", "unix", "deny", "permit"]
    assert "use_authtok" in both[1]
    assert pamtext.sound(both) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("auth required pam_deny.so\nauth required pam_unix.so", "refuses"),
        ("auth sufficient pam_permit.so\nauth required pam_unix.so", "lets in"),
        ("auth [success=9 default=ignore] pam_unix.so\nauth requisite pam_deny.so", "past the end"),
        (
            "auth [success=1 default=ignore] pam_unix.so\nauth optional pam_permit.so\nauth requisite pam_deny.so",
            "refuses",
        ),
        ("auth required pam_unix.so\naccount required pam_deny.so\naccount required pam_unix.so", "refuses"),
    ],
)
def test_what_locks_out_or_lets_in_is_seen(text, problem):
    assert problem in pamtext.sound(text.splitlines())


def told(
    files, owner="direct", modules_=("pam_faillock.so", "pam_pwhistory.so", "pam_pwquality.so", "pam_wheel.so"), more=""
):
    lines = [f"owner\t{owner}", *(f"module\t{name}" for name in modules_)]
    for name, text in files.items():
        lines.append(f"file\t{name}\t/etc/pam.d/{name}\t{hashlib.sha256(text.encode()).hexdigest()}")
        lines += [f"l\t{line}" for line in text.splitlines()]
        lines.append("")
    return Answer(0, "\n".join([*lines, more]), "")


FAILLOCK = Item("f", "pam_profile", {"module": "pam_faillock.so", "type": "auth", "feature": "with-faillock"})
WHEEL = Item("w", "pam_profile", {"service": "su", "module": "pam_wheel.so", "type": "auth", "args": ["use_uid"]})
SU = "#%PAM-1.0\nauth\t\tsufficient\tpam_rootok.so\nauth\t\tsubstack\tsystem-auth\n"
FACTS = Facts({})


def plan(item, answer):
    return PamProfile().plan(item, answer, FACTS)


def test_both_stacks_of_centos_7_are_written_by_hand():
    (step,) = plan(FAILLOCK, told({"system-auth": CENTOS7, "password-auth": CENTOS7}))
    assert [handle.args[0] for handle in step.handles] == ["/etc/pam.d/system-auth", "/etc/pam.d/password-auth"]
    assert step.write.count("authfail") == 2
    assert step.write.count("account     required      pam_faillock.so") == 2


def test_a_file_that_authselect_wrote_is_never_edited():
    more = "profile\tsssd\non\twith-x\noffers\twith-faillock\noffers\twith-x\nwritten\t/etc/authselect/system-auth"
    (step,) = plan(FAILLOCK, told({"system-auth": SSSD}, "authselect", more=more))
    assert step.write == "authselect enable-feature with-faillock"
    assert [handle.args[0] for handle in step.handles] == ["/etc/authselect/system-auth"]
    found = plan(FAILLOCK, told({"system-auth": SSSD}, "authselect", more="offers\twith-mkhomedir"))
    assert isinstance(found, Skip)
    assert found.why is Why.MANUAL


def test_a_module_that_is_not_on_the_disk_is_not_named():
    found = plan(FAILLOCK, told({"common-auth": DEBIAN}, "pam-auth-update", modules_=()))
    assert isinstance(found, Skip)
    assert found.why is Why.UNSUPPORTED
    assert "libpam-modules" in found.text


@pytest.mark.parametrize(
    "text",
    [
        "auth required pam_unix.so \\\n  nullok\nauth required pam_deny.so\n",
        "auth [success=9 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n",
        "auth sufficient pam_permit.so\nauth required pam_unix.so\n",
        "@include something\n",
    ],
)
def test_a_stack_that_is_not_understood_is_left_to_people(text):
    found = plan(FAILLOCK, told({"system-auth": text}))
    assert isinstance(found, Skip)
    assert found.why is Why.MANUAL


def test_text_that_did_not_come_whole_is_not_written_back():
    answer = told({"system-auth": CENTOS7})
    found = plan(FAILLOCK, Answer(0, re.sub("nullok", "nullok�", answer.text), ""))
    assert isinstance(found, Skip)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("", Why.UNSAFE),
        ("group\twheel\t", Why.UNSAFE),
        ("group\tsudo\talice\nused\tbob", Why.UNSAFE),
        ("group\tsudo\talice\nused\talice", None),
        ("group\twheel\talice\ngroup\tsudo\tbob\nused\tbob", Why.UNSAFE),
    ],
)
def test_su_is_narrowed_only_to_a_group_that_holds_who_uses_it(more, why):
    found = plan(WHEEL, told({"su": SU}, more=more))
    if why:
        assert isinstance(found, Skip)
        assert found.why is why
    else:
        (step,) = found
        assert "pam_rootok.so\nauth       required   pam_wheel.so use_uid group=sudo" in step.write


def test_su_is_done_when_it_asks_for_the_group():
    assert plan(WHEEL, told({"su": SU + "auth required pam_wheel.so use_uid\n"})) == ()
    trusting = told({"su": SU + "auth required pam_wheel.so trust\n"}, more="group\twheel\talice")
    assert plan(WHEEL, trusting) != ()


@pytest.mark.parametrize(
    "text", ["", "owner\t", "file\tx", "owner\tdirect\nfile\ta\tb\nl\tx", "\t\t\t\n" * 9, "owner\tdirect\nl\tauth"]
)
def test_hostile_answers_are_errors_and_nothing_else(text):
    found = plan(FAILLOCK, Answer(0, text, ""))
    assert isinstance(found, Skip)


@pytest.mark.parametrize(
    "want",
    [None, {}, {"module": "pam_evil.so", "type": "auth"}, {"module": "pam_faillock.so", "type": "password"},
     {"module": "pam_wheel.so", "type": "auth"}, {"module": "pam_pwquality.so", "type": "password", "args": ["a;b"]}],
)  # fmt: skip
def test_malformed_fixes_are_refused(want):
    with pytest.raises(FixError):
        PamProfile().check(Item("x", "pam_profile", want))
