from pathlib import Path

import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.declared import yamlfile
from agent.declared.yamlfile import decode, dotted, load, loads, parse
from agent.model.errors import DeclaredError

HERE = Path("x.yaml")


class Item(pydantic.BaseModel, extra="forbid"):
    name: str
    port: int = 22


class Whole(pydantic.BaseModel, extra="forbid"):
    items: list[Item] = []
    byname: dict[str, Item] = {}
    flag: bool = False


def refusal(text: str) -> DeclaredError:
    with pytest.raises(DeclaredError) as caught:
        loads(text, HERE)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: &x 2\n", 2, "anchor"),
        ("a: 1\nb: *x\n", 2, "alias"),
        ("a: !!python/object:os.system x\n", 1, "tag"),
        ("a:\n- !t {b: 1}\n", 2, "tag"),
        ("a: 1\nb: 2\na: 3\n", 3, "stands twice (first on line 1)"),
        ("a:\n  <<: {b: 1}\n", 2, "merge key"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("? [a]\n: 1\n", 1, "key must be plain text"),
        ("a: 1\n b: 2\n", 2, "not YAML"),
        ('a: "\\u202e"\n', 1, "bidi"),
        ('a: 1\nb: "\\e[31m"\n', 2, "control"),
        ("[" * 60, 1, "nested more than"),
        ("a: \x00\n", None, "not YAML"),
    ],
)
def test_refuses_and_names_the_line(text: str, line: int | None, words: str) -> None:
    error = refusal(text)
    assert words in error.message
    assert error.where == (f"x.yaml:{line}" if line else "x.yaml")
    assert error.remedy


def test_alias_bomb_costs_nothing() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "anchor" in refusal(bomb).message


def test_wide_file_is_cut_off_by_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamlfile, "MAX_NODES", 50)
    assert "more than 50 values" in refusal("[" + "1," * 60 + "1]").message


def test_scalars_stay_as_written_unless_they_mean_one_thing() -> None:
    text = "a: no\nb: 0600\nc: 2026-07-01\nd: 12\ne: true\nf: ~\ng: 22:22\nh: 1.5\ni: .inf\nj: 'true'\nk: 1e999\n1: x\n"
    assert loads(text, HERE).data == {
        "a": "no",
        "b": "0600",
        "c": "2026-07-01",
        "d": 12,
        "e": True,
        "f": None,
        "g": "22:22",
        "h": 1.5,
        "i": ".inf",
        "j": "true",
        "k": "1e999",
        "1": "x",
    }


def test_where_names_file_line_and_field() -> None:
    document = loads("items:\n- name: a\n- name: b\n  port: 1\n", HERE)
    assert document.where(("items", 1, "port")) == "x.yaml:4: items[1].port"
    assert document.where(("items", 1, "gone")) == "x.yaml:3: items[1].gone"
    assert document.where(()) == "x.yaml:1"
    assert dotted((0, "a", 3)) == "[0].a[3]"


def test_parse_lists_every_problem_at_once() -> None:
    text = "items:\n- name: a\n  prot: 3\n- port: many\nbyname:\n  k: {name: [1]}\nflga: true\n"
    with pytest.raises(DeclaredError) as caught:
        parse(loads(text, HERE), Whole)
    message = str(caught.value)
    assert "5 problems" in message
    assert "x.yaml:3: items[0].prot: unknown key (remedy: did you mean `port`?" in message
    assert "x.yaml:4: items[1].name: is missing" in message
    assert "x.yaml:4: items[1].port:" in message
    assert "x.yaml:6: byname.k.name:" in message
    assert "x.yaml:7: flga: unknown key (remedy: did you mean `flag`?" in message


def test_errors_show_no_value() -> None:
    with pytest.raises(DeclaredError) as caught:
        parse(loads("flag: hunter2-the-password\n", HERE), Whole)
    assert "hunter2" not in str(caught.value)
    assert caught.value.where == "x.yaml:1: flag"


@pytest.mark.parametrize("text", ["", "# nothing\n", "text", "- 1\n", "null"])
def test_a_file_that_is_no_mapping_is_refused_by_parse(text: str) -> None:
    with pytest.raises(DeclaredError) as caught:
        parse(loads(text, HERE), Whole)
    assert "mapping" in caught.value.message
    assert "items" in caught.value.remedy


def test_load_refuses_what_is_no_readable_file(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none.yaml", "not found"),
        (tmp_path, "regular file"),
        (Path("/dev/zero"), "regular"),
    ):
        with pytest.raises(DeclaredError) as caught:
            load(path)
        assert words in caught.value.message
        assert caught.value.remedy
    file = tmp_path / "gbk.yaml"
    file.write_bytes("a: 1\nb: 北京\n".encode("gb18030"))
    with pytest.raises(DeclaredError) as caught:
        load(file)
    assert caught.value.where == f"{file}:2"
    assert "UTF-8" in caught.value.message
    file.write_bytes(b"a" * (yamlfile.MAX_BYTES + 1))
    with pytest.raises(DeclaredError, match="larger than"):
        load(file)
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert load(file).data == {"a": 1, "b": 2}


def _survives(raw: bytes) -> None:
    failed = None
    try:
        parse(loads(decode(raw, HERE), HERE), Whole)
    except DeclaredError as error:
        failed = error
    assert failed is None or (failed.where.startswith("x.yaml") and failed.remedy)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b"[" * 100_000)
@example(b"{a: " * 10_000)
@example(b"- " * 50_000)
@example(b"a: " + b"9" * 100_000)
@example(b'"\\U00110000"')
@example(b'"\\ud800"')
@example(b"%YAML 9.9\n---\na")
@example(b"%TAG ! !\n---\na")
def test_hostile_bytes_raise_nothing_but_declared_errors(raw: bytes) -> None:
    _survives(raw)


PIECES = st.one_of(
    st.sampled_from(["items:", "- ", "name: a", "\n", "  ", "port: 3", "&a ", "*a", "!!x ", "? ", ": ", "---", "<<: "]),
    st.sampled_from(list("{}[]|>'\"\\#%\t\r\u2028\x85中\U0010ffff")),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(PIECES, max_size=40))
def test_hostile_yaml_raises_nothing_but_declared_errors(pieces: list[str]) -> None:
    _survives("".join(pieces).encode())
