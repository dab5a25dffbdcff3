"""This machine's own addresses, from the kernel's tables."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from pathlib import Path

from agent.model.errors import ToolError


def _routes(text: str) -> Iterable[str]:
    """Pick the IPv4 addresses that are this machine's own out of /proc/net/fib_trie."""
    last = ""
    for line in text.splitlines():
        hit = re.search(r"\|-- ([0-9.]+)", line)
        if hit:
            last = hit[1]
        elif "/32 host LOCAL" in line:
            yield last


def local_addresses() -> tuple[str, ...]:
    """Return this machine's addresses as the kernel's tables say (loopback and link-local left out), sorted.

    Raises:
        ToolError: the tables cannot be read.
    """
    try:
        found = set(_routes(Path("/proc/net/fib_trie").read_text("ascii")))
        six = Path("/proc/net/if_inet6")
        if six.exists():
            found |= {str(ipaddress.IPv6Address(int(line[:32], 16))) for line in six.read_text("ascii").splitlines()}
    except (OSError, ValueError) as error:
        raise ToolError(
            f"this machine's addresses cannot be read: {error}", where="/proc/net", remedy="mount /proc (Linux only)"
        ) from None
    plain = (ipaddress.ip_address(value) for value in found)
    return tuple(str(one) for one in sorted(plain, key=lambda a: (a.version, a)) if not _everywhere(one))


def _everywhere(one: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return one.is_loopback or one.is_link_local
