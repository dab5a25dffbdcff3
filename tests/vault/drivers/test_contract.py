"""What every driver keeps to (agent/vault/drivers/contract.py); real targets: tests/lab/test_rotation_drivers.py."""

from __future__ import annotations

import base64
import re
import shlex
import shutil
import subprocess

import pytest
from driverbench import Bench

from agent.change.library import module, modules
from agent.model.account import KINDS, Way
from agent.model.frames import Answer
from agent.model.secret import Secret
from agent.vault.drivers import DRIVERS, Login
from agent.vault.generate import CHARACTERS, generate

KNOWN = {"redis": "app", "tomcat": "tomcat"}
"""A user that the bench's target has."""
CLEAR = "Clear-Text.0aB1cD2eF3gH4"
ODD = "O'd\"d $(touch hurt) `touch hurt` \\ ;&|<>#*?~"
BUILTIN = {"printf", "echo", "case", "[", "exit", "return", ":", "read", "eval"}

pytestmark = pytest.mark.parametrize("kind", list(DRIVERS))


@pytest.fixture
def bench(tmp_path, kind):
    return Bench(tmp_path, kind)


def user_of(kind):
    return KNOWN.get(kind, "rot")


def test_it_says_what_it_is(kind):
    driver = DRIVERS[kind]
    assert driver.kind == kind
    assert kind in KINDS
    assert driver.ways
    assert not set(driver.ways) & {Way.AUTO, Way.NONE, Way.PERSON}
    assert isinstance(driver.login_as_root, bool)
    for name in driver.libraries:
        assert module(name.removesuffix(".sh")).startswith(f"# {name}:")


def test_its_new_passwords_need_no_quoting_beyond_its_own(kind):
    assert CHARACTERS[kind].name in {kind, "plain"}
    for _ in range(20):
        text = generate(CHARACTERS[kind]).reveal()
        assert len(text) >= 18
        assert not set(text) & set("'\"\\`$: <&>\n")


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "busybox"])
def test_every_script_can_be_read_by_the_shell(bench, shell):
    """Names and secrets with every character that means something to it."""
    program = shutil.which(shell)
    if program is None:
        assert shell != "sh"
        return
    words = [program, "sh", "-n"] if shell == "busybox" else [program, "-n"]
    scripts = bench.scripts(bench.change(ODD, ODD), [Secret(ODD), Secret("x")])
    assert {"change", "sessions", "end_sessions", "lock"} <= set(scripts)
    text = "\n".join(scripts.values())
    if bench.driver.libraries:
        text = modules(name.removesuffix(".sh") for name in bench.driver.libraries) + "\n" + text
    done = subprocess.run(words, input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_tried_from_here_has_no_script_there(bench):
    logins = {way for way in Way if bench.driver.login(bench.change("x", "y"), way)}
    assert logins <= {Way.SU, Way.SERVICE}
    assert logins <= set(bench.driver.ways)


def test_a_target_that_takes_a_hash_gets_the_hash(bench, kind):
    """And no script but the one that logs in or sets the text has it."""
    scripts = bench.scripts(bench.change("app", CLEAR), [Secret(CLEAR)])
    clear = {name for name, script in scripts.items() if any(form in script for form in forms(CLEAR))}
    may = {
        "linux": {"change", "which", "login-su"},  # pam_unix' helper takes the text
        "mariadb": set(),
        "mysql": {"change"},  # RETAIN CURRENT PASSWORD takes a text alone
        "postgresql": set(),
        "redis": {"login-service"},
        "tomcat": {"change", "which", "login-service"},  # what the file holds, as long as no handler is declared
    }[kind]
    assert clear == may


def forms(text: str) -> list[str]:
    """As it stands, in base64, in hexadecimal and as redis-cli reads it."""
    raw = text.encode()
    pair = base64.b64encode(b"app:" + raw).decode()
    return [text, pair, raw.hex(), raw.hex().upper(), "".join(f"\\x{byte:02x}" for byte in raw)]


def test_a_secret_is_no_argument_of_a_program(bench, kind):
    """Statically: a simple command with the text in it is a builtin, an assignment or a function of ours."""
    library = "\n".join(module(name.removesuffix(".sh")) for name in bench.driver.libraries)
    own = set(re.findall(r"^([a-z_0-9]+)\(\)", library, re.MULTILINE))
    found = []
    for script in bench.scripts(bench.change("default", CLEAR), [Secret(CLEAR)]).values():
        found += with_secret(script)
        assert not [command for command in with_secret(script) if not harmless(command, own)]
    assert bool(found) is (kind not in {"mariadb", "postgresql"})
    [wrong] = with_secret(f"true && mysql -p'{CLEAR}' | cat")
    assert not harmless(wrong, own)  # the look does see it


def with_secret(script: str) -> list[list[str]]:
    return [
        command for command in simple_commands(script) if any(form in word for word in command for form in forms(CLEAR))
    ]


def harmless(command: list[str], own: set[str]) -> bool:
    assigned = len(command) == 1 and re.match(r"_?[a-zA-Z]+=", command[0])
    return bool(command[0] in BUILTIN | own or assigned or command[-1] == ")")


def simple_commands(script: str) -> list[list[str]]:
    """Words between separators; `PATTERN )` of a case is one by itself."""
    lexer = shlex.shlex(script.replace("\n", " ; "), posix=False, punctuation_chars=True)
    lexer.commenters = ""
    commands: list[list[str]] = [[]]
    for token in lexer:
        if token == ")" or (token.startswith(")") and set(token) <= set(");")):
            commands[-1].append(")")
            commands.append([])
        elif set(token) <= set(";|&") or token in {"{", "}", "then", "do", "else", "if", "!", "in"}:
            commands.append([])
        else:
            commands[-1].append(token)
    return [command for command in commands if command]


def test_names_and_secrets_are_never_run(bench, kind):
    """Every script for an account with such a name: nothing of it is run by the shell, whatever the target says."""
    for name, script in bench.scripts(bench.change(ODD, ODD), [Secret(ODD)]).items():
        if kind == "linux" and name != "change":
            continue  # they would ask this machine's own accounts
        bench.run(script)
        assert not (bench.root / "hurt").exists(), name
    if kind in {"mariadb", "mysql"}:
        assert ODD.encode().hex().upper() in bench.said()


def test_an_account_that_is_not_there_is_refused_with_a_word(tmp_path, kind):
    bench = Bench(tmp_path, kind)
    missing = {
        "mariadb": "my_run() { cat >/dev/null; }\n",
        "mysql": "my_run() { cat >/dev/null; }\n",
        "postgresql": "pg_ask() { echo 0; }\n",
    }.get(kind, "")
    answer = bench.run(missing + bench.driver.change(bench.change("nobody", CLEAR)))
    assert answer.rc == 4, answer
    assert "no such" in answer.errors
    assert CLEAR not in answer.text + answer.errors + bench.said()


def test_a_server_that_is_down_is_told_to_be_tried_again(tmp_path, kind):
    if kind == "linux":  # a host that answers has its accounts
        assert "exit 75" not in DRIVERS[kind].change(Bench(tmp_path, kind).change("x", "y"))
        return
    bench = Bench(tmp_path, kind)
    down = {
        "mariadb": "my_on() { return 1; }\n",
        "mysql": "my_on() { return 1; }\n",
        "postgresql": "pg_on() { return 1; }\n",
    }.get(kind, "")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    answer = bench.run(down + bench.driver.change(bench.change(user_of(kind), CLEAR)), found=bool(down))
    assert answer.rc == 75, answer
    assert answer.errors.strip()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_answer_that_nobody_foresaw_is_no_login(kind):
    driver = DRIVERS[kind]
    for answer in (Answer(255, "", ""), Answer(1, "\0", "x"), Answer(0, "NOAUTH no", ""), Answer(127, "", "not found")):
        assert driver.logged_in(answer) is Login.BARRED
