"""Names by which VEX documents call our targets, places and checks: one spelling for who writes and who reads."""

from __future__ import annotations

import re

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~")

CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
TARGET = "urn:secops-agent:target:"
LOCATION = "urn:secops-agent:location:"
CHECK = "urn:secops-agent:check:"
NOTE = "secops-agent exception "
"""Title of the CSAF note of an accepted risk, followed by the product id."""
CSAF_CHECK = "secops-agent check"
"""`system_name` of a check's id in CSAF."""


def quote(text: str, keep: str = "") -> str:
    """Percent-encode all but unreserved characters (RFC 3986, 2.3) and those to keep."""
    kept = _PLAIN | frozenset(keep.encode())
    if kept.issuperset(text.encode(errors="surrogatepass")):
        return text
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode(errors="surrogatepass"))


def unquote(text: str) -> str:
    """Undo `quote`; what is no UTF-8 then is shown as such and matches nothing."""
    raw = text.encode(errors="surrogatepass")
    found = re.sub(rb"%([0-9A-Fa-f]{2})", lambda hit: bytes([int(hit[1], 16)]), raw)
    return found.decode(errors="backslashreplace")


def target(name: str) -> str:
    """The URN of a target; `*` stands for every one."""
    return TARGET + quote(name, "*")


def location(place: str) -> str:
    """The URN of a place on a target."""
    return LOCATION + quote(place)


def check(name: str) -> str:
    """The URN of a check."""
    return CHECK + quote(name)


def target_of(urn: str) -> str:
    """The target that a product id names: our URN, or `pkg:generic/NAME` without version; empty for any other."""
    for prefix in (TARGET, "pkg:generic/"):
        rest = urn.removeprefix(prefix)
        if rest != urn and rest and not set(rest) & set("@/?#:"):
            return unquote(rest)
    return ""


def location_of(urn: str) -> str:
    """The place that an id names; empty when it is none of ours."""
    return unquote(urn.removeprefix(LOCATION)) if urn.startswith(LOCATION) else ""


def check_of(urn: str) -> str:
    """The check that an id names; empty when it is none of ours."""
    return unquote(urn.removeprefix(CHECK)) if urn.startswith(CHECK) else ""
