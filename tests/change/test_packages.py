"""Packages: what is planned of what a host says, and how the package managers' tables are read."""

import shutil
import subprocess

import pytest

from agent.change.contract import Facts, FixError
from agent.change.library import module
from agent.change.registry import check, registry
from agent.change.resources.packages_state import at_least, parsed
from agent.model.change import Item, Risk, Skip, Why
from agent.model.frames import Answer

APT = """\
manager apt
have openssl 3.0.15-1 openssl 3.0.15-1 ii
have libssl3 3.0.15-1 openssl 3.0.15-1 ii
can openssl 3.0.16-1 3.0.16-1
can libssl3 3.0.16-1 3.0.16-1
lists 3600 2
space / 9000000
space /var 9000000
space /boot 900000
total 300
source openssl 3.0.16-1 3.0.16-1
source libssl3 3.0.16-1 3.0.16-1
sim upgrade libssl3 3.0.15-1 3.0.16-1
sim upgrade openssl 3.0.15-1 3.0.16-1
"""
WANT = {"openssl": "3.0.16-1", "libssl3": "3.0.16-1"}
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


def plan(text, want=None, *, resource="package", **more):
    item = Item("a", resource, want or WANT, **more)
    return registry()[resource].plan(item, Answer(0, text, ""), Facts({}))


def test_each_package_is_a_step_of_one_run():
    steps = plan(APT, risk=(Risk.RESTART,))
    assert [(step.name, step.before, step.after) for step in steps] == [
        ("openssl", "3.0.15-1", "3.0.16-1 或更新"),
        ("libssl3", "3.0.15-1", "3.0.16-1 或更新"),
    ]
    assert {step.acts for step in steps} == {steps[0].acts}
    assert {step.validate for step in steps} == {"pk_ready 120"}
    assert all(step.irreversible.endswith("3.0.15-1 → 3.0.16-1") and step.risk == (Risk.RESTART,) for step in steps)


def test_nothing_is_left_where_it_is_so_already_or_not_there():
    assert plan(APT.replace("3.0.15-1", "3.0.17-1")) == ()
    assert plan(APT, {"nginx": "1.22"}) == ()


def test_the_approved_words_do_not_depend_on_what_the_mirror_offers_today():
    later = APT.replace("openssl 3.0.16-1 3.0.16-1", "openssl 3.0.18-1 3.0.18-1").replace(
        "ii\ncan openssl 3.0.16-1", "ii\ncan openssl 3.0.18-1"
    )
    assert [step.digest for step in plan(APT)] == [step.digest for step in plan(later)]


@pytest.mark.parametrize(
    ("edit", "why", "words"),
    [
        (("manager apt", "manager none"), Why.UNSUPPORTED, "apt"),
        (("total 300", "total 0"), Why.ERROR, "无法读取"),
        (("lists", "deps E: Unmet dependencies\nlists"), Why.MANUAL, "依赖关系已损坏"),
        (("sim upgrade libssl3", "sim remove nginx\nsim upgrade libssl3"), Why.UNSAFE, "升级会移除：nginx"),
        (
            ("sim upgrade libssl3", "sim downgrade nginx 2 1\nsim upgrade libssl3"),
            Why.UNSAFE,
            "升级会降级：nginx 2 → 1",
        ),
        (("space /var 9000000", "space /var 1000"), Why.UNSAFE, "/var 可用空间只有 0 MB"),
        (("sim upgrade libssl3", "sim error E: Broken\nsim upgrade libssl3"), Why.UNSAFE, "模拟升级未通过：E: Broken"),
        (("lists", "hold openssl\nhold libssl3\nlists"), Why.UNSAFE, "apt-mark hold"),
        (("3.0.16-1", "3.0.15-2"), Why.NO_FIX, "镜像只有 3.0.15-2，需要 3.0.16-1 或更新"),
        (("16-1 3.0.16-1\nlists", "15-1 3.0.16-1\nlists"), None, ""),
    ],
)
def test_what_speaks_against_it_is_the_reason(edit, why, words):
    found = plan(APT.replace(*edit))
    if why is None:
        assert "不含 libssl3：libssl3 被优先级" in found[0].note
        return
    assert isinstance(found, Skip)
    assert found.why is why
    assert words in found.text


def test_old_lists_do_not_say_that_there_is_no_fix():
    old = APT.replace("lists 3600", "lists 400000").replace(
        "can openssl 3.0.16-1 3.0.16-1\ncan libssl3 3.0.16-1 3.0.16-1\n", ""
    )
    steps = plan(old)
    assert len(steps) == 2
    assert "4 天未刷新" in steps[0].note
    assert "刷新后若仍无所需版本" in steps[0].note
    assert steps[0].irreversible.endswith("→ 3.0.16-1 或更新")


def test_what_comes_along_waits_or_is_held_is_told():
    text = APT.replace("sim upgrade libssl3", "sim new libnew - 1.0\nsim upgrade libssl3").replace(
        "lists", "busy 412 unattended-upgr\nhold libssl3\nlists"
    )
    (step,) = plan(text)
    assert step.name == "openssl"
    assert all(words in step.note for words in ("libnew 1.0", "不含 libssl3", "412 unattended-upgr"))


def test_an_interrupted_dpkg_is_finished_first():
    text = APT.replace("lists", "broken cron\nbroken at\nlists").replace(
        "sim upgrade libssl3", "sim error E: dpkg was interrupted\nsim upgrade libssl3"
    )
    first, *rest = plan(text)
    assert first.name == "dpkg --configure -a"
    assert "at、cron" in first.before
    assert [step.name for step in rest] == ["openssl", "libssl3"]
    half = APT.replace("3.0.15-1 openssl 3.0.15-1 ii", "3.0.16-1 openssl 3.0.16-1 iF").replace(
        "lists", "broken openssl\nlists"
    )
    assert [step.name for step in plan(half)] == ["dpkg --configure -a"]


def test_source_versions_decide_where_the_binary_has_its_own():
    text = (
        "manager apt\nhave postgresql 15+248 postgresql-common 248 ii\ncan postgresql 15+249 15+249\n"
        "lists 1 1\ntotal 9\n"
    )
    assert plan(text + "source postgresql 15+249 249\n", {"postgresql": "249"})[0].before == "15+248"
    assert isinstance(plan(text + "source postgresql 15+249 248.5\n", {"postgresql": "249"}), Skip)


@pytest.mark.parametrize("name", ["openssh-server", "sudo", "libpam-runtime", "libc6", "pam", "glibc"])
def test_what_a_login_stands_on_is_a_risk_of_lockout(name):
    text = f"manager apt\nhave {name} 1 {name} 1 ii\ncan {name} 2 2\nlists 1 1\ntotal 9\nsim upgrade {name} 1 2\n"
    assert Risk.LOCKOUT in plan(text, {name: "2"})[0].risk
    along = (
        f"manager apt\nhave zlib 1 zlib 1 ii\ncan zlib 2 2\nlists 1 1\ntotal 9\nsim upgrade {name} 1 2\n"
        "sim upgrade zlib 1 2\n"
    )
    assert Risk.LOCKOUT in plan(along, {"zlib": "2"})[0].risk


def test_a_kernel_is_another_package_that_the_metapackage_brings():
    text = (
        "manager apt\nhave linux-image-6.1.0-30-cloud-amd64 6.1.124-1 linux 6.1.124+1 ii\n"
        "have linux-image-cloud-amd64 6.1.124-1 linux 6.1.124+1 ii\n"
        "meta linux-image-cloud-amd64 linux-image-6.1.0-30-cloud-amd64\n"
        "can linux-image-cloud-amd64 6.1.170-1 6.1.170-1\nlists 1 1\ntotal 9\nspace /boot 900000\n"
    )
    want = {"linux-image-6.1.0-30-cloud-amd64": "6.1.129-1"}
    (step,) = plan(text, want)
    assert step.name == "linux-image-cloud-amd64"
    assert Risk.REBOOT in step.risk
    assert plan(text + "have linux-image-6.1.0-56-cloud-amd64 6.1.170-1 linux 6.1.170+1 ii\n", want) == ()
    assert len(plan(text + "have linux-image-6.1.0-56-amd64 6.1.170-1 linux 6.1.170+1 ii\n", want)) == 1
    assert "元软件包" in plan(text.replace("meta ", "other "), want).text
    assert "/boot" in plan(text.replace("900000", "9000"), want).text


def rpm(*lines):
    return "\n".join(["manager dnf", "total 200", "lists 60 2", *lines])


def test_rpm_versions_are_compared_as_advisories_write_them():
    assert at_least("dnf", "1:1.1.1wa-10.oe2203sp4", "1.1.1wa-10.oe2203sp4")
    assert not at_least("dnf", "1:1.0.2k-25.el7_9", "1:1.0.2k-26.el7_9")
    assert at_least("yum", "4.2.46-35.el7.centos.5", "4.2.46-35.el7_9.5")
    assert not at_least("yum", "4.2.46-35.el7.centos.4", "4.2.46-35.el7_9.5")
    assert not at_least("dnf", "0.112-26.el7", "0.112-26.el7_9.1")


def test_rpm_locks_excludes_and_interrupted_runs_are_told():
    have = (
        "have openssl 1:1.0.2k-25.el7_9 openssl 1:1.0.2k-25.el7_9 ii x86_64\n"
        "can openssl 1:1.0.2k-26.el7_9 1:1.0.2k-26.el7_9"
    )
    want = {"openssl": "1:1.0.2k-26.el7_9"}
    assert len(plan(rpm(have), want)) == 1
    for line, words in (
        ("lock openssl-1:1.0.2k-25.*", "versionlock"),
        ("lock 1:openssl-1.0.2k-25.el7_9.*", "versionlock"),
        ("exclude openss*", "exclude="),
        ("unended transaction-all.x", "yum-complete"),
    ):
        found = plan(rpm(have, line), want)
        assert isinstance(found, Skip), line
        assert words in found.text
    assert len(plan(rpm(have, "lock openssl-libs-1:1.0.2k-25.*"), want)) == 1
    twice = rpm("have zlib 1-1 zlib 1-1 ii x86_64", "have zlib 1-2 zlib 1-2 ii x86_64")
    assert "两个版本：zlib" in plan(twice, {"zlib": "1-2"}).text
    both = rpm("have zlib 1-2 zlib 1-2 ii x86_64", "have zlib 1-2 zlib 1-2 ii i686")
    assert plan(both, {"zlib": "1-2"}) == ()
    kernels = rpm("have kernel 3-1 kernel 3-1 ii x86_64", "have kernel 3-2 kernel 3-2 ii x86_64")
    assert plan(kernels, {"kernel": "3-2"}) == ()


def test_the_makers_version_counts_without_epoch_and_revision():
    text = "manager apt\nhave redis-server 5:5.0.14-1 redis 5:5.0.14-1 ii\nlists 1 1\ntotal 9\n"
    options = {"upstream": True}
    assert plan(text, {"redis-server": "6.2"}, options=options).why is Why.NO_FIX
    assert plan(text.replace("5.0.14", "7.0.15"), {"redis-server": "6.2"}, options=options) == ()
    assert plan(text, {"nginx": "1.20"}, options=options).why is Why.MANUAL
    assert (
        plan(text, {"redis-server": "6.2"}, location="/opt/redis.conf", subject={"package": "", "user": "root"}).why
        is Why.MANUAL
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "manager\n",
        "manager apt\ntotal x\n",
        "have a",
        "manager apt\ntotal 9\nhave openssl $(id) x y ii\ncan openssl `id` 9\n",
        "sim\nsim remove\nspace\nlists a b\n\x00\n",
        "manager apt\ntotal 9\nhave openssl 1;reboot s 1 ii\n",
    ],
)
def test_nothing_that_a_target_says_reaches_a_shell(text):
    found = plan(text)
    if not isinstance(found, Skip):
        assert all("reboot" not in step.write and "$(" not in step.write for step in found)


def absent(text, **options):
    return plan(text, {"absent": True}, resource="package_absent", options={"names": ["telnet"], **options})


def test_removal_is_captured_or_says_that_it_is_for_good():
    text = "manager apt\ntotal 9\nhave telnet 0.17-44 again\nunit telnet telnet.socket\nsim remove telnet\n"
    (step,) = absent(text)
    assert step.write == "pk_remove telnet telnet"
    assert [(each.kind, each.args[0]) for each in step.handles] == [
        ("package", "telnet"),
        ("links", "telnet.socket"),
        ("unit", "telnet.socket"),
    ]
    assert step.irreversible == ""
    (step,) = absent(text.replace("again", "lost"))
    assert step.handles == ()
    assert "不能自动装回" in step.irreversible


@pytest.mark.parametrize(
    ("lines", "why", "words"),
    [
        ("sim remove telnet\nsim remove erp", Why.UNSAFE, "连带移除：erp"),
        ("sim error E: Broken", Why.UNSAFE, "模拟卸载未通过"),
        ("need telnet tcp/23", Why.UNSAFE, "telnet（tcp/23）"),
        ("have sudo 1.9 again", Why.UNSAFE, "sudo"),
    ],
)
def test_a_removal_that_does_harm_is_refused(lines, why, words):
    found = absent(f"manager apt\ntotal 9\nhave telnet 0.17 again\n{lines}\n", listeners=["tcp/23"])
    assert isinstance(found, Skip)
    assert found.why is why
    assert words in found.text


def test_what_no_package_holds_is_for_a_person():
    assert absent("manager apt\ntotal 9\nstray /usr/local/bin/nmap\n").why is Why.MANUAL
    assert absent("manager apt\ntotal 9\n") == ()
    (step,) = absent("manager apt\ntotal 9\nhave telnet 1 again\nneed telnet tcp/23\nstray /usr/local/bin/nmap\n")
    assert "tcp/23" in step.note
    assert "/usr/local/bin/nmap" in step.note
    assert Risk.APP_BREAK in step.risk


@pytest.mark.parametrize(
    "item",
    [
        Item("a", "package", {}),
        Item("a", "package", {"a b": "1"}),
        Item("a", "package", {"openssl": "1; reboot"}),
        Item("a", "package", {"openssl": "1"}, {"upstream": "yes"}),
        Item("a", "package_absent", {}),
        Item("a", "package_absent", {}, {"names": ["$(id)"]}),
        Item("a", "package_absent", {}, {"names": ["sudo"]}),
    ],
)
def test_a_malformed_fix_is_refused(item):
    with pytest.raises(FixError):
        check(item)


YUM = """\
Loaded plugins: fastestmirror
================================================================================
 Package          Arch        Version                 Repository           Size
================================================================================
Updating:
 openssl          x86_64      1:1.0.2k-26.el7_9       updates             494 k
Installing for dependencies:
 a-package-with-a-name-that-is-much-too-long-for-its-column
                  x86_64      1.0-1                   base                 10 k
Updating for dependencies:
 openssl-libs     x86_64      1:1.0.2k-26.el7_9       updates             1.2 M
Removing for dependencies:
 old              x86_64      1.0-1                   installed            10 k

Transaction Summary
================================================================================
Upgrade  1 Package (+1 Dependent package)
"""
DNF = """\
Dependencies resolved.
================================================================================
 Package        Architecture    Version                  Repository        Size
================================================================================
Upgrading:
 greedy         x86_64          2-1                      updates          5.5 k
     replacing  clash.noarch 1-1
Skipping packages with broken dependencies:
 other          x86_64          2-1                      updates          5.5 k

Transaction Summary
================================================================================
"""


def run(shell, script, text):
    words = [shell, "sh"] if shell == "busybox" else [shell]
    head = "TX=t TXROOT=/nonexistent\n" + module("core") + "\n" + module("packages") + "\n"
    return subprocess.run(
        [*words, "-c", head + script], input=text, capture_output=True, text=True, check=False, timeout=20
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_the_tables_of_yum_and_dnf_are_read(shell):
    found = parsed(run(shell, "pk_table", YUM).stdout).sim
    assert [(what, name) for what, name, *_ in found] == [
        ("upgrade", "openssl"),
        ("new", "a-package-with-a-name-that-is-much-too-long-for-its-column"),
        ("upgrade", "openssl-libs"),
        ("remove", "old"),
    ]
    found = parsed(run(shell, "pk_table", DNF).stdout).sim
    assert [(what, name) for what, name, *_ in found] == [("upgrade", "greedy"), ("remove", "clash"), ("skip", "other")]
    assert parsed(run(shell, "pk_table", "Error: \n Problem: nothing provides x\n").stdout).errors == [
        "Problem: nothing provides x"
    ]
    refused = run(shell, "pk_table | pk_refuse", DNF)
    assert refused.returncode == 1
    assert "clash" in refused.stderr
    assert run(shell, "pk_refuse", "sim upgrade a 1 2\n").returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_rows_of_check_update_are_read_also_when_broken_in_two(shell):
    text = (
        "Loaded plugins: fastestmirror\n\nopenssl.x86_64     1:1.0.2k-26.el7_9     updates\n"
        "a-package-with-a-long-name.noarch\n                   1.0-2.el7   updates\n"
        "Obsoleting Packages\nnew.x86_64 2-1 updates\n"
    )
    assert run(shell, "pk_rows", text).stdout.splitlines() == [
        "openssl 1:1.0.2k-26.el7_9",
        "a-package-with-a-long-name 1.0-2.el7",
    ]
