import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.declared import add_exception, add_exceptions, load_exceptions
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


def written(tmp_path: Path, entry: str) -> Path:
    file = tmp_path / "exceptions.yaml"
    file.write_text(
        f"schema_version: 1\nexceptions:\n- {{{entry}, reason: r, approver: x, expires: 2027-01-01}}\n", "utf-8"
    )
    return file


def test_an_exception_may_be_about_an_advisory_or_a_cve_on_every_target(tmp_path: Path) -> None:
    written(tmp_path, 'target: "*", cve: cve-2024-3094, justification: component_not_present')
    (row,) = load_exceptions(tmp_path)
    assert (row.target, row.cve, row.subject, row.check) == ("*", "CVE-2024-3094", "CVE-2024-3094", "")
    written(tmp_path, "target: web-01, advisory: DSA-1, location: openssl")
    (row,) = load_exceptions(tmp_path)
    assert (row.subject, row.location, row.justification) == ("DSA-1", "openssl", "")
    add_exception(tmp_path, replace(row, advisory="", cve="CVE-2024-3094"))
    assert len(load_exceptions(tmp_path)) == 2


@pytest.mark.parametrize(
    ("entry", "field", "remedy"),
    [
        ("target: web-01", "exceptions[0]", "write exactly one of `check:`, `advisory:`, `cve:`"),
        ("target: web-01, check: A, cve: CVE-2024-3094", "exceptions[0]", "write exactly one of"),
        ("target: web-01, cve: CNNVD-1", "exceptions[0].cve", "write it as CVE-2024-3094"),
        ("target: web-01, cve: CVE-2024-3094, justification: because", "exceptions[0].justification", "correct"),
        ("target: web-*, check: A", "exceptions[0].target", "use up to 63 letters"),
        ("target: web-01, cves: CVE-2024-3094", "exceptions[0].cves", "did you mean `cve`?"),
    ],
)
def test_what_is_wrong_names_line_field_and_remedy(tmp_path: Path, entry: str, field: str, remedy: str) -> None:
    file = written(tmp_path, entry)
    with pytest.raises(DeclaredError) as caught:
        load_exceptions(tmp_path)
    assert f"{file}:3: {field}" in str(caught.value)
    assert remedy in str(caught.value)


def test_several_are_written_all_or_none(tmp_path: Path) -> None:
    with pytest.raises(DeclaredError):
        add_exceptions(tmp_path, (ONE, replace(ONE, expires="soon")))
    assert load_exceptions(tmp_path) == ()
    rows = tuple(replace(ONE, check="", cve=f"CVE-2026-{number:04}") for number in range(500))
    add_exceptions(tmp_path, rows)
    assert load_exceptions(tmp_path) == rows
