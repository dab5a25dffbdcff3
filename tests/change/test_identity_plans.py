"""sshd, accounts, password rules, login.defs, shells: what is planned for canned readings, hostile ones too."""

import hashlib

import pytest

from agent.change.contract import Facts, FixError
from agent.change.registry import registry
from agent.model.change import Item, Skip, Why
from agent.model.frames import Answer

FACTS = Facts({"login": "ops"})
HOSTILE = (
    "",
    "\t",
    "sshd\nis\nis\troot\nset\t/etc/x\nplace\tciphers\t$(reboot)\nunit\t",
    "acct\t$(reboot)\t0\t0\t/bin/sh\t/\tset\t1\t\t\t\t\nacct\tx",
    "looked\nTMOUT\tset\t/etc/a'b;reboot\t1\t9999999999999999999999\n",
    "there\nis PASS_MAX_DAYS $(reboot) 1\nis PASS_MAX_DAYS\n",
    "owner\tdirect\nmodule\tpam_pwquality.so\nconf\t/etc/x\tminlen = '; reboot\n",
    "王" * 4000,
)
WANTS = {
    "sshd_option": ({"Ciphers": {"without": "-cbc"}}, {}),
    "account": ({"state": "disabled"}, {"select": "not_in_roster", "roster": ["a"]}),
    "profile": ({"TMOUT": 600}, {}),
    "login_defs": ({"PASS_MAX_DAYS": 30}, {}),
    "pwquality": ({"minlen": 18}, {}),
    "faillock": ({"deny": 5}, {}),
}


def plan(resource, want, text, facts=FACTS, **options):
    one = registry()[resource]
    item = Item("i", resource, want, options)
    one.check(item)
    return one.plan(item, Answer(0, text, ""), facts)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("resource", WANTS)
def test_hostile_answers_raise_nothing_and_reach_no_shell_unquoted(resource, text):
    want, options = WANTS[resource]
    found = plan(resource, want, text, **options)
    for step in () if isinstance(found, Skip) else found:
        assert "$(reboot)" not in step.write.replace("'$(reboot)'", "")


# --- sshd


def sshd(*more, **probes):
    lines = [
        "sshd",
        "place\tmacs\t/etc/ssh/sshd_config",
        "place\tpermitrootlogin\t/etc/ssh/sshd_config",
        "unit\tssh.service",
    ]
    for probe, told in probes.items():
        lines += [f"is\t{'else' if probe == 'stranger' else probe}\t{each}" for each in told]
    return "\n".join([*lines, *more])


def test_the_first_value_that_counts_is_the_source():
    text = sshd(
        "set\t/etc/ssh/sshd_config\t9\tpermitrootlogin\t0\tyes",
        "set\t/etc/ssh/sshd_config\t12\tpermitrootlogin\t0\tno",
        stranger=["permitrootlogin yes"],
        root=["permitrootlogin yes"],
    )
    (step,) = plan("sshd_option", {"PermitRootLogin": "no"}, text)
    assert (step.before, step.after, step.source) == ("yes", "no", "/etc/ssh/sshd_config:9")
    assert step.acts[0].args == ("ssh.service",)


def test_we_do_not_close_the_door_that_we_come_by():
    text = sshd(stranger=["permitrootlogin yes"])
    found = plan("sshd_option", {"PermitRootLogin": "no"}, text, Facts({"login": "root"}))
    assert isinstance(found, Skip)
    assert found.why is Why.UNSAFE
    found = plan("sshd_option", {"MACs": {"without": "sha1"}}, sshd(stranger=["macs hmac-sha1"]), legacy=True)
    assert isinstance(found, Skip)
    assert found.why is Why.UNSAFE


@pytest.mark.parametrize(
    ("now", "after"),
    [
        ("hmac-sha1,hmac-sha2-256", "hmac-sha2-256"),
        ("umac-128@openssh.com,hmac-sha2-512,hmac-md5", "umac-128@openssh.com,hmac-sha2-512"),
        ("hmac-sha1,hmac-md5", "hmac-sha2-512-etm@openssh.com,hmac-sha2-256"),
        ("umac-128@openssh.com,hmac-sha1", "hmac-sha2-512-etm@openssh.com,hmac-sha2-256"),
    ],
)
def test_what_is_weak_goes_and_something_that_clients_offer_stays(now, after):
    text = sshd("knows\tmacs\thmac-sha1 hmac-sha2-512-etm@openssh.com hmac-sha2-256", stranger=[f"macs {now}"])
    (step,) = plan("sshd_option", {"MACs": {"without": "sha1|md5"}}, text)
    assert step.after == after


def test_a_sshd_that_knows_no_strong_algorithm_is_left_alone():
    text = sshd("knows\tmacs\thmac-sha1 hmac-md5", stranger=["macs hmac-sha1"])
    found = plan("sshd_option", {"MACs": {"without": "sha1|md5"}}, text)
    assert isinstance(found, Skip)
    assert found.why is Why.UNSUPPORTED


def test_what_a_crypto_policy_passes_is_told():
    text = sshd("option\t-oMACs=hmac-sha1,hmac-sha2-256", stranger=["macs hmac-sha1,hmac-sha2-256"])
    found = plan("sshd_option", {"MACs": {"without": "sha1"}}, text)
    assert isinstance(found, Skip)
    assert "crypto-policies" in found.text


@pytest.mark.parametrize(("now", "done"), [("1", True), ("4", True), ("6", False), ("0", False)])
def test_a_number_is_a_ceiling(now, done):
    found = plan(
        "sshd_option", {"MaxAuthTries": 4}, sshd("place\tmaxauthtries\t/etc/f", stranger=[f"maxauthtries {now}"])
    )
    assert (found == ()) is done


@pytest.mark.parametrize(
    "want",
    [
        {},
        {"PasswordAuthentication": "no"},
        {"AllowUsers": "ops"},
        {"Port": 2222},
        {"MaxAuthTries": "4; reboot"},
        {"Ciphers": {"without": "("}},
        {"Banner": {"without": "x"}},
        {"a b": "c"},
    ],
)
def test_what_decides_who_gets_in_is_refused(want):
    with pytest.raises(FixError):
        registry()["sshd_option"].check(Item("i", "sshd_option", want))


# --- accounts


def account(name, uid, *, shell="/bin/bash", password="set", age="3", high="99999", expires="", home=""):
    return "\t".join(
        ["acct", name, str(uid), str(uid), shell, home or f"/home/{name}", password, age, "0", high, "7", expires]
    )


WHO = "\n".join(
    [account("root", 0, age="900"), account("ops", 1000), account("alice", 1001), "nologin\t/usr/sbin/nologin"]
)


def names(found):
    return [step.name for step in found]


def test_an_age_is_set_only_where_nobody_expires_at_once():
    text = "\n".join(
        [WHO, account("old", 1002, age="200"), account("odd", 1003, age="-5"), account("never", 1004, age="")]
    )
    found = plan("account", {"max_days": 30}, text, select="login")
    assert names(found) == ["alice"]
    for told in ("old 未动：须先轮换", "never 未动：须先轮换", "odd 未动：改密日期在将来", "root 未动", "ops 未动"):
        assert told in found[0].note


def test_who_left_is_closed_unless_something_runs_and_the_shared_home_keeps_its_keys():
    more = [account("gone", 1002), account("batch", 1003), account("twin", 1004, home="/home/gone"), "runs\t1003"]
    keys = ["keys\tgone\t/home/gone/.ssh/authorized_keys", "sudo\tgone\t/etc/sudoers.d/gone", "cron\tgone"]
    found = plan(
        "account",
        {"state": "disabled"},
        "\n".join([WHO, *more, *keys]),
        select="not_in_roster",
        roster=["alice", "twin", "ops"],
    )
    (step,) = found
    assert step.name == "gone"
    assert [handle.kind for handle in step.handles] == ["account"]
    assert "batch 未动：有以它运行的进程" in step.note
    assert "与他人共用" in step.note
    assert "/etc/sudoers.d/gone" in step.note
    assert "定时任务" in step.note


def test_a_name_that_shares_our_number_is_locked_by_name_and_never_taken_its_shell():
    text = "\n".join([WHO, account("ops2", 1000, password="empty"), account("toor", 0, password="empty")])
    assert names(plan("account", {"state": "locked"}, text, select="empty_password")) == ["ops2", "toor"]
    found = plan("account", {"state": "disabled"}, text, select="not_in_roster", roster=["ops", "alice"])
    assert isinstance(found, Skip)
    assert "共用 UID" in found.text


def test_no_roster_is_no_reason_to_close_everybody():
    for roster in ({}, {"roster": []}):
        found = plan("account", {"state": "disabled"}, WHO, select="not_in_roster", **roster)
        assert isinstance(found, Skip)
        assert found.why is Why.MANUAL


@pytest.mark.parametrize(
    ("want", "select"),
    [({"state": "gone"}, "login"), ({"shell": "/bin/sh"}, "login"), ({"max_days": "x"}, "login"),
     ({"state": "locked"}, "all"), ({}, "login"), ({"rotated": True}, "login")],
)  # fmt: skip
def test_malformed_account_fixes_are_refused(want, select):
    with pytest.raises(FixError):
        registry()["account"].check(Item("i", "account", want, {"select": select}))


# --- rules


def rules(
    *conf,
    line="password requisite pam_pwquality.so retry=3",
    owner="direct",
    reads=("all", "enforce_for_root"),
    name="common-password",
):
    lines = [f"owner\t{owner}", "module\tpam_pwquality.so", "module\tpam_faillock.so"]
    if line:
        lines += [f"file\t{name}\t/etc/pam.d/{name}\t{hashlib.sha256(line.encode()).hexdigest()}", f"l\t{line}", ""]
    lines += [f"conf\t/etc/security/x.conf\t{each}" for each in conf] + [f"reads\t{each}" for each in reads]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("conf", "line", "done"),
    [
        (["minlen = 20"], "", True),
        (["minlen=8", "minlen=18"], "", True),
        (["minlen=18", "minlen=8"], "", False),
        ([], "", False),
        (["minlen = 20"], "minlen=9", False),
        (["minlen = 9"], "minlen=19", True),
    ],
)
def test_what_counts_is_the_line_then_the_last_file(conf, line, done):
    found = plan("pwquality", {"minlen": 18}, rules(*conf, line=f"password requisite pam_pwquality.so {line}"))
    assert (found == ()) is done
    if line and not done:
        assert "pam_arg /etc/pam.d/common-password password pam_pwquality.so minlen ''" in found[0].write


def test_an_old_library_gets_it_on_the_line():
    (step,) = plan("pwquality", {"enforce_for_root": True}, rules("enforce_for_root", reads=("all",)))
    assert step.write == "pam_arg /etc/pam.d/common-password password pam_pwquality.so enforce_for_root -"
    line = "auth required pam_faillock.so preauth"
    (step,) = plan("faillock", {"deny": 5}, rules("deny = 3", line=line, reads=(), name="system-auth"))
    assert step.write == "pam_arg /etc/pam.d/system-auth auth pam_faillock.so deny 5"
    found = plan("faillock", {"deny": 5}, rules(line="", reads=()))
    assert isinstance(found, Skip)


def test_an_argument_of_authselect_is_told():
    line = "password requisite pam_pwquality.so minlen=8"
    found = plan("pwquality", {"minlen": 18}, rules(line=line, owner="authselect"))
    assert isinstance(found, Skip)
    assert found.why is Why.MANUAL


@pytest.mark.parametrize(
    ("value", "done"), [("0", True), ("never", True), ("900", True), ("600", False), ("60", False)]
)
def test_a_lock_that_only_a_person_opens_is_stricter(value, done):
    assert (plan("faillock", {"unlock_time": 900}, rules(f"unlock_time = {value}")) == ()) is done


@pytest.mark.parametrize(
    ("key", "want", "now", "done"),
    [
        ("PASS_MAX_DAYS", 30, "30", True), ("PASS_MAX_DAYS", 30, "7", True), ("PASS_MAX_DAYS", 30, "99999", False),
        ("PASS_MAX_DAYS", 30, "-1", False), ("PASS_MIN_DAYS", 1, "2", True), ("PASS_MIN_DAYS", 1, "0", False),
        ("ENCRYPT_METHOD", "SHA512", "YESCRYPT", True), ("ENCRYPT_METHOD", "SHA512", "MD5", False),
    ],
)  # fmt: skip
def test_login_defs_that_are_stricter_stay(key, want, now, done):
    assert (plan("login_defs", {key: want}, f"there\nis {key} {now} 4") == ()) is done


@pytest.mark.parametrize(
    ("want", "rows", "steps"),
    [
        ({"TMOUT": 600}, ["TMOUT\tset\t/etc/profile\t3\t300"], []),
        ({"TMOUT": 600}, [], ["TMOUT /etc/profile.d/secops-tmout.sh"]),
        ({"TMOUT": 600}, ["TMOUT\tset\t/etc/profile\t3\t3600"], ["TMOUT /etc/profile"]),
        ({"TMOUT": 600}, ["TMOUT\tset\t/etc/profile\t3\t0"], ["TMOUT /etc/profile"]),
        ({"umask": "027"}, ["defs\t077\t9", "umask\tset\t/etc/profile\t3\t027"], []),
        ({"umask": "027"}, ["defs\t022\t9", "umask\tset\t/etc/profile\t3\t027"], ["umask /etc/login.defs"]),
        ({"umask": "027"}, ["defs\t027\t9", "umask\tset\t/etc/bashrc\t3\t002"], ["umask /etc/bashrc"]),
    ],
)
def test_shells(want, rows, steps):
    assert names(plan("profile", want, "\n".join(["looked", *rows]))) == steps
