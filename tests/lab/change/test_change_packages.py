"""Upgrades and removals by apt, on packages that the tests bring and take away again."""

import contextlib
import threading
import time

import pytest
from hardening import HostUnderChange, differences

from agent.model.change import Item, Risk, Skip, TxState, Why
from agent.model.errors import AgentError
from agent.model.session import Command

MORE = "dpkg-query -W -f='${Package} ${Version} ${db:Status-Abbrev}\\n'; apt-mark showauto; ls /etc/alternatives"
BUILD = r"""
set -e
R=/srv/labpkgs; mkdir -p $R; cd $R
# deb NAME VERSION [CONTROL LINE...]; ROOT: what it holds
deb() {
    n=$1 v=$2; shift 2; mkdir -p t/DEBIAN
    { echo "Package: $n"; echo "Version: $v"; echo 'Architecture: all'; echo 'Maintainer: lab <lab@example.invalid>'
      for l in "$@"; do echo "$l"; done; echo 'Description: lab stand-in'; } >t/DEBIAN/control
    dpkg-deb -b t "${n}_${v}_all.deb" >/dev/null; rm -rf t
}
with() { mkdir -p "t/${1%/*}"; cat >"t/$1"; }
script() { mkdir -p t/DEBIAN; { echo '#!/bin/sh'; cat; } >"t/DEBIAN/$1"; chmod 755 "t/DEBIAN/$1"; }
index() {
    for f in *.deb; do dpkg-deb -f "$f"; echo "Filename: ./$f"; echo "Size: $(stat -c %s "$f")"
        echo "SHA256: $(sha256sum "$f" | cut -d' ' -f1)"; echo; done >Packages
}
"""
FIRST = (
    BUILD
    + r"""
for v in 1.0 1.5; do echo "colour=$v" | with etc/labtool.conf; mkdir -p t/DEBIAN; echo /etc/labtool.conf >t/DEBIAN/conffiles; deb labtool $v; done
rm -f labtool_1.5*
deb labkeep 1.0; deb labclash 1.0; deb labgreedy 1.0; deb labslow 1.0; deb labneeds 1.0 'Depends: labwanted'
with usr/bin/labwanted <<'END'
#!/usr/bin/perl
use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 2323, Listen => 4, ReuseAddr => 1) or die; sleep 3600;
END
chmod 755 t/usr/bin/labwanted
printf '[Service]\nExecStart=/usr/bin/labwanted\n[Install]\nWantedBy=multi-user.target\n' | with lib/systemd/system/labwanted.service
printf '[Socket]\nListenStream=2324\nAccept=yes\n[Install]\nWantedBy=sockets.target\n' | with lib/systemd/system/labport.socket
printf '[Service]\nExecStart=-/usr/bin/labwanted\nStandardInput=socket\n' | with lib/systemd/system/labport@.service
echo 'one=1' | with etc/labwanted.conf; mkdir -p t/DEBIAN; echo /etc/labwanted.conf >t/DEBIAN/conffiles
echo 'if [ "$1" = configure ]; then systemctl -q enable --now labwanted labport.socket; sleep 1; fi' | script postinst
echo 'systemctl -q stop labwanted labport.socket || :' | script prerm
deb labwanted 1.0
deb linux-image-9.9.9-1-lab 9.9.9-1; deb linux-image-lab 9.9.9-1 'Depends: linux-image-9.9.9-1-lab (= 9.9.9-1)'
index
echo "deb [trusted=yes] copy:$R ./" >/etc/apt/sources.list.d/labpkgs.list
apt-get -qq update
apt-get -y -qq install labtool labclash labgreedy labslow linux-image-lab labneeds >/dev/null 2>&1
echo colour=ours >/etc/labtool.conf
"""
)
SECOND = (
    BUILD
    + r"""
echo colour=2 | with etc/labtool.conf; mkdir -p t/DEBIAN; echo /etc/labtool.conf >t/DEBIAN/conffiles
echo '[ "$(umask)" = 0022 ] && [ "$NEEDRESTART_MODE" = l ] && [ "$DEBIAN_FRONTEND" = noninteractive ]' | script postinst
deb labtool 2.0 'Depends: labnew'
deb labnew 1.0; deb labgreedy 2.0 'Conflicts: labclash'
echo 'sleep 8' | script postinst; deb labslow 2.0
deb linux-image-9.9.9-2-lab 9.9.9-2; deb linux-image-lab 9.9.9-2 'Depends: linux-image-9.9.9-2-lab (= 9.9.9-2)'
index
"""
)
GONE = r"""
dpkg --configure -a >/dev/null 2>&1
systemctl -q disable --now labwanted labport.socket 2>/dev/null
dpkg --purge --force-all $(dpkg-query -W -f='${Package}\n' 'lab*' 'linux-image-*lab' 2>/dev/null) >/dev/null 2>&1
rm -rf /srv/labpkgs /etc/apt/sources.list.d/labpkgs.list /etc/apt/preferences.d/labpin /var/cache/apt/archives/*.deb
systemctl daemon-reload; systemctl reset-failed labwanted 2>/dev/null
apt-get -qq update
"""
REFRESH = "apt-get -qq update"


@pytest.fixture(scope="module")
def repository(lab):
    """legacy-01 with the packages in their first version; everything is gone afterwards."""
    under = HostUnderChange(lab.workspace, "legacy-01")
    before = under.manifest(MORE)
    under.root(f"{GONE}\n{FIRST}")
    yield under
    under.root(GONE)
    assert differences(before, under.manifest(MORE)) == []


@pytest.fixture
def under(repository):
    """The host with all packages in their first version, and the second ones in the repository, not yet told of."""
    repository.root(f"{GONE}\n{FIRST}\n{SECOND}")
    return repository


def upgraded(under, *items, planned=None):
    """Plan, do; how it began."""
    steps = planned or under.steps(*items)
    tx = under.transaction(items, steps)
    return tx, under.begin(tx)


def version(under, name):
    return under.root(f"dpkg-query -W -f='${{Version}} ${{db:Status-Abbrev}}' {name}").split()


def test_a_package_is_upgraded_with_what_it_needs_and_its_configuration_stays(under):
    under.root(REFRESH)
    item = Item("a", "package", {"labtool": "2.0", "labkeep": "3.0"})  # labkeep is not installed: passed over
    (step,) = under.steps(item)
    assert (step.name, step.before, step.after) == ("labtool", "1.0", "2.0 或更新")
    assert "labnew 1.0" in step.note
    assert step.irreversible.endswith("1.0 → 2.0")
    tx, begun = upgraded(under, item, planned=[step])
    assert not begun.failed, begun
    assert begun.state is TxState.CONFIRMED
    assert under.plan(item) == {"a": ()}
    assert version(under, "labtool") == ["2.0", "ii"]
    assert under.root("cat /etc/labtool.conf; ls /etc/labtool.conf*").split() == [
        "colour=ours",
        "/etc/labtool.conf",
        "/etc/labtool.conf.dpkg-dist",
    ]
    assert under.state(tx) is TxState.CONFIRMED


def test_several_items_are_one_run(under):
    under.root(REFRESH)
    items = [Item("a", "package", {"labtool": "2.0"}), Item("b", "package", {"labslow": "2.0"})]
    runs = "grep -c ^Start-Date /var/log/apt/history.log"
    before = int(under.root(runs))
    _, begun = upgraded(under, *items)
    assert not begun.failed, begun
    assert under.plan(*items) == {"a": (), "b": ()}
    assert int(under.root(runs)) == before + 1


def test_old_lists_are_refreshed_before_anything_is_said_to_be_missing(under):
    item = Item("a", "package", {"labtool": "2.0"})
    assert under.plan(item)["a"] == Skip(Why.NO_FIX, "labtool 镜像没有更新的版本，需要 2.0 或更新")
    under.root("touch -d '3 days ago' /var/lib/apt/lists/partial; rm -f /var/lib/apt/periodic/update-success-stamp")
    (step,) = under.steps(item)
    assert "3 天未刷新" in step.note
    _, begun = upgraded(under, item, planned=[step])
    assert not begun.failed, begun
    assert version(under, "labtool") == ["2.0", "ii"]


def test_what_no_mirror_has_after_the_refresh_is_told_and_nothing_changes(under):
    under.root("touch -d '3 days ago' /var/lib/apt/lists/partial; rm -f /var/lib/apt/periodic/update-success-stamp")
    item = Item("a", "package", {"labkeep": "9.0", "labclash": "9.0"})
    _, begun = upgraded(under, item)
    assert begun.failed == "validate.1"
    assert "nothing newer is offered" in begun.why
    assert under.plan(item)["a"] == Skip(Why.NO_FIX, "labclash 镜像没有更新的版本，需要 9.0 或更新")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("apt-mark hold labtool", "labtool 被 apt-mark hold 保持"),
        (
            "printf 'Package: labtool\\nPin: version 1.0\\nPin-Priority: 1001\\n' >/etc/apt/preferences.d/labpin",
            "固定在 1.0，软件源有 2.0",
        ),
    ],
)
def test_what_is_held_is_left(under, script, words):
    under.root(f"{REFRESH}; {script}")
    found = under.plan(Item("a", "package", {"labtool": "2.0"}))["a"]
    assert isinstance(found, Skip)
    assert found.why is Why.UNSAFE
    assert words in found.text


def test_what_would_remove_another_package_is_refused_when_planned_and_when_done(under):
    item = Item("a", "package", {"labgreedy": "2.0"})
    under.root("touch -d '3 days ago' /var/lib/apt/lists/partial; rm -f /var/lib/apt/periodic/update-success-stamp")
    steps = under.steps(item)  # the old lists do not tell of it
    _, begun = upgraded(under, item, planned=steps)
    assert begun.failed == "validate.1"
    assert "remove labclash" in begun.why
    assert version(under, "labclash") == ["1.0", "ii"]
    assert under.plan(item)["a"] == Skip(Why.UNSAFE, "升级会移除：labclash")


HOLD = r"""perl -e 'use Fcntl; open my $f, ">>", "/var/lib/dpkg/lock-frontend" or die;
my $s = pack("s s l! l! i x4", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $s) or die; sleep shift' """


def test_a_lock_is_told_and_waited_for(under):
    under.root(REFRESH)
    item = Item("a", "package", {"labtool": "2.0"}, {"wait": 3})
    under.root(f"setsid {HOLD} 9 >/dev/null 2>&1 </dev/null & sleep 1")
    (step,) = under.steps(item)
    assert "perl" in step.note
    _, begun = upgraded(under, item, planned=[step])
    assert begun.failed == "validate.1"
    assert "held by" in begun.why
    assert version(under, "labtool") == ["1.0", "ii"]
    patient = Item("a", "package", {"labtool": "2.0"}, {"wait": 60})
    under.root(f"setsid {HOLD} 6 >/dev/null 2>&1 </dev/null & sleep 1")
    _, begun = upgraded(under, patient)
    assert not begun.failed, begun
    assert version(under, "labtool") == ["2.0", "ii"]


def test_a_broken_repository_beside_a_good_one_does_not_stop_it(under):
    under.root(f"{REFRESH}; echo 'deb [trusted=yes] copy:/srv/none ./' >>/etc/apt/sources.list.d/labpkgs.list")
    _, begun = upgraded(under, Item("a", "package", {"labtool": "2.0"}))
    assert not begun.failed, begun
    assert version(under, "labtool") == ["2.0", "ii"]


def test_a_file_that_cannot_be_fetched_stops_it_before_anything_changed(under):
    under.root(f"{REFRESH}; rm /srv/labpkgs/labnew_1.0_all.deb")
    _, begun = upgraded(under, Item("a", "package", {"labtool": "2.0"}))
    assert begun.failed == "validate.1"
    assert "could not be fetched" in begun.why
    assert version(under, "labtool") == ["1.0", "ii"]


def test_what_was_killed_halfway_is_told_and_finished(under):
    under.root(REFRESH)
    item = Item("a", "package", {"labslow": "2.0"})
    tx = under.transaction([item], under.steps(item))
    ended = []
    work = threading.Thread(target=lambda: ended.append(under.begin(tx)))
    work.start()
    for _ in range(60):
        if under.root("pgrep -f labslow.postinst || :").strip():
            break
        time.sleep(0.5)
    under.root("kill -9 $(pgrep -x dpkg) $(pgrep -x apt-get) $(pgrep -f labslow.postinst)")
    work.join(60)
    assert ended[0].failed == "apply"
    assert under.state(tx) is TxState.UNFINISHED
    assert version(under, "labslow") == ["2.0", "iF"]
    found = under.steps(item)
    assert [step.name for step in found] == ["dpkg --configure -a"]
    assert "labslow" in found[0].before
    _, begun = upgraded(under, item, planned=found)
    assert not begun.failed, begun
    assert version(under, "labslow") == ["2.0", "ii"]
    assert under.plan(item) == {"a": ()}


def test_it_goes_on_when_the_connection_is_lost(under):
    under.root(REFRESH)
    item = Item("a", "package", {"labslow": "2.0"})
    tx = under.transaction([item], under.steps(item))
    session = under.app.sessions.open(under.host, 30)
    work = threading.Thread(target=_swallow, args=(session, tx.begin("0123456789abcdef")), daemon=True)
    work.start()
    for _ in range(60):
        if under.root("pgrep -f labslow.postinst || :").strip():
            break
        time.sleep(0.5)
    session.close()
    time.sleep(14)
    assert version(under, "labslow") == ["2.0", "ii"]
    assert under.state(tx) in {TxState.CONFIRMED, TxState.UNFINISHED}
    assert under.plan(item) == {"a": ()}


def _swallow(session, script):
    with contextlib.suppress(AgentError, OSError, EOFError):
        session.run(Command(script, privileged=True, deadline=120.0))


def test_a_kernel_comes_by_its_metapackage_and_is_not_started(under):
    under.root(REFRESH)
    item = Item("a", "package", {"linux-image-9.9.9-1-lab": "9.9.9-2"})
    (step,) = under.steps(item)
    assert step.name == "linux-image-lab"
    assert Risk.REBOOT in step.risk
    assert "不重启" in step.note
    _, begun = upgraded(under, item, planned=[step])
    assert not begun.failed, begun
    assert version(under, "linux-image-9.9.9-2-lab") == ["9.9.9-2", "ii"]
    assert version(under, "linux-image-9.9.9-1-lab") == ["9.9.9-1", "ii"]
    assert under.plan(item) == {"a": ()}
    under.root("apt-get -y -qq remove linux-image-lab >/dev/null")


def test_a_package_goes_and_comes_back_by_both_ways(under):
    under.root(
        "apt-get -y -qq remove labneeds >/dev/null; rm /srv/labpkgs/labneeds*; echo 'one=changed' >/etc/labwanted.conf"
    )
    item = Item("a", "package_absent", {"absent": True}, {"names": ["labnone"], "programs": ["labwanted"]})
    weak = under.manifest(MORE)
    assert "labwanted.service" in weak
    (step,) = under.steps(item)
    assert {("unit", "labwanted.service"), ("unit", "labport.socket")} <= {
        (one.kind, one.args[0]) for one in step.handles
    }
    tx = under.harden(item)
    assert "labwanted.service" not in under.manifest(MORE)
    assert under.root("ls /usr/bin/labwanted 2>/dev/null || cat /etc/labwanted.conf").strip() == "one=changed"
    under.root("rm /srv/labpkgs/labwanted*")  # it comes back from what was captured
    under.revert(tx)
    assert differences(weak, under.manifest(MORE)) == []
    under.root("cd /srv/labpkgs && cp $(ls /var/lib/secops-agent/tx/" + tx.id + "/*.cap/*.deb) .")
    second = under.transaction([item], under.steps(item))
    assert not under.begin(second).failed
    assert under.undo(second) is TxState.UNDONE
    assert differences(weak, under.manifest(MORE)) == []


def test_a_removal_that_takes_others_along_or_closes_a_declared_port_is_refused(under):
    absent = Item("a", "package_absent", {"absent": True}, {"names": ["labwanted"]})
    assert under.plan(absent)["a"] == Skip(Why.UNSAFE, "卸载 labwanted 会连带移除：labneeds")
    both = Item("a", "package_absent", {"absent": True}, {"names": ["labwanted", "labneeds"]})
    assert [step.name for step in under.steps(both)] == ["labneeds", "labwanted"]
    under.root("apt-get -y -qq remove labneeds >/dev/null")
    for port in ("tcp/2323", "tcp/2324"):
        declared = Item("a", "package_absent", {"absent": True}, {"names": ["labwanted"], "listeners": [port]})
        found = under.plan(declared)["a"]
        assert isinstance(found, Skip), port
        assert f"labwanted（{port}）" in found.text
    (step,) = under.steps(absent)
    assert "tcp/2323、tcp/2324" in step.note
    assert Risk.APP_BREAK in step.risk
    sshd = Item("a", "package_absent", {"absent": True}, {"programs": ["sshd"], "listeners": ["tcp/22"]})
    assert under.plan(sshd)["a"] == Skip(Why.UNSAFE, "系统赖以运行，不卸载：openssh-server")


def test_what_cannot_be_had_again_is_removed_for_good_and_says_so(under):
    under.root(
        "rm /srv/labpkgs/labclash* /var/cache/apt/archives/labclash*; cd /srv/labpkgs; for f in *.deb; do dpkg-deb -f $f; echo Filename: ./$f; echo Size: $(stat -c %s $f); echo SHA256: $(sha256sum $f | cut -d' ' -f1); echo; done >Packages; "
        + REFRESH
    )
    item = Item("a", "package_absent", {"absent": True}, {"names": ["labclash"]})
    (step,) = under.steps(item)
    assert "不能自动装回" in step.irreversible
    _, begun = upgraded(under, item, planned=[step])
    assert begun.state is TxState.CONFIRMED
    assert under.plan(item) == {"a": ()}
