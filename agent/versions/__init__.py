"""Version order of every scheme, by univers where it knows the scheme, behind one cached comparison.

On the ground floor, since collectors (which candidate is newer?) and judges (is it fixed?) both need it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from agent.model.advisory import Scheme
from agent.versions import dpkg, generic, rpm, windows

_ORDERS: dict[Scheme, Callable[[str, str], int]] = {
    Scheme.DPKG: dpkg.compare,
    Scheme.RPM: rpm.compare,
    Scheme.GENERIC: generic.compare,
    Scheme.WINDOWS: windows.compare,
}


@lru_cache(maxsize=1 << 18)
def compare(scheme: Scheme, left: str, right: str) -> int:
    """Negative, zero or positive, as `left` is older than, equal to or newer than `right`. Never raises."""
    return _ORDERS[scheme](left, right)
