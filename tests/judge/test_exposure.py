from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agent.judge import weak
from agent.judge.exposure import judge
from agent.model.asset import Host
from agent.model.facts import HostFacts, Listener, NetworkFacts, Port
from agent.model.severity import Severity

ALGOS = """
  kex_algorithms: (4)
      curve25519-sha256@libssh.org
      diffie-hellman-group14-sha1
      diffie-hellman-group14-sha256
      kex-strict-s-v00@openssh.com
  server_host_key_algorithms: (3)
      rsa-sha2-512
      ssh-ed25519
      ssh-rsa
  encryption_algorithms: (2)
      aes128-cbc
      aes256-gcm@openssh.com
  mac_algorithms: (3)
      hmac-sha1-96
      hmac-sha2-256-etm@openssh.com
      hmac-sha1
  compression_algorithms: (2)
      none
      zlib@openssh.com"""
CIPHERS = """
  TLSv1.0:
    ciphers:
      TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA (ecdh_x25519) - A
      TLS_RSA_WITH_3DES_EDE_CBC_SHA (rsa 2048) - C
    cipher preference: client
  TLSv1.2:
    ciphers:
      TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 (ecdh_x25519) - A
  least strength: C"""
CERT = "Subject: commonName=x\nNot valid before: 2020-01-01T00:00:00\nNot valid after:  2021-01-01T00:00:00"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def facts(*listeners, **unseen) -> HostFacts:
    return HostFacts(
        target="web-01",
        os_id="",
        os_version="",
        os_name="",
        family="",
        kernel="",
        kernels=(),
        packages=(),
        pending=(),
        lists_age_days=None,
        listeners=listeners,
        accounts=(),
        instances=(),
        reboot_required=None,
        stale_libraries=(),
        subjects=(),
        unseen=unseen,
    )


def tcp(port, process="", address="0.0.0.0") -> Listener:
    return Listener("tcp", address, port, process, 4711)


def network(*ports, scanned="1-10000", **more) -> NetworkFacts:
    return NetworkFacts("web-01", "10.66.0.1", up=True, ports=ports, scanned=scanned, **more)


def rows(found):
    return {(one.check, one.location) for one in found}


DECLARED = Host("web-01", "10.66.0.1", listeners=("tcp/22", "tcp/80"))


def test_unexpected_and_absent_listeners():
    found = judge(DECLARED, facts(tcp(22), tcp(8081, "python3"), tcp(9000, address="127.0.0.1")), None, (3,))
    assert rows(found) == {("EXP-LISTENER", "tcp/8081"), ("EXP-ABSENT", "tcp/80")}
    assert {one.evidence for one in found} == {(3,)}
    assert "python3" in next(one for one in found if one.check == "EXP-LISTENER").actual


def test_twin_with_what_is_declared_has_no_finding():
    ports = network(Port("tcp", 22, "open", "ssh"), Port("tcp", 80, "open", "http"))
    assert judge(DECLARED, facts(tcp(22), tcp(80, address="::")), ports, (), NOW) == []


def test_nothing_declared_means_nothing_is_unexpected():
    assert judge(Host("web-01", "10.66.0.1"), facts(tcp(8081)), None, ()) == []


def test_locations_hold_no_pid_and_no_address():
    one, other = (
        judge(DECLARED, facts(tcp(22), tcp(80), Listener("tcp", address, 8081, "x", pid)), None, ())[0].key
        for address, pid in (("0.0.0.0", 1), ("10.66.0.1", 2))
    )
    assert one == other


def test_udp_of_clients_is_left_alone():
    found = judge(
        DECLARED, facts(tcp(22), tcp(80), Listener("udp", "0.0.0.0", 51413), Listener("udp", "::", 111)), None, ()
    )
    assert rows(found) == {("EXP-LISTENER", "udp/111")}


def test_a_host_that_was_not_reached_is_judged_by_the_network_alone():
    found = judge(DECLARED, None, network(Port("tcp", 8081, "open"), Port("tcp", 22, "open")), ())
    assert rows(found) == {("EXP-LISTENER", "tcp/8081")}
    unseen = facts(ss="timed out on the host")
    assert rows(judge(DECLARED, unseen, network(Port("tcp", 22, "open"), Port("tcp", 80, "open")), ())) == set()


@pytest.mark.parametrize(
    ("listeners", "ports", "scanned", "severity"),
    [
        ((), (Port("tcp", 4444, "open"),), "1-10000", Severity.HIGH),
        ((tcp(4444),), (Port("tcp", 4444, "filtered"),), "1-10000", Severity.INFO),
        ((tcp(4444),), (Port("tcp", 4444, "closed"),), "1-10000", Severity.LOW),
        ((tcp(4444),), (), "1-10000", Severity.LOW),
        ((tcp(4444),), (), "1-1000", None),
        ((tcp(4444, address="10.9.9.9"),), (), "1-10000", None),
        ((tcp(4444, address="127.0.0.1"),), (), "1-10000", None),
    ],
)
def test_views_that_disagree(listeners, ports, scanned, severity):
    found = judge(Host("web-01", "10.66.0.1"), facts(*listeners), network(*ports, scanned=scanned), ())
    assert [(one.check, one.location, one.severity) for one in found] == [("EXP-MISMATCH", "tcp/4444", severity)] * (
        severity is not None
    )


def test_a_scan_that_was_cut_off_claims_no_closed_port():
    assert judge(Host("web-01", "10.66.0.1"), facts(tcp(4444)), network(timed_out=True), ()) == []


@pytest.mark.parametrize(
    ("listener", "port", "title"),
    [
        (tcp(23, "in.telnetd"), None, "Telnet"),
        (tcp(23, "inetd"), None, "Telnet"),
        (tcp(2121, "vsftpd"), None, "FTP"),
        (tcp(514, "rsyslogd"), None, ""),
        (tcp(21, "nginx"), None, ""),
        (None, Port("tcp", 2323, "open", "telnet"), "Telnet"),
        (None, Port("tcp", 992, "open", "ssl/telnet"), ""),
        (Listener("udp", "0.0.0.0", 69, "in.tftpd"), None, "TFTP"),
    ],
)
def test_clear_text_services(listener, port, title):
    listeners = [listener] if listener else [tcp(port.port)]
    found = judge(Host("web-01", "10.66.0.1"), facts(*listeners), network(port) if port else None, ())
    assert [one.title.split()[1] for one in found if one.check == "EXP-CLEARTEXT"] == [title] * bool(title)


def test_weak_ssh_and_tls_as_the_network_sees_them():
    ports = network(
        Port("tcp", 22, "open", "ssh", scripts={"ssh2-enum-algos": ALGOS}),
        Port("tcp", 443, "open", "https", scripts={"ssl-enum-ciphers": CIPHERS, "ssl-cert": CERT}),
    )
    found = judge(Host("web-01", "10.66.0.1"), facts(tcp(22), tcp(443)), ports, (), NOW)
    assert rows(found) == {("EXP-SSH-WEAK", "tcp/22"), ("EXP-TLS-WEAK", "tcp/443"), ("EXP-TLS-CERT", "tcp/443")}
    assert not [one for one in judge(Host("web-01", "x"), None, ports, ()) if one.check == "EXP-TLS-CERT"]


def test_only_weak_algorithms_are_named():
    assert weak.ssh(ALGOS) == ("aes128-cbc", "diffie-hellman-group14-sha1", "hmac-sha1-96", "ssh-rsa")
    assert weak.ssh(ALGOS.replace("aes128-cbc", "aes128-ctr").replace("-sha1\n", "-sha512\n")) == (
        "hmac-sha1-96",
        "ssh-rsa",
    )
    assert weak.tls(CIPHERS) == (("TLSv1.0",), ("TLS_RSA_WITH_3DES_EDE_CBC_SHA",))
    assert weak.tls(CIPHERS.partition("TLSv1.2")[2]) == ((), ())
    assert weak.expiry(CERT) == datetime(2021, 1, 1, tzinfo=UTC)
    assert weak.expiry("Not valid after: 2021-99-01T00:00:00") is None
