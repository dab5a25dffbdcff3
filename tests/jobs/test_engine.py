import threading

import pytest

from agent.jobs import Engine
from agent.model.errors import AgentError


def test_registered_tasks_run_on_threads() -> None:
    meet = threading.Barrier(3, timeout=10)

    def work(run_id: str, zone: str) -> str:
        meet.wait()
        return f"{run_id}@{zone}"

    with Engine({"scan": work}, workers=3) as engine:
        futures = [engine.submit("scan", f"r-{i}", "gov") for i in range(3)]
        assert [one.result(10) for one in futures] == ["r-0@gov", "r-1@gov", "r-2@gov"]


def test_a_failure_stays_in_its_future() -> None:
    def broken(_run_id: str, _zone: str) -> str:
        raise AgentError("no")

    with Engine({"scan": broken}) as engine:
        future = engine.submit("scan", "r-1", "")
        with pytest.raises(AgentError, match="no"):
            future.result(10)


@pytest.mark.parametrize(
    ("task", "run_id", "zone"),
    [("nope", "r-1", ""), ("scan", "", ""), ("scan", "pass word", ""), ("scan", "x" * 81, ""), ("scan", "r-1", "a b")],
)
def test_what_is_no_id_is_refused(task: str, run_id: str, zone: str) -> None:
    with Engine({"scan": lambda _r, _z: ""}) as engine, pytest.raises(AgentError):
        engine.submit(task, run_id, zone)
