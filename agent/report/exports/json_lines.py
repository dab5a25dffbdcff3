"""One JSON object a finding, one a line: the shape of `agent findings --json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from agent.model.finding import Finding, Remediation

if TYPE_CHECKING:
    from agent.report.exports.values import Export


# `asdict` copies each value to any depth, at ten times the cost
_FINDING = tuple(each.name for each in fields(Finding))
_UPGRADE = tuple(each.name for each in fields(Remediation))


def shown(finding: Finding) -> dict[str, Any]:
    """A finding as people's programs read it: its key, then its fields."""
    told = {"key": finding.key, **{name: getattr(finding, name) for name in _FINDING}}
    if finding.remediation:
        told["remediation"] = {name: getattr(finding.remediation, name) for name in _UPGRADE}
    return told


def write(export: Export) -> Iterator[str]:
    """The lines, in the run's order."""
    for item in export.items:
        yield json.dumps(shown(item.finding), ensure_ascii=False) + "\n"
