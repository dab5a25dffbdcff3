"""The outcome of a round in figures: kept with the run, shown on the terminal, read by reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agent import __version__
from agent.model.advisory import FeedStatus
from agent.model.asset import Layer
from agent.model.observation import Reason, Unreached
from agent.store import runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.app import App

LAYERS_OF = {
    "host": (Layer.HOST, Layer.MIDDLEWARE),
    "database": (Layer.DATABASE,),
    "network": (Layer.NETWORK,),
}
"""Which layers a task of that kind sees."""


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """What was seen of one target."""

    os: str
    seen: tuple[str, ...]
    counts: Mapping[str, int]
    """Verdicts by outcome."""
    subjects: tuple[str, ...]
    evidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The outcome of a round in figures."""

    run: str
    targets: int
    unreached: tuple[Unreached, ...]
    severities: Mapping[str, int]
    """Open findings by grade; what waits for a person or could not be judged is counted in `states`."""
    states: Mapping[str, int]
    verdicts: Mapping[str, int]
    per_target: Mapping[str, TargetSummary]
    notes: tuple[str, ...] = ()
    feeds: tuple[FeedStatus, ...] = ()
    """The store of advisories as it was when this was judged."""
    feeds_digest: str = ""
    agent_version: str = __version__

    @property
    def complete(self) -> bool:
        """Whether every target was seen on every planned layer."""
        return not self.unreached

    def to_dict(self) -> dict[str, Any]:
        """For the run's row and for --json."""
        return asdict(self) | {"complete": self.complete}


def summary_of(app: App, run_id: str) -> Summary:
    """The summary that was kept with a judged run. Raises StoreError when there is no such run."""
    raw = dict(runs.run_by_id(app.store, run_id).summary)
    raw.pop("complete", None)
    raw["unreached"] = tuple(
        Unreached(item["target"], Layer(item["layer"]), Reason(item["reason"]), item["detail"])
        for item in raw["unreached"]
    )
    raw["per_target"] = {name: TargetSummary(**row) for name, row in raw["per_target"].items()}
    raw["feeds"] = tuple(FeedStatus(**{**row, "streams": tuple(row["streams"])}) for row in raw.get("feeds", ()))
    return Summary(**raw)
