"""Sessions against a real sshd: what they answer, and each way in which they fail."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import replace

import pytest

from agent.model.asset import Host
from agent.model.errors import UnreachedError
from agent.model.session import Command


def fails(call, reason: str) -> UnreachedError:
    with pytest.raises(UnreachedError) as caught:
        call()
    assert caught.value.reason == reason, caught.value
    return caught.value


def test_streams_and_exit_code_come_back_as_bytes(opened):
    result = opened.run(Command("printf 'a\\377b'; echo wrong >&2; exit 7"))
    assert (result.rc, result.stdout, result.stderr) == (7, b"a\xffb", b"wrong\n")


def test_the_banner_names_the_server(opened):
    assert opened.banner.startswith("SSH-2.0-OpenSSH")


def test_one_connection_serves_several_runs(opened):
    peers = {opened.run(Command("echo $SSH_CONNECTION")).stdout for _ in range(3)}
    assert len(peers) == 1


def test_a_script_larger_than_the_window_and_a_large_answer(opened):
    script = "# filler\n" * 400_000 + "head -c 6000000 /dev/zero; head -c 3000000 /dev/zero >&2\n"
    result = opened.run(Command(script, deadline=60))
    assert (len(result.stdout), len(result.stderr)) == (6_000_000, 3_000_000)


def test_the_script_is_in_no_argument_list(opened):
    result = opened.run(Command("# very-special-word\ntr '\\0' ' ' < /proc/$$/cmdline; cat /proc/$PPID/cmdline"))
    assert b"sh -s" in result.stdout
    assert b"very-special-word" not in result.stdout


def test_privileged_needs_no_sudo_for_root(sshd, workspace):
    host = replace(sshd.host, user="root")
    assert not workspace(host).plan(host, privileged=True).sudo


@pytest.mark.parametrize("script", ["yes", "yes >&2"])
def test_too_much_output_ends_at_the_limit(opened, script):
    fails(lambda: opened.run(Command(script, limit=100_000, deadline=20)), "too-much-output")


def test_a_script_that_never_ends_times_out_and_is_ended_there(opened, sshd, workspace):
    began = time.monotonic()
    fails(lambda: opened.run(Command("echo begun; exec sleep 4711.5", deadline=1)), "timeout")
    assert time.monotonic() - began < 3
    other = workspace(sshd.host, key=sshd.folder / "user")
    with other.open(sshd.host, 10) as session:
        for _ in range(80):
            left = session.run(Command("grep -l 4711.5 /proc/[0-9]*/cmdline 2>/dev/null")).stdout
            left = session.run(
                Command("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '[s]leep 4711.5'")
            )
            if left.stdout.strip() == b"0":
                break
            time.sleep(0.1)
        assert left.stdout.strip() == b"0"


def test_a_drip_of_output_does_not_extend_the_deadline(opened):
    began = time.monotonic()
    fails(lambda: opened.run(Command("while :; do echo .; sleep 0.1; done", deadline=1.5)), "timeout")
    assert time.monotonic() - began < 3


def test_a_connection_that_dies_in_mid_answer_is_broken_off(opened):
    script = (
        "echo half; p=$$; until grep -q sshd /proc/$p/comm; do p=$(awk '/^PPid/{print $2}' /proc/$p/status); done\n"
    )
    fails(lambda: opened.run(Command(script + "kill -9 $p; sleep 5", deadline=10)), "broken-off")


def test_a_shell_killed_by_a_signal_is_broken_off(opened):
    result = fails(lambda: opened.run(Command("kill -9 $PPID $$; sleep 5", deadline=10)), "broken-off")
    assert result.where == "target"


def test_a_refused_connection(workspace, free_port):
    host = Host("gone", "127.0.0.1", port=free_port)
    error = fails(lambda: workspace(host).open(host, 5), "refused")
    assert error.where == "gone"


def test_a_name_that_does_not_resolve(workspace):
    host = Host("gone", "no-such-host.invalid")
    fails(lambda: workspace(host).open(host, 5), "unreachable")


@pytest.mark.parametrize(
    ("manners", "reason"),
    [
        pytest.param(lambda _: time.sleep(5), "timeout", id="silent"),
        pytest.param(lambda peer: peer.sendall(b"SSH-2.0-x\r\n") or time.sleep(5), "timeout", id="silent-after-banner"),
        pytest.param(lambda peer: peer.close(), "broken-off", id="hangs-up"),
        pytest.param(lambda peer: peer.sendall(b"SSH-2.0-x\r\n\0\0"), "broken-off", id="half-a-packet"),
        pytest.param(lambda peer: peer.sendall(b"HTTP/1.1 400 Bad\n" * 200), "garbled", id="not-ssh"),
        pytest.param(lambda peer: [peer.sendall(b"A" * 65536) for _ in range(1000)], "garbled", id="endless-line"),
    ],
)
def test_servers_without_manners(misbehaving, workspace, manners, reason):
    host = misbehaving(manners)
    began = time.monotonic()
    fails(lambda: workspace(host).open(host, 1.0), reason)
    assert time.monotonic() - began < 2


def test_a_drip_before_the_banner_does_not_extend_the_deadline(misbehaving, workspace):
    def drip(peer: socket.socket) -> None:
        for _ in range(60):
            peer.sendall(b"S")
            time.sleep(0.1)

    host = misbehaving(drip)
    began = time.monotonic()
    fails(lambda: workspace(host).open(host, 1.0), "timeout")
    assert time.monotonic() - began < 2


def test_a_reset_connection_is_broken_off(misbehaving, workspace):
    def reset(peer: socket.socket) -> None:
        peer.recv(10)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    host = misbehaving(reset)
    fails(lambda: workspace(host).open(host, 2.0), "broken-off")


def test_an_unknown_host_key_is_refused_and_shown(sshd, workspace):
    sessions = workspace(sshd.host, key=sshd.folder / "user")
    error = fails(lambda: sessions.open(sshd.host, 10), "host-key-unknown")
    assert sshd.key.fingerprint in error.message
    assert not sessions.pins.path.exists()


def test_a_changed_host_key_is_refused_with_both_fingerprints(sshd, workspace, tmp_path, keygen):
    other = keygen(tmp_path / "other")
    sessions = workspace(sshd.host, key=sshd.folder / "user", pins=[(sshd.host, other)])
    error = fails(lambda: sessions.open(sshd.host, 10), "host-key-changed")
    assert sshd.key.fingerprint in error.message
    assert other.fingerprint in error.message


def test_a_key_of_another_type_than_the_pinned_is_never_taken(sshd, workspace, tmp_path, keygen):
    other = keygen(tmp_path / "other", "ecdsa")
    sessions = workspace(sshd.host, key=sshd.folder / "user", pins=[(sshd.host, other)])
    error = fails(lambda: sessions.open(sshd.host, 10), "host-key-changed")
    assert other.fingerprint in error.message


def test_a_foreign_user_key_is_refused(sshd, workspace, tmp_path, keygen):
    keygen(tmp_path / "foreign")
    sessions = workspace(sshd.host, key=tmp_path / "foreign", pins=[(sshd.host, sshd.key)])
    fails(lambda: sessions.open(sshd.host, 10), "auth-failed")


def test_a_server_that_takes_no_password_says_so(sshd, workspace):
    host = replace(sshd.host, auth="password")
    sessions = workspace(host, text="hosts: {target: {login: 'guess'}}", pins=[(host, sshd.key)])
    error = fails(lambda: sessions.open(host, 10), "auth-failed")
    assert "publickey" in error.message


def test_a_missing_credential(sshd, workspace):
    sessions = workspace(sshd.host, text="hosts: {}", pins=[(sshd.host, sshd.key)])
    fails(lambda: sessions.open(sshd.host, 10), "credential-missing")


def test_no_common_algorithms(start_sshd, workspace):
    old = start_sshd("Ciphers=aes128-cbc")
    sessions = workspace(old.host, key=old.folder / "user", pins=[(old.host, old.key)])
    error = fails(lambda: sessions.open(old.host, 10), "no-common-algorithms")
    assert "cipher" in error.message


def test_a_hostile_identification_string_does_no_harm(start_sshd, workspace):
    odd = start_sshd("VersionAddendum=<script>\x1b[31m{{7*7}} \udcb2\udce2\udcca\udcd4")
    sessions = workspace(odd.host, key=odd.folder / "user", pins=[(odd.host, odd.key)])
    with sessions.open(odd.host, 10) as session:
        assert session.run(Command("echo in")).stdout == b"in\n"
        assert "<script>" in session.banner


def test_transports_that_are_not_there_say_so(workspace):
    host = Host("win", "127.0.0.1", transport="winrm")
    fails(lambda: workspace(host).open(host, 5), "unsupported")


def test_the_local_transport_runs_and_stops_alike(workspace):
    host = Host("me", "localhost", transport="local")
    with workspace(host).open(host, 5) as session:
        result = session.run(Command("echo out; echo err >&2; exit 3"))
        assert (result.rc, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
        assert len(session.run(Command("#" * 300_000 + "\nseq 200000")).stdout) == 1_288_895
        began = time.monotonic()
        fails(lambda: session.run(Command("sleep 60", deadline=0.5)), "timeout")
        fails(lambda: session.run(Command("yes", limit=10_000)), "too-much-output")
        fails(lambda: session.run(Command("kill -9 $PPID $$")), "broken-off")
        assert time.monotonic() - began < 4


# --- bastion and sharing -----------------------------------------------------


def test_hosts_behind_a_bastion_share_its_one_connection(start_sshd, workspace):
    server, guard = start_sshd(), start_sshd()
    gate = replace(guard.host, name="gate")
    inner = replace(server.host, name="inner", bastion="gate")
    text = f"keys: {{gate: {guard.folder / 'user'}, inner: {server.folder / 'user'}}}"
    sessions = workspace(gate, inner, text=text, pins=[(gate, guard.key), (inner, server.key)])
    with sessions.open(inner, 20) as first, sessions.open(gate, 20) as own:
        assert first.run(Command("echo in")).stdout == b"in\n"
        assert own.run(Command("echo at the gate")).stdout == b"at the gate\n"
    seen: list[bytes] = []

    def visit() -> None:
        with sessions.open(inner, 20) as session:
            seen.append(session.run(Command("echo $SSH_CONNECTION")).stdout)

    threads = [threading.Thread(target=visit) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 5
    assert (guard.folder / "log").read_text().count("Accepted publickey") == 1


def test_a_bastion_that_is_down_fails_the_inner_host(sshd, workspace, free_port):
    gate = Host("gate", "127.0.0.1", port=free_port)
    inner = replace(sshd.host, name="inner", bastion="gate")
    sessions = workspace(gate, inner, key=sshd.folder / "user", pins=[(inner, sshd.key)])
    error = fails(lambda: sessions.open(inner, 5), "bastion-failed")
    assert error.where == "inner"
    assert "refused" in error.message


def test_a_bastion_whose_key_is_unknown_is_not_passed(sshd, workspace):
    gate = replace(sshd.host, name="gate")
    inner = Host("inner", "127.0.0.1", port=1, bastion="gate")
    sessions = workspace(gate, inner, key=sshd.folder / "user")
    error = fails(lambda: sessions.open(inner, 5), "bastion-failed")
    assert "host-key-unknown" in error.message


def test_a_port_that_the_bastion_cannot_reach(sshd, workspace, free_port):
    gate = replace(sshd.host, name="gate")
    inner = Host("inner", "127.0.0.1", port=free_port, bastion="gate")
    sessions = workspace(gate, inner, key=sshd.folder / "user", pins=[(gate, sshd.key)])
    fails(lambda: sessions.open(inner, 5), "bastion-failed")
    with sessions.open(gate, 5) as session:  # and the bastion itself is none the worse
        assert session.run(Command("echo in")).stdout == b"in\n"


def test_a_silent_host_behind_a_bastion_times_out_and_harms_nobody(sshd, misbehaving, workspace):
    gate = replace(sshd.host, name="gate")
    inner = replace(misbehaving(lambda _: time.sleep(5)), name="inner", bastion="gate")
    sessions = workspace(gate, inner, key=sshd.folder / "user", pins=[(gate, sshd.key)])
    began = time.monotonic()
    fails(lambda: sessions.open(inner, 1.5), "timeout")
    assert time.monotonic() - began < 3
    with sessions.open(gate, 5) as session:
        assert session.run(Command("echo in")).stdout == b"in\n"


# --- ssh-legacy ----------------------------------------------------------------


@pytest.fixture(scope="module")
def old_server(start_sshd):
    return start_sshd(
        "KexAlgorithms=diffie-hellman-group14-sha1",
        "Ciphers=aes128-cbc",
        "MACs=hmac-sha1",
        "HostKeyAlgorithms=ssh-rsa",
        kind="rsa",
    )


def test_a_sha1_server_is_reached_by_the_legacy_transport_only(old_server, workspace):
    modern = old_server.host
    host = replace(modern, transport="ssh-legacy")
    sessions = workspace(host, key=old_server.folder / "user", pins=[(host, old_server.key)])
    fails(lambda: sessions.open(modern, 10), "no-common-algorithms")
    assert sessions.fetch_key(host, 10) == old_server.key
    with sessions.open(host, 20) as session:
        assert session.banner.startswith("SSH-2.0-OpenSSH")
        result = session.run(Command("echo out; echo err >&2; exit 3"))
        assert (result.rc, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
        fails(lambda: session.run(Command("sleep 60", deadline=1)), "timeout")
    with sessions.open(host, 20) as session:
        fails(lambda: session.run(Command("yes", limit=100_000)), "too-much-output")


def test_the_legacy_transport_keeps_to_pins_and_deadline(old_server, workspace, tmp_path, misbehaving, keygen):
    host = replace(old_server.host, transport="ssh-legacy")
    fails(lambda: workspace(host, key=old_server.folder / "user").open(host, 10), "host-key-unknown")
    other = keygen(tmp_path / "other", "rsa")
    sessions = workspace(host, key=old_server.folder / "user", pins=[(host, other)])
    error = fails(lambda: sessions.open(host, 10), "host-key-changed")
    assert other.fingerprint in error.message
    assert old_server.key.fingerprint in error.message
    silent = replace(misbehaving(lambda _: time.sleep(5)), transport="ssh-legacy")
    fails(lambda: workspace(silent, key=old_server.folder / "user").open(silent, 1), "timeout")


def test_the_legacy_transport_refuses_a_foreign_user_key(old_server, workspace, tmp_path, keygen):
    host = replace(old_server.host, transport="ssh-legacy")
    keygen(tmp_path / "foreign")
    sessions = workspace(host, key=tmp_path / "foreign", pins=[(host, old_server.key)])
    fails(lambda: sessions.open(host, 10), "auth-failed")
