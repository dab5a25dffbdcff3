from datetime import date
from pathlib import Path

import pytest

from agent.declared import load_contract, load_people, schemas
from agent.model.errors import DeclaredError
from agent.model.report import Parties

ROOT = Path(__file__).parents[2]
CONTRACT = "schema_version: 1\nproject: p\ncustomer: c\nvendor: v\nstart: 2026-07-01\nend: 2027-06-30\n"


def test_the_lab_contract_names_its_parties_and_days() -> None:
    contract = load_contract(ROOT)
    assert isinstance(contract, Parties)
    assert (contract.start, contract.end) == (date(2026, 7, 1), date(2027, 6, 30))
    assert contract.project


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("project: p\n", "", "project: is missing"),
        ("vendor: v", "vendor: ''", "vendor"),
        ("end: 2027-06-30", "end: 2026-06-30", "before start"),
        ("end: 2027-06-30", "end: soon", "not a date"),
        ("vendor: v", "vendor: v\nclassification: 秘密★", "classification"),
        ("vendor: v", "vendor: v\nnumber_prefix: a/b", "number_prefix"),
        ("vendor: v", "vendor: v\nsum: 1", "sum: unknown key"),
    ],
)
def test_each_refusal_of_a_contract(tmp_path: Path, old: str, new: str, words: str) -> None:
    (tmp_path / "contract.yaml").write_text(CONTRACT.replace(old, new), "utf-8")
    with pytest.raises(DeclaredError) as caught:
        load_contract(tmp_path)
    assert words in str(caught.value)
    assert f"{tmp_path / 'contract.yaml'}:" in str(caught.value)


def people(root: Path, *rows: str) -> None:
    (root / "inventory").mkdir(exist_ok=True)
    text = "schema_version: 1\npeople:\n" + "".join(f"- {row}\n" for row in rows)
    (root / "inventory/people.yaml").write_text(text, "utf-8")


def test_people_by_login(tmp_path: Path) -> None:
    assert load_people(tmp_path) == ()
    people(tmp_path, "{name: 王五, role: engineer, login: wangwu}", "{name: 赵六, role: approver, approver_key: a.pub}")
    one, two = load_people(tmp_path)
    assert (one.login, one.name, two.approver_key) == ("wangwu", "王五", "a.pub")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["{name: a, role: engineer, login: x}", "{name: b, role: engineer, login: x}"], "stands twice"),
        (["{name: a, role: approver, approver_key: ../../x}"], "outside inventory/"),
        (["{name: a, role: approver, approver_key: /tmp/x}"], "outside inventory/"),
        (["{name: a, role: engineer, approver_key: x}"], "only an approver"),
        (["{name: a, role: boss}"], "role"),
        (["{name: '', role: engineer}"], "name"),
    ],
)
def test_each_refusal_of_a_person(tmp_path: Path, rows: list[str], words: str) -> None:
    people(tmp_path, *rows)
    with pytest.raises(DeclaredError, match=words):
        load_people(tmp_path)


def test_schemas_say_what_the_readers_refuse() -> None:
    known = schemas()
    assert {"hosts", "databases", "people", "contract", "periods", "exceptions", "orders", "ops-location"} <= set(known)
    for schema in known.values():
        assert schema["additionalProperties"] is False
        assert schema["$schema"].startswith("https://json-schema.org/")
        assert "schema_version" in schema["required"]


PERSON = "schema_version: 1\npeople:\n- {name: 李四, role: technical-lead, login: lisi, "


def one_person(tmp_path: Path, rest: str) -> tuple:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "people.yaml").write_text(f"{PERSON}{rest}}}\n", "utf-8")
    return load_people(tmp_path)


def test_who_may_have_what_and_from_when_to_when(tmp_path: Path) -> None:
    said = "from: 2026-09-01, to: 2027-02-28, accounts: [lisi@web], privileged: ['ops@*'], consent: 函〔2026〕9"
    (one,) = one_person(tmp_path, said)
    assert (one.since, one.until, one.accounts, one.privileged) == (
        date(2026, 9, 1), date(2027, 2, 28), ("lisi@web",), ("ops@*",),
    )  # fmt: skip
    days = [date(2026, 8, 31), date(2026, 9, 1), date(2027, 2, 28), date(2027, 3, 1)]
    assert [one.here(day) for day in days] == [False, True, True, False]


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("from: 2027-02-28, to: 2027-02-27", "lies before from 2027-02-28"),
        ("accounts: [lisi]", "is not an account"),
        ("accounts: ['@web']", "is not an account"),
        ("accounts: ['a b@web']", "is not an account"),
        ("accounts: [lisi@web, lisi@web]", "twice"),
        ("to: soon", "not a date"),
        ("since: 2027-01-01", "since"),
    ],
)
def test_each_refusal_of_what_a_person_may_have(tmp_path: Path, rest: str, words: str) -> None:
    with pytest.raises(DeclaredError) as caught:
        one_person(tmp_path, rest)
    assert words in str(caught.value)
    assert "people.yaml:3" in str(caught.value)
