"""nmap really run against loopback services, and its XML read in good and in bad shape."""

from __future__ import annotations

import html
import re
import socket
import subprocess
import threading
import unicodedata
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.errors import ToolError
from agent.observe import network, network_ports

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE nmaprun>\n<nmaprun scanner="nmap">\n'
TAIL = '<runstats><finished time="1" exit="success"/><hosts up="1" down="0" total="1"/></runstats>\n</nmaprun>\n'
INFO = '<scaninfo type="syn" protocol="tcp" numservices="2" services="22,80"/>\n'
HOST = """<host {timed}><status state="up" reason="user-set"/><address addr="{address}" addrtype="ipv4"/>
<address addr="00:11:22:33:44:55" addrtype="mac"/><hostnames>{names}</hostnames>
<ports><port protocol="tcp" portid="22"><state state="open" reason="syn-ack"/>
<service name="http" product={product} version="9.2p1" tunnel="ssl" method="probed">
<cpe>cpe:/a:openbsd:openssh:9.2p1</cpe><cpe>cpe:/o:linux:linux_kernel</cpe></service>
<script id="banner" output={output}/></port></ports></host>
"""


def xml(*, product="OpenSSH", output="hello", address="10.0.0.1", timed="", names="") -> bytes:
    host = HOST.format(product=quoteattr(product), output=quoteattr(output), address=address, timed=timed, names=names)
    return (HEAD + INFO + host + TAIL).encode()


@pytest.fixture(scope="module")
def services():
    """Two loopback ports: one that greets with hostile text, one that is an HTTP server."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    answers = (
        b"220 <script>alert(1)</script> \x1b[31m{{7*7}} \xb2\xe2\xca\xd4 ready\r\n",
        b"HTTP/1.0 200 OK\r\nServer: Apache/2.4.1\r\nContent-Length: 2\r\n\r\nhi",
    )

    def serve(listener: socket.socket, answer: bytes, *, greet: bool) -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer:
                try:
                    if not greet:
                        peer.settimeout(5)
                        peer.recv(4096)
                    peer.sendall(answer)
                except OSError:
                    continue

    for number, (listener, answer) in enumerate(zip(listeners, answers, strict=True)):
        threading.Thread(target=serve, args=(listener, answer), kwargs={"greet": number == 0}, daemon=True).start()
    yield [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()


def test_a_real_scan_sees_ports_beyond_the_top_thousand(services):
    raw = network.scan({"me": "127.0.0.1"}, services, polite=False, timeout=120)
    (facts,) = network.parse(raw, {"me": "127.0.0.1", "other": "127.0.0.77"})
    ports = {port.port: port for port in facts.ports}
    assert facts.up
    assert not facts.timed_out
    assert ports[services[0]].state == "open"
    assert "cpe:/a:apache:http_server:2.4.1" in ports[services[1]].cpes
    assert ports[services[1]].version == "2.4.1"
    text = "".join(str(port) for port in facts.ports)
    assert "\x1b" not in text


def test_the_bare_command_is_what_really_ran(services):
    raw = network.scan({"me": "127.0.0.1"}, services, timeout=120, scripts=())
    ran = html.unescape(re.search(rb'args="([^"]*)"', raw).group(1).decode())
    bare = network.bare_command({"me": "127.0.0.1"}, services, timeout=120, scripts=())
    assert sorted(ran.split()[1:]) == sorted(bare[1:])  # nmap tells them with the targets last


def test_a_host_that_takes_too_long_is_timed_out_not_closed():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        raw = network.scan({"me": "127.0.0.1"}, [port], timeout=20, scripts=())
    (facts,) = network.parse(raw, {"me": "127.0.0.1"})
    assert facts.timed_out


def test_a_run_that_takes_too_long_is_an_error():
    with pytest.raises(ToolError, match="did not finish within"):
        network.scan({"me": "127.0.0.1"}, timeout=0.05)


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_the_top_ports_are_those_of_nmap_itself(count):
    told = subprocess.run(
        ["nmap", "-v", "-oG", "-", "--top-ports", str(count)], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(rf"TCP\({count};([^)]*)\)", told).group(1) == network_ports.ranges(network_ports.top(count))


@given(st.sets(st.integers(1, 65535)))
def test_folded_ranges_hold_exactly_the_ports(ports):
    held = set()
    for part in filter(None, network_ports.ranges(ports).split(",")):
        low, _, high = part.partition("-")
        held |= set(range(int(low), int(high or low) + 1))
    assert held == ports


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_numbers_that_are_no_ports_are_refused(port):
    with pytest.raises(ToolError, match="no port"):
        network.bare_command({"a": "10.0.0.1"}, [port])


@pytest.mark.parametrize(
    "script", ["vuln", "dos", "http-slowloris", "ssl-cert,vuln", "banner or vuln", "../evil.nse", "default", ""]
)
def test_scripts_beyond_the_list_are_refused_by_name(script):
    with pytest.raises(ToolError) as caught:
        network.scan({"a": "127.0.0.1"}, scripts=["ssl-cert", script])
    assert script in caught.value.message
    assert "ssl-cert" in caught.value.remedy


@pytest.mark.parametrize(
    "address",
    ["10.0.0.0/8", "10.0.0.1-50", "10.0.*.1", "10.0.0.1,2", "-iL/etc/passwd", "a b", "$(id)", "", "a..b", "host;id"],
)
def test_only_single_addresses_reach_nmap(address):
    with pytest.raises(ToolError, match="single address"):
        network.bare_command({"a": address})


def test_addresses_of_two_families_and_none_at_all_are_refused():
    with pytest.raises(ToolError, match="IPv4 and IPv6"):
        network.bare_command({"a": "10.0.0.1", "b": "fd00::1"})
    with pytest.raises(ToolError, match="no target"):
        network.bare_command({})
    assert "-6" in network.bare_command({"b": "fd00::1"})


def test_polite_is_the_default_and_full_takes_every_port():
    polite, brisk = network.bare_command({"a": "10.0.0.1"}), network.bare_command({"a": "10.0.0.1"}, polite=False)
    assert "-T3" in polite
    assert "--max-rate" in polite
    assert "-T4" in brisk
    assert "1-65535" in network.bare_command({"a": "10.0.0.1"}, full=True)


# --- reading -------------------------------------------------------------------


def test_every_cpe_and_script_is_kept():
    (facts,) = network.parse(xml(), {"web": "10.0.0.1"})
    (port,) = facts.ports
    assert port.cpes == ("cpe:/a:openbsd:openssh:9.2p1", "cpe:/o:linux:linux_kernel")
    assert (port.proto, port.port, port.state, port.service) == ("tcp", 22, "open", "ssl/http")
    assert port.scripts == {"banner": "hello"}
    assert (facts.target, facts.scanned, facts.up, facts.timed_out) == ("web", "22,80", True, False)


def test_hosts_are_told_apart_missing_timed_out_and_named():
    assert network.parse(xml(), {"gone": "10.0.0.2"}) == ()
    (facts,) = network.parse(xml(timed='timedout="true"'), {"slow": "10.0.0.1"})
    assert facts.timed_out
    named = xml(names='<hostname name="web.gov" type="user"/><hostname name="claimed.gov" type="PTR"/>')
    assert [facts.target for facts in network.parse(named, {"a": "web.gov", "b": "claimed.gov"})] == ["a"]
    assert len(network.parse(xml(), {"a": "10.0.0.1", "b": "10.0.0.1"})) == 2


BOMB = b'<!DOCTYPE nmaprun [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        pytest.param(lambda raw: raw[: len(raw) // 2], "line", id="truncated"),
        pytest.param(lambda raw: raw[: raw.index(b"<runstats")] + b"</nmaprun>", "line 3", id="unfinished"),
        pytest.param(lambda raw: raw.replace(b'exit="success"', b'exit="error" errormsg="x"'), "line 3", id="error"),
        pytest.param(lambda raw: raw.replace(b"hello", b"\xb2\xe2"), "line 10, byte", id="not-utf8"),
        pytest.param(lambda raw: raw.replace(b"hello", b"\x00"), "line 10", id="nul"),
        pytest.param(lambda raw: raw.replace(b"<!DOCTYPE nmaprun>", BOMB), "line 2, byte", id="bomb"),
        pytest.param(
            lambda raw: raw.replace(b"<!DOCTYPE nmaprun>", b'<!DOCTYPE nmaprun SYSTEM "file:///etc/passwd">'),
            "line 2, byte",
            id="external",
        ),
        pytest.param(lambda raw: raw.decode().encode("utf-16"), "line 1, byte 0", id="utf-16"),
        pytest.param(
            lambda raw: raw.replace(b"nmaprun", b"other").replace(b"<!DOCTYPE other>", b""), "line 1", id="root"
        ),
        pytest.param(lambda raw: raw.replace(b'portid="22"', b'portid="99999"'), "line 7", id="port"),
        pytest.param(lambda _: b"", "line", id="empty"),
    ],
)
def test_bad_answers_are_errors_that_name_the_place(damage, place):
    with pytest.raises(ToolError) as caught:
        network.parse(damage(xml()), {"web": "10.0.0.1"})
    assert place in caught.value.where
    assert caught.value.remedy


def read(raw: bytes) -> str:
    """Where the declared error says it is; empty when the bytes were read. Any other exception fails the test."""
    try:
        network.parse(raw, {"web": "10.0.0.1"})
    except ToolError as error:
        return error.where
    return ""


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_facts_or_a_declared_error(data):
    where = read(HEAD.encode() + data + TAIL.encode())
    assert where == "" or where.startswith("nmap XML, line ")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_cut_answer_is_always_a_declared_error(data):
    raw = xml()
    cut = data.draw(st.integers(0, len(raw.rstrip()) - 1))
    assert read(raw[:cut]).startswith("nmap XML, line ")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_changed_bytes_are_facts_or_a_declared_error(data):
    raw = bytearray(xml())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    where = read(bytes(raw))
    assert where == "" or where.startswith("nmap XML, line ")


UNSAFE = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
# What XML 1.0 can carry at all; nmap writes every other byte as \xNN.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=[chr(n) for n in range(32)] + ["￾", "￿"]))


@settings(max_examples=300, deadline=None)
@given(product=TEXT, output=TEXT)
def test_hostile_strings_arrive_clean_and_change_nothing_else(product, output):
    (facts,) = network.parse(xml(product=product, output=output), {"web": "10.0.0.1"})
    (port,) = facts.ports
    for text in (port.product, port.scripts["banner"]):
        assert "\x1b" not in text
        bad = [char for char in text if unicodedata.category(char) in UNSAFE and char not in "\n\t"]
        assert not bad, ascii(text)
    assert port.version == "9.2p1"
    assert len(port.cpes) == 2
