"""RPM module streams: which advisories speak of the stream that a package was built in (rule 4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.model.advisory import Affected
    from agent.model.facts import Package

_BUILT = ".module"
"""What a modular build has in its release: `-1.module+el8.9.0+21137+cce6`."""
_CONTEXT = re.compile(r"\.module[_+][a-z]*[\d.]*\+\d+\+[0-9a-f]+")
Enabled = Mapping[str, bool]
"""Module streams such as `nodejs:18`: those that are enabled, and those that are surely not."""


def built_in_module(version: str) -> bool:
    """Whether a version is that of a modular build."""
    return _BUILT in version


def plain(version: str) -> str:
    """A modular version without its build context, which says when and where it was built, not what.

    What follows the context counts: `-43.module+el8.5.0+14530+6f259f31.3` is two fixes after `...+13806+b30d9eec.1`.
    """
    cut = _CONTEXT.sub("", version)
    return cut if cut != version else version.partition(_BUILT)[0]


def _context(version: str) -> str:
    hit = _CONTEXT.search(version)
    return hit[0] if hit else ""


def _upstream(version: str) -> str:
    return version.rpartition(":")[2].partition("-")[0]


@lru_cache(maxsize=4096)
def _number(stream: str) -> str:
    """`18` of `nodejs:18`; empty for a stream whose name is no version."""
    number = stream.partition(":")[2]
    return number if re.fullmatch(r"\d+(?:\.\d+)*", number) else ""


def _of_series(number: str, version: str) -> bool:
    upstream = _upstream(version)
    return upstream == number or upstream.startswith(f"{number}.")


def enabled(packages: Iterable[Package], rows: Mapping[str, Sequence[Affected]]) -> dict[str, bool]:
    """Streams of a system, told by its labels, else by what its packages are: of a module one stream is enabled.

    Without labels each modular package votes for the streams that may have brought it: those that bear its series
    (`postgresql-server` 13.7 is of `postgresql:13`), and those that an advisory lists with the same build or version.

    Args:
        packages: all that are installed.
        rows: what advisories say of each, by its name.
    """
    modular = [one for one in packages if one.module or built_in_module(one.version)]
    labelled = {":".join(one.module.split(":")[:2]) for one in modular if one.module}
    votes: dict[str, int] = {}
    for package in modular:
        if package.module:
            continue
        streams: dict[str, list[Affected]] = {}
        for row in rows.get(package.name, ()):
            for stream in row.modules:
                streams.setdefault(stream, []).append(row)
        for stream, said in streams.items():
            votes[stream] = votes.get(stream, 0) + _vote(package, stream, said)
    return _told(votes, labelled)


def _told(votes: Mapping[str, int], labelled: set[str]) -> dict[str, bool]:
    """Of a module the labelled stream, else the one with the most votes, else the only one that is known.

    Where nothing speaks for any of several, nothing is said of them.
    """
    known = {stream.partition(":")[0] for stream in labelled}
    counts: dict[str, list[int]] = {}
    for stream, count in votes.items():
        counts.setdefault(stream.partition(":")[0], []).append(count)
    told = dict.fromkeys(labelled, True)
    for stream, count in votes.items():
        every = counts[stream.partition(":")[0]]
        if stream.partition(":")[0] in known:
            told[stream] = stream in labelled
        elif count < 0 or len(every) == 1 or max(every) > 0:
            told[stream] = count >= 0 and count == max(every)
    return told


def _vote(package: Package, stream: str, said: Sequence[Affected]) -> int:
    """How much a package speaks for one stream, or against it, by what advisories of that stream say of it."""
    fixes = [row.fixed for row in said if row.fixed]
    number, context, version = _number(stream), _context(package.version), plain(package.version)
    count = 0
    if number and fixes and all(_of_series(number, one) for one in fixes):
        count += 2 if _of_series(number, package.version) else -2
    if context and any(_context(one) == context for one in fixes):
        count += 2
    return count + any(_bare(plain(one)) == _bare(version) for one in fixes)


def _bare(version: str) -> str:
    return version.rpartition(":")[2]


def agree(package: Package, row: Affected, on: Enabled) -> bool:
    """Whether a row speaks of the module stream of the package, or both know no module.

    Args:
        package: installed; its label is `name:stream:version:context`.
        row: of an advisory.
        on: what `enabled` says of the package's system.
    """
    modular = row.modular or bool(row.modules) or built_in_module(row.fixed)
    if modular != (bool(package.module) or built_in_module(package.version)):
        return False
    if not (modular and row.modules):
        return not modular or _near(package, row)
    if package.module:
        return ":".join(package.module.split(":")[:2]) in row.modules
    known = [on[one] for one in row.modules if one in on]
    return any(known) if known else _near(package, row)


def _near(package: Package, row: Affected) -> bool:
    """Without a stream to compare, the same upstream series is the best sign of the same stream."""
    if not row.fixed:
        return True
    one, two = _upstream(package.version).split("."), _upstream(row.fixed).split(".")
    return one[:1] == two[:1]
