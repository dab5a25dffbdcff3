"""The network as seen from the ops location: one nmap run over all targets, launched by python-nmap.

python-nmap only starts the program here. Its own reading of the XML keeps the
last CPE alone and fails on truncated answers, so `network_xml` reads it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nmap

from agent.model.errors import ToolError
from agent.model.text import one_line
from agent.observe import network_ports
from agent.observe.network_xml import parse

__all__ = ["ALLOWED", "DEFAULT", "bare_command", "parse", "scan", "technique", "version"]

ALLOWED = frozenset(
    {
        "banner",
        "http-security-headers",
        "http-server-header",
        "http-title",
        "ssh-hostkey",
        "ssh2-enum-algos",
        "ssl-cert",
        "ssl-date",
        "ssl-enum-ciphers",
        "tls-alpn",
    }
)
"""Scripts that only read what a service tells everybody. nmap's `vuln` and `dos` categories never run on production."""
DEFAULT = ("http-security-headers", "ssh2-enum-algos", "ssl-cert", "ssl-enum-ciphers")
TIMEOUT = 900.0
"""Seconds for the whole run."""

_NET_RAW = 1 << 13
# A name with a letter in its last label: nmap reads 10.0.0.1-50, 10.0.0.0/8 and 10.0.*.1 as many hosts.
_NAME = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
# 4,000 packets/s over all targets are some 2 Mbit/s, no burden to a firewall's state table.
_POLITE = "-T3 --max-rate 4000 --max-retries 2 --max-rtt-timeout 1s --initial-rtt-timeout 300ms --max-scan-delay 20ms"
_BRISK = "-T4"


class _Launcher(nmap.PortScanner):  # type: ignore[misc] # the package has no types
    """PortScanner that leaves the answer as it came."""

    errors = ""

    def analyse_nmap_xml_scan(
        self,
        nmap_xml_output: Any = None,  # noqa: ANN401 - the package has no types
        nmap_err: str = "",
        *_keep: object,
        **_more: object,
    ) -> dict[str, object]:
        """Keep the raw answer; see the module's docstring."""
        self._nmap_last_output = nmap_xml_output
        self.errors = nmap_err
        return {}


def _launcher() -> _Launcher:
    try:
        return _Launcher()
    except nmap.PortScannerError as error:
        raise ToolError("nmap is not installed", remedy="apt-get install nmap") from error


def version() -> str:
    """The version of nmap, e.g. `7.93`; empty when it is not installed."""
    try:
        return ".".join(map(str, _launcher().nmap_version()))
    except ToolError:
        return ""


def technique() -> str:
    """`-sS` where raw packets may be sent, else `-sT` (the report says so: rule 10)."""
    return "-sS" if _raw() else "-sT"


def _raw() -> bool:
    sets = dict(
        line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Cap")
    )
    # A child that is not root inherits only ambient capabilities.
    mine = sets.get("CapEff", "0") if os.geteuid() == 0 else sets.get("CapAmb", "0")
    return bool(int(mine, 16) & _NET_RAW)


def _checked(addresses: Iterable[str]) -> tuple[list[str], bool]:
    """The addresses once each, and whether they are IPv6."""
    families = set()
    unique = list(dict.fromkeys(addresses))
    if not unique:
        raise ToolError("no target to scan", remedy="select at least one host with the network layer")
    for address in unique:
        try:
            families.add(ipaddress.ip_address(address).version)
        except ValueError:
            if not _NAME.fullmatch(address):
                raise ToolError(
                    f"{one_line(address, 60)!r} is no single address", remedy="write one IP address or DNS name a host"
                ) from None
            families.add(4)
    if len(families) > 1:
        raise ToolError("IPv4 and IPv6 addresses in one scan", remedy="scan them in two runs (--target or --group)")
    return unique, families == {6}


def _arguments(
    addresses: Iterable[str], ports: Iterable[int], *, full: bool, polite: bool, timeout: float, scripts: Iterable[str]
) -> tuple[str, str, str]:
    """Hosts, ports and options as python-nmap takes them."""
    hosts, six = _checked(addresses)
    wanted = list(dict.fromkeys(scripts))
    foreign = sorted(set(wanted) - ALLOWED)
    if foreign:
        raise ToolError(
            f"not on the list of harmless scripts: {', '.join(one_line(name, 60) for name in foreign)}",
            remedy=f"choose from {', '.join(sorted(ALLOWED))}",
        )
    raw = _raw()
    options = [
        "-6" if six else "",
        "-n -Pn -sV --no-stylesheet",
        "-sS --privileged" if raw else "-sT --unprivileged",
        _POLITE if polite else _BRISK,
        # All hosts side by side, so that a slow one holds nobody up.
        f"--min-hostgroup {min(len(hosts), 256)}",
        f"--host-timeout {max(int(timeout * 0.5), 5)}s --script-timeout 30s",
        f"--script {','.join(wanted)}" if wanted else "",
    ]
    chosen = "1-65535" if full else network_ports.ranges({*network_ports.top(), *ports})
    return " ".join(hosts), chosen, " ".join(option for option in options if option)


def scan(
    targets: Mapping[str, str],
    ports: Iterable[int] = (),
    *,
    full: bool = False,
    polite: bool = True,
    timeout: float = TIMEOUT,
    scripts: Iterable[str] = DEFAULT,
) -> bytes:
    """Scan every address of `targets` (name to address) in one nmap run; return its XML as it came.

    Args:
        targets: inventory name to IP address or DNS name.
        ports: TCP ports united with nmap's 1,000 most frequent ones.
        full: all 65,535 TCP ports.
        polite: bounded rate and -T3, for production; else -T4.
        timeout: seconds for the whole run; a host that takes over half of it is given up (`timed_out`).
        scripts: NSE scripts, from `ALLOWED` only.

    Raises:
        ToolError: nmap is missing, failed or took too long; an address or a script is refused.
    """
    hosts, chosen, options = _arguments(
        targets.values(), ports, full=full, polite=polite, timeout=timeout, scripts=scripts
    )
    launcher = _launcher()
    try:
        launcher.scan(hosts, chosen, options, timeout=timeout)
    except nmap.PortScannerTimeout as error:
        raise ToolError(f"nmap did not finish within {timeout:g} s", remedy="scan fewer hosts at a time") from error
    except (nmap.PortScannerError, UnicodeDecodeError, OSError) as error:
        raise ToolError(f"nmap failed: {one_line(str(error), 300)}") from error
    xml = launcher.get_nmap_last_output()
    if not isinstance(xml, bytes) or b"<nmaprun" not in xml:
        raise ToolError(f"nmap gave no XML: {one_line(launcher.errors, 300)}", remedy="run `agent doctor`")
    return xml


def bare_command(
    targets: Mapping[str, str],
    ports: Iterable[int] = (),
    *,
    full: bool = False,
    polite: bool = True,
    timeout: float = TIMEOUT,
    scripts: Iterable[str] = DEFAULT,
) -> list[str]:
    """The argv that `scan` runs with the same arguments, XML on standard output; for benchmarks."""
    hosts, chosen, options = _arguments(
        targets.values(), ports, full=full, polite=polite, timeout=timeout, scripts=scripts
    )
    return ["nmap", "-oX", "-", *hosts.split(), "-p", chosen, *options.split()]
