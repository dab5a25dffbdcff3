"""RPM module streams: which advisories speak of the stream that a package was built in (rule 4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.model.advisory import Affected
    from agent.model.facts import Package

_BUILT = ".module"
"""What a modular build has in its release: `-1.module+el8.9.0+21137+cce6`."""


def built_in_module(version: str) -> bool:
    """Whether a version is that of a modular build."""
    return _BUILT in version


def plain(version: str) -> str:
    """A modular version without its build context, which says when and where it was built, not what."""
    return version.partition(_BUILT)[0]


def _upstream(version: str) -> str:
    return version.rpartition(":")[2].partition("-")[0]


def _may_be(stream: str, version: str) -> bool:
    """Whether a version may come from a stream such as `nodejs:18`; a stream without a number may hold any."""
    number = stream.partition(":")[2]
    if not re.fullmatch(r"\d+(?:\.\d+)*", number):
        return True
    upstream = _upstream(version)
    return upstream == number or upstream.startswith(f"{number}.")


def agree(package: Package, row: Affected, *, labels: bool) -> bool:
    """Whether a row speaks of the module stream of the package, or both know no module.

    Args:
        package: installed; its label is `name:stream:version:context`.
        row: of an advisory.
        labels: whether the list that the package is from tells labels (a bare `rpm -qa` does not).
    """
    modular = row.modular or bool(row.modules) or built_in_module(row.fixed)
    if modular != (bool(package.module) or built_in_module(package.version)):
        return False
    if not modular:
        return True
    if row.modules and package.module:
        return ":".join(package.module.split(":")[:2]) in row.modules
    if row.modules and not labels:
        # the package that bears the module's name tells the stream; what it carries along has versions of its own
        own = [one for one in row.modules if one.partition(":")[0] == package.name]
        return any(_may_be(one, package.version) for one in own) if own else _near(package, row)
    return _near(package, row)


def _near(package: Package, row: Affected) -> bool:
    """Without a stream to compare, the same upstream series is the best sign of the same stream."""
    if not row.fixed:
        return True
    one, two = _upstream(package.version).split("."), _upstream(row.fixed).split(".")
    return one[:1] == two[:1]
