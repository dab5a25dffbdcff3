import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.declared import add_exception, load_exceptions
from agent.model.errors import DeclaredError
from agent.model.finding import RiskException

ONE = RiskException("web-01", "LIN-AC-B-01", "", "迁移前保留", "赵六", "2027-03-31", "工单 7")


def test_appending_keeps_what_people_wrote(tmp_path: Path) -> None:
    assert load_exceptions(tmp_path) == ()
    file = tmp_path / "exceptions.yaml"
    file.write_text(
        "# ours\nschema_version: 1\nexceptions:\n# why this one\n"
        "- {target: a, check: b, reason: r, approver: x, expires: 2027-01-01}",
        "utf-8",
    )
    add_exception(tmp_path, ONE)
    assert [row.target for row in load_exceptions(tmp_path)] == ["a", "web-01"]
    assert load_exceptions(tmp_path)[1] == ONE
    assert "# why this one" in file.read_text("utf-8")


@pytest.mark.parametrize("start", ["schema_version: 1\nexceptions: []\n", "{schema_version: 1, exceptions: []}", None])
def test_a_layout_that_cannot_be_appended_to_is_rewritten(tmp_path: Path, start: str | None) -> None:
    if start:
        (tmp_path / "exceptions.yaml").write_text(start, "utf-8")
    add_exception(tmp_path, ONE)
    assert load_exceptions(tmp_path) == (ONE,)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(ONE, expires="soon"),
        replace(ONE, expires="2027-02-30"),
        replace(ONE, approver=""),
        replace(ONE, reason="\x1b[31m"),
        replace(ONE, target="../x"),
        replace(ONE, filed="\ud800"),
        ONE,
    ],
)
def test_a_wrong_or_repeated_exception_leaves_the_file_as_it_was(tmp_path: Path, wrong: RiskException) -> None:
    add_exception(tmp_path, ONE)
    before = (tmp_path / "exceptions.yaml").read_bytes()
    with pytest.raises(DeclaredError):
        add_exception(tmp_path, wrong)
    assert (tmp_path / "exceptions.yaml").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["exceptions.yaml"]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=60), st.text(max_size=30))
def test_any_text_reads_back_or_is_refused(tmp_path: Path, reason: str, location: str) -> None:
    (tmp_path / "exceptions.yaml").unlink(missing_ok=True)
    row = replace(ONE, reason=reason, location=location)
    try:
        add_exception(tmp_path, row)
    except DeclaredError:
        assert load_exceptions(tmp_path) == ()
    else:
        assert load_exceptions(tmp_path) == (row,)


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    rows = [replace(ONE, target=f"h{i}") for i in range(8)]
    threads = [threading.Thread(target=add_exception, args=(tmp_path, row)) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.target for row in load_exceptions(tmp_path)} == {row.target for row in rows}
