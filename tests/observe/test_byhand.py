"""The collector as one file, and its answer: the same under every shell, and noticed when it is not whole."""

import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model.errors import AgentError
from agent.model.frames import Section, compose, split
from agent.observe import byhand

SHELLS = [shell for shell in (("dash",), ("bash", "--posix"), ("bash",), ("busybox", "sh")) if shutil.which(shell[0])]
NONCE = "0123456789abcdef01234567"
SECTIONS = [
    Section("plain", "echo hi; echo oops >&2; exit 3"),
    Section("gbk", r"printf '\326\320\316\304\n'; printf '\326\320' >&2"),
    Section("ends", r"printf 'a\n\n\n'"),
    Section("percent", r"""printf '%%s %%d \\n $HOME `id` "\n'"""),
    Section("greedy", "cat; exit 0"),
]


def made(target="web-01", sections=SECTIONS):
    return byhand.script(compose(sections, NONCE), nonce=NONCE, target=target, made="2026-11-21T16:30:00Z")


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    script = tmp_path_factory.mktemp("hand") / "collect.sh"
    script.write_text(made(), encoding="utf-8")
    return subprocess.run(["sh", script], capture_output=True, check=True).stdout


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_every_shell_writes_the_same_answer_to_a_file_and_to_a_pipe(shell, tmp_path):
    (tmp_path / "collect.sh").write_text(made(), encoding="utf-8")
    piped = subprocess.run([*shell, "collect.sh"], cwd=tmp_path, capture_output=True, check=True).stdout
    filed = subprocess.run([*shell, "collect.sh", "a b.txt"], cwd=tmp_path, capture_output=True, check=True)
    fed = subprocess.run([*shell, "-s"], input=made().encode(), capture_output=True, check=True).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a b.txt", "collect.sh"]
    assert (tmp_path / "a b.txt").stat().st_mode & 0o777 == 0o600
    assert b"written: a b.txt" in filed.stderr
    assert filed.stdout == b""
    for raw in (piped, (tmp_path / "a b.txt").read_bytes(), fed):
        got = byhand.read(raw, "answer.txt")
        assert (got.nonce, got.target, got.made) == (NONCE, "web-01", "2026-11-21T16:30:00Z")
        assert got.host == subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout.strip()
        assert 0 <= got.ended - got.begun < 60
        said = split(got.stdout, got.stderr, NONCE)
        assert (said["plain"].rc, said["plain"].text, said["plain"].errors) == (3, "hi\n", "oops\n")
        assert (said["gbk"].text, said["gbk"].errors) == ("中文\n", "中")
        assert said["ends"].text == "a\n\n\n"
        assert said["percent"].text == '%s %d \\n $HOME `id` "\n'
        assert said["greedy"].text == ""


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_what_is_there_already_is_not_overwritten(shell, tmp_path):
    (tmp_path / "collect.sh").write_text(made(), encoding="utf-8")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("collect.sh", "link", "no/such/folder"):
        done = subprocess.run([*shell, "collect.sh", name], cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 2, name
        assert done.stdout == b""
    assert (tmp_path / "collect.sh").read_text(encoding="utf-8") == made()


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_script_that_was_cut_on_its_way_does_nothing(shell):
    script = made().encode()
    start = script.index(b"_main() {")
    for cut in range(start, script.rindex(b'_main "$@"'), 97):
        done = subprocess.run(shell, input=script[:cut], capture_output=True, check=False)
        assert NONCE.encode() not in done.stdout, cut


def test_the_head_tells_how_to_check_the_script(tmp_path):
    head, rule, body = made().partition("\n# ====\n")
    assert rule
    assert hashlib.sha256(body.encode()).hexdigest() in head
    assert "web-01" in head
    assert all(line.startswith("#") for line in head.splitlines())
    (tmp_path / "collect.sh").write_text(made(), encoding="utf-8")
    command = ["sh", "-c", "sed '1,/^# ====/d' collect.sh | sha256sum"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert shown.stdout.decode().split()[0] in head


def test_names_that_mean_something_to_a_shell_never_get_in():
    for bad in ("a'b", "a b", "$(id)", "a\nb"):
        with pytest.raises(ValueError, match="nonce, target or time"):
            made(target=bad)


def test_line_ends_and_marks_of_windows_change_nothing(answer):
    plain = byhand.read(answer, "a")
    if b"\r" not in answer:
        assert byhand.read(answer.replace(b"\n", b"\r\n"), "a") == plain
    assert byhand.read(b"\xef\xbb\xbf" + answer, "a") == plain
    assert byhand.read(answer + b"\n\n", "a") == plain


def test_a_broken_off_answer_is_noticed_wherever_it_breaks(answer):
    for twentieth in range(20):
        with pytest.raises(AgentError, match=r"breaks off|no answer") as caught:
            byhand.read(answer[: len(answer) * twentieth // 20], "answer.txt")
        assert caught.value.where == "answer.txt"
        assert caught.value.remedy
    for cut in range(1, 100):
        if answer[:-cut].rstrip() != answer.rstrip():
            with pytest.raises(AgentError, match="breaks off"):
                byhand.read(answer[:-cut], "answer.txt")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw.replace(b"hi\n", b"ho\n"), "changed on its way"),
        (lambda raw: raw.replace(b"target: web-01", b"target: web-02"), "changed on its way"),
        (lambda raw: raw.decode("latin-1").encode("utf-8"), "changed on its way"),
        (lambda raw: raw.replace(b"\n\n", b"\n"), "changed on its way"),
        (lambda raw: raw.decode("latin-1").encode("utf-16"), "UTF-16"),
        (lambda _: made().encode(), "the collector itself"),
        (lambda _: b"", "no answer"),
        (lambda _: "你好".encode("gbk"), "no answer"),
        (lambda raw: raw + b"more\n", "breaks off"),
    ],
)
def test_what_was_changed_is_refused_with_the_cause(answer, change, words):
    with pytest.raises(AgentError, match=words) as caught:
        byhand.read(change(answer), "answer.txt")
    assert caught.value.remedy


def test_a_text_that_only_hashes_right_is_refused():
    for text in (byhand.MAGIC, byhand.MAGIC + b"nonce: x\n\n", byhand.MAGIC + f"nonce: {NONCE}\nuid: 0\n\nx".encode()):
        forged = text + f"\n{NONCE} = sha256 {hashlib.sha256(text).hexdigest()}\n".encode()
        with pytest.raises(AgentError, match="not what the collector writes"):
            byhand.read(forged, "a")


@given(st.binary(max_size=300), st.integers(0, 10_000), st.integers(0, 255))
def test_whatever_the_bytes_only_the_declared_error_leaves(answer, noise, place, byte):
    changed = bytearray(answer)
    changed[place % len(answer)] = byte
    for raw in (noise, byhand.MAGIC + noise, bytes(changed)):
        try:
            byhand.read(raw, "a")
        except AgentError:
            continue
        assert raw.rstrip() == answer.rstrip()
