"""Upgrades and removals by dnf, on packages that the tests bring, and on one of the mirror's that is put back."""

import base64
import subprocess
import threading
import time
from dataclasses import replace

import pytest
from hardening import HostUnderChange, differences

from agent.model.change import Item, Skip, TxState, Why

MORE = "rpm -qa | sort"
REPO = "[labpkgs]\\nname=lab\\nbaseurl=file:///srv/labpkgs\\nenabled=1\\ngpgcheck=0\\n"
SPECS = {
    "one": {
        "labtool": "1-1\n%files\n%config(noreplace) /etc/labtool.conf",
        "labclash": "1-1\n%files",
        "labgreedy": "1-1\n%files",
        "labslow": "1-1\n%files",
        "labwanted": "1-1\n%files\n/usr/bin/labwanted\n%config /etc/labwanted.conf",
        "labneeds": "1-1\nRequires: labwanted\n%files",
    },
    "two": {
        "labtool": "2-1\nRequires: labnew\n%files\n%config(noreplace) /etc/labtool.conf",
        "labnew": "1-1\n%files",
        "labgreedy": "2-1\nObsoletes: labclash\n%files",
        "labslow": "2-1\n%files\n%post -p <lua>\nposix.sleep(12)",
    },
}
GONE = r"""
rm -rf /etc/yum.repos.d/labpkgs.repo /var/cache/dnf/labpkgs* /etc/dnf/plugins/versionlock.list
rpm -e --nodeps $(rpm -qa 'lab*') 2>/dev/null
rm -rf /srv/labpkgs /etc/labtool.conf* /etc/labwanted.conf*
"""
FIRST = "dnf -q -y --disablerepo=os,updates install labtool labclash labgreedy labslow labneeds 2>&1 && echo ours >/etc/labtool.conf"
REFRESH = "dnf -q makecache 2>&1"


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The repository in both states, as base64 of a tar archive: built here, since the hosts have no createrepo."""
    top = tmp_path_factory.mktemp("rpm")
    root = top / "root"
    for path, text in (("etc/labtool.conf", "1"), ("etc/labwanted.conf", "1"), ("usr/bin/labwanted", "#!/bin/sh\n")):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    made = {}
    for turn, specs in SPECS.items():
        for name, body in specs.items():
            version, _, rest = body.partition("\n")
            head, _, files = rest.rpartition("%files")
            number, release = version.split("-")
            spec = top / f"{name}.spec"
            spec.write_text(
                f"Name: {name}\nVersion: {number}\nRelease: {release}\nSummary: lab stand-in\nLicense: none\n{head}"
                f"%description\nlab stand-in\n%install\ncp -a {root}/. %{{buildroot}}/\n"
                "%define _unpackaged_files_terminate_build 0\n"
                f"%files{files}\n"
            )
            defines = {
                "_topdir": top / "build",
                "_rpmdir": top / "repo",
                "debug_package": "%{nil}",
                "_build_name_fmt": "%{NVRA}.rpm",
            }
            options = [f"--define={key} {value}" for key, value in defines.items()]
            subprocess.run(
                ["rpmbuild", "-bb", "--quiet", "--nodeps", "--target=x86_64", *options, spec],
                check=True,
                capture_output=True,
            )
        subprocess.run(
            ["createrepo_c", "--quiet", "--general-compress-type=gz", top / "repo"], check=True, capture_output=True
        )
        tar = subprocess.run(["tar", "czC", top / "repo", "."], check=True, capture_output=True)
        made[turn] = base64.b64encode(tar.stdout).decode()
    return made


@pytest.fixture(scope="module", params=["centos-01", "openeuler-01"])
def repository(lab, request):
    under = HostUnderChange(lab.workspace, request.param)
    before = under.manifest(MORE)
    yield under
    under.root(f"{GONE}\n{REFRESH}\n:")
    assert differences(before, under.manifest(MORE)) == []


def lay(under, archive):
    put = f"mkdir -p /srv/labpkgs && printf '{REPO}' >/etc/yum.repos.d/labpkgs.repo && base64 -d <<'END' | tar xzC /srv/labpkgs"
    under.root(f"{put}\n{archive}\nEND\n")


@pytest.fixture
def under(repository, archives):
    """The host with the first versions installed; the second are in the repository, its metadata read anew."""
    repository.root(f"{GONE}\n:")
    lay(repository, archives["one"])
    repository.root(FIRST)
    lay(repository, archives["two"])
    repository.root(f"rm -rf /var/cache/dnf/labpkgs*; {REFRESH}")
    return repository


def upgraded(under, *items, planned=None):
    steps = planned or under.steps(*items)
    tx = under.transaction(items, steps)
    return tx, under.begin(tx)


def version(under, name):
    return under.root(f"rpm -q --queryformat '%{{VERSION}} ' {name} || :").split()


def test_a_package_is_upgraded_with_what_it_needs_and_its_configuration_stays(under):
    items = [Item("a", "package", {"labtool": "2-1"}), Item("b", "package", {"labslow": "2-1"})]
    steps = under.steps(*items)
    assert [(step.name, step.before, step.after) for step in steps] == [
        ("labtool", "1-1", "2-1 或更新"),
        ("labslow", "1-1", "2-1 或更新"),
    ]
    assert "labnew 1-1" in steps[0].note
    tx, begun = upgraded(under, *items, planned=steps)
    assert not begun.failed, begun
    assert begun.state is TxState.CONFIRMED
    assert under.plan(*items) == {"a": (), "b": ()}
    assert version(under, "labtool") == ["2"]
    assert under.root("cat /etc/labtool.conf").strip() == "ours"
    assert under.state(tx) is TxState.CONFIRMED


def test_what_is_held_obsoletes_another_or_is_not_offered_is_left(under):
    greedy = Item("a", "package", {"labgreedy": "2-1"})
    assert under.plan(greedy)["a"] == Skip(Why.UNSAFE, "升级会移除：labclash")
    steps = under.plan(Item("b", "package", {"labtool": "2-1"}))["b"]
    tx = under.transaction([greedy], [replaced(steps[0], "labgreedy")])
    begun = under.begin(tx)
    assert begun.failed == "validate.1"
    assert "remove labclash" in begun.why
    assert version(under, "labgreedy") == ["1"]
    assert under.plan(Item("a", "package", {"labtool": "9-1"}))["a"] == Skip(
        Why.NO_FIX, "labtool 镜像只有 2-1，需要 9-1 或更新"
    )
    under.root("echo 'labtool-0:1-1.*' >/etc/dnf/plugins/versionlock.list")
    found = under.plan(Item("a", "package", {"labtool": "2-1"}))["a"]
    assert found == Skip(Why.UNSAFE, "labtool 被 versionlock 锁定，未升级：请先由负责人解除")


def replaced(step, name):
    return replace(step, name=name, write=f"pk_want {name} 1-1")


def test_a_lock_is_told_and_an_unreachable_repository_does_not_stop_it(under):
    lock = r"""setsid perl -e 'use Fcntl; open my $f, ">>", "/root/.rpmdb/.rpm.lock" or die;
      my $s = pack("s s l! l! i x4", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $s) or die; sleep 14' >/dev/null 2>&1 </dev/null & sleep 1"""
    under.root(lock)
    item = Item("a", "package", {"labtool": "2-1"}, {"wait": 2})
    (step,) = under.steps(item)
    assert "perl" in step.note
    _, begun = upgraded(under, item, planned=[step])
    assert begun.failed == "validate.1"
    assert "held by" in begun.why
    assert version(under, "labtool") == ["1"]
    under.root(
        "printf '[labnone]\\nname=none\\nbaseurl=file:///srv/none\\nenabled=1\\ngpgcheck=0\\n' >>/etc/yum.repos.d/labpkgs.repo"
    )
    (step,) = under.steps(item)
    _, begun = upgraded(under, item, planned=[patient(step)])
    assert not begun.failed, begun
    assert version(under, "labtool") == ["2"]


def patient(step):
    return replace(step, validate="pk_ready 60")


def test_what_was_killed_halfway_is_told(under):
    item = Item("a", "package", {"labslow": "2-1"})
    tx = under.transaction([item], under.steps(item))
    ended = []
    work = threading.Thread(target=lambda: ended.append(under.begin(tx)))
    work.start()
    for _ in range(60):
        if len(version(under, "labslow")) > 1:
            break
        time.sleep(0.3)
    under.root("kill -9 $(pgrep -f '[d]nf -y upgrade')")
    work.join(60)
    assert ended[0].failed == "apply"
    assert under.state(tx) is TxState.UNFINISHED
    found = under.plan(item)["a"]
    assert isinstance(found, Skip)
    assert found.why is Why.MANUAL
    assert "两个版本：labslow" in found.text


def test_a_package_goes_and_comes_back_by_both_ways(under):
    absent = Item("a", "package_absent", {"absent": True}, {"programs": ["labwanted"]})
    assert under.plan(absent)["a"] == Skip(Why.UNSAFE, "卸载 labwanted 会连带移除：labneeds")
    under.root("rpm -e labneeds; echo changed >/etc/labwanted.conf")
    weak = under.manifest(MORE)
    tx = under.harden(absent)
    assert version(under, "labwanted") == ["package", "labwanted", "is", "not", "installed"]
    under.revert(tx)
    assert differences(weak, under.manifest(MORE)) == []
    second = under.transaction([absent], under.steps(absent))
    assert not under.begin(second).failed
    assert under.undo(second) is TxState.UNDONE
    assert differences(weak, under.manifest(MORE)) == []


def test_a_package_of_the_mirror_is_upgraded(lab):
    under = HostUnderChange(lab.workspace, "centos-01")
    before = under.manifest(MORE)
    item = Item("a", "package", {"zlib": "1.2.7-21.el7_9"})
    try:
        _, begun = upgraded(under, item)
        assert not begun.failed, begun
        assert under.plan(item) == {"a": ()}
    finally:
        under.root("dnf -q -y downgrade zlib 2>&1")
    assert differences(before, under.manifest(MORE)) == []
