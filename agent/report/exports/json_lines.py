"""One JSON object a finding, one a line: the shape of `agent findings --json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.model.finding import Finding
    from agent.report.exports.values import Export


def shown(finding: Finding) -> dict[str, Any]:
    """A finding as people's programs read it: its key, then its fields."""
    return {"key": finding.key, **asdict(finding)}


def write(export: Export) -> Iterator[str]:
    """The lines, in the run's order."""
    for item in export.items:
        yield json.dumps(shown(item.finding), ensure_ascii=False) + "\n"
