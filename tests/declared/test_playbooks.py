"""Playbooks are read strictly: each mistake is refused with file, line, field and remedy."""

from __future__ import annotations

import textwrap

import pytest

from agent.declared.clauses import CLAUSES
from agent.declared.playbooks import load_playbooks, shipped_playbooks
from agent.model.errors import DeclaredError
from agent.model.severity import Severity

HEAD = "schema_version: 1\ntarget: linux\ncontrols:\n"
ENTRY = """\
- id: LIN-T-01
  title: 口令最小长度
  clause: 8.1.4.1-a
  severity: high
  read: {table: pwquality, keys: [minlen]}
  expect: {op: ge, value: 18, absent: fail}
"""


def write(folder, text, name="linux.yaml"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def refused(folder, text):
    with pytest.raises(DeclaredError) as caught:
        load_playbooks([write(folder, text)])
    assert caught.value.remedy
    return caught.value


def test_a_control_as_it_is_written(tmp_path):
    text = HEAD + ENTRY + textwrap.indent("risk: [lockout]\nfix: {resource: pwquality, want: {minlen: 18}}\n", "  ")
    (one,) = load_playbooks([write(tmp_path / "p", text)])
    assert (one.id, one.severity, one.target, one.unit) == ("LIN-T-01", Severity.HIGH, "linux", "L3-CES1-01")
    assert (one.read.kind, one.read.table, one.read.keys) == ("table", "pwquality", ("minlen",))
    assert (one.expect.op, one.expect.value, one.expect.absent) == ("ge", 18, "fail")
    assert one.fix == {"resource": "pwquality", "want": {"minlen": 18}, "apply": "none"}
    assert one.source == f"{tmp_path}/p/linux.yaml:4"


def test_kv_hands_absent_down_and_names_its_keys(tmp_path):
    text = HEAD + ENTRY.replace("{table: pwquality, keys: [minlen]}", "{table: pwquality}").replace(
        "{op: ge, value: 18, absent: fail}",
        "{op: kv, absent: fail, keys: {a: {op: ge, value: 1}, b: {op: eq, value: no, absent: pass}}}",
    )
    (one,) = load_playbooks([write(tmp_path / "p", text)])
    assert one.read.keys == ("a", "b")
    assert [sub.absent for sub in one.expect.keys.values()] == ["fail", "pass"]
    assert one.expect.keys["b"].value == "no"


def test_a_workspace_overrides_by_file_name(tmp_path):
    shipped = write(tmp_path / "shipped", HEAD + ENTRY)
    write(shipped, HEAD + ENTRY.replace("LIN-T-01", "LIN-T-02"), "other.yaml")
    own = write(tmp_path / "own", HEAD + ENTRY.replace("18", "12"))
    controls = load_playbooks([shipped, own, tmp_path / "none"])
    assert {one.id: one.expect.value for one in controls} == {"LIN-T-01": 12, "LIN-T-02": 18}


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("severity: high", "severity: high\n  serverity: low", 8, "unknown key"),
        ("severity: high", "severity: info", 4, "severity"),
        ("severity: high", "severity: worst", 7, "severity"),
        ("clause: 8.1.4.1-a", "clause: 8.1.4.1-z", 4, "8.1.4.1-z"),
        ("clause: 8.1.4.1-a", "clause: 8.1.4.1-a\n  unit: L3-CES1-02", 4, "unit"),
        ("id: LIN-T-01", "id: lin-t-1", 4, "id"),
        ("keys: [minlen]", "sh: x", 8, "exactly one"),
        ("{table: pwquality, keys: [minlen]}", "{keys: [a], sh: x}", 8, "keys belong"),
        ("{table: pwquality, keys: [minlen]}", "{sql: SELECT 1}", 8, "cannot be read so"),
        ("op: ge, value: 18", "op: gt, value: 18", 9, "op"),
        ("op: ge, value: 18", "op: ge, value: x", 9, "needs an integer"),
        ("op: ge, value: 18", "op: ge, value: true", 9, "value"),
        ("op: ge, value: 18", "op: between, value: [30, 1]", 9, "low, high"),
        ("op: ge, value: 18", "op: in, value: x", 9, "needs a list"),
        ("op: ge, value: 18", "op: in, value: []", 9, "needs a list"),
        ("op: ge, value: 18", "op: regex, value: '('", 9, "regular expression"),
        ("op: ge, value: 18", "op: empty, value: 1", 9, "takes no value"),
        ("op: ge, value: 18", "op: mode_max, value: rw-", 9, "octal"),
        ("op: ge, value: 18", "op: kv", 9, "keys belong to kv"),
        ("op: ge, value: 18", "op: all", 9, "every belongs"),
        ("op: ge, value: 18", "op: eq, value: a, allow_empty: true", 9, "allow_empty"),
        ("op: ge, value: 18", "op: kv, keys: {maxlen: {op: empty}}", 4, "not read"),
        ("severity: high", "severity: high\n  applies: {version: 12+}", 8, "version"),
        ("severity: high", "severity: high\n  risk: [boom]", 8, "risk"),
        ("severity: high", "severity: high\n  fix: {want: 1}", 8, "resource"),
        ("severity: high", "severity: high\n  severity: low", 8, "twice"),
        ("title: 口令最小长度", "title: !!python/object:os.system x", 5, "tag"),
        ("title: 口令最小长度", "title: &a x\n  remedy: *a", 5, "anchor"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, line, word):
    text = HEAD + ENTRY
    assert old in text
    error = refused(tmp_path / "p", text.replace(old, new))
    assert f"linux.yaml:{line}" in str(error)
    assert word in str(error)


def test_duplicate_ids_name_both_places(tmp_path):
    error = refused(tmp_path / "p", HEAD + ENTRY + ENTRY)
    assert "linux.yaml:10: controls[1].id" in error.where
    assert "linux.yaml:4" in error.message
    write(tmp_path / "q", HEAD + ENTRY, "a.yaml")
    with pytest.raises(DeclaredError, match=r"a\.yaml:4"):
        load_playbooks([write(tmp_path / "q", HEAD + ENTRY, "b.yaml")])


def test_sql_is_one_select(tmp_path):
    head = HEAD.replace("linux", "mysql")
    entry = ENTRY.replace("{table: pwquality, keys: [minlen]}", '{sql: "DROP TABLE x"}')
    assert "one SELECT" in str(refused(tmp_path / "p", head + entry))
    entry = entry.replace("DROP TABLE x", "SELECT 1; DELETE FROM x")
    assert "one SELECT" in str(refused(tmp_path / "p", head + entry))
    assert load_playbooks([write(tmp_path / "p", head + entry.replace("; DELETE FROM x", ""))])


@pytest.mark.parametrize("text", ["", "[]", "schema_version: 2\ntarget: linux\ncontrols: []\n", HEAD])
def test_not_a_playbook(tmp_path, text):
    refused(tmp_path / "p", text)


def test_no_playbook_at_all(tmp_path):
    with pytest.raises(DeclaredError, match="no playbook"):
        load_playbooks([tmp_path])


def test_what_is_shipped():
    controls = load_playbooks([shipped_playbooks()])
    linux = [one for one in controls if one.target == "linux"]
    assert len(linux) >= 62
    assert {one.clause for one in controls} <= set(CLAUSES)
    assert all(one.remedy and one.fix.get("resource") for one in linux)
