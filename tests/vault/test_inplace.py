"""Guesses held against records in place: the scripts run for real on a folder that plays the host's root."""

import shutil
import subprocess
from pathlib import Path

import pytest

from agent.change.library import modules
from agent.model.frames import Section, compose, split
from agent.model.secret import Secret
from agent.model.weak import Account, Ended, Rule
from agent.vault.candidates import Guess, Known, guesses
from agent.vault.drivers.mysql import native_hash
from agent.vault.drivers.postgresql import verifier
from agent.vault.inplace.clear import Clear
from agent.vault.inplace.contract import Suspect
from agent.vault.inplace.linux import Linux
from agent.vault.inplace.mysql import MySql
from agent.vault.inplace.postgresql import PostgreSql

YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$CK2IUpKBHMhzwMM68Ljly9z95keQNYDOZoEe8BTBJkA"
SHA512 = (
    "$6$rounds=1000$saltsalt$Z4JSTxrdbkCzMXKZlkEscLlj72EI3PIJ2sU/cMtALkuPbXAePR1AgS7tYuNC37zVBsnkB7ZTziEE15bz76xIc1"
)
SHA256 = "$5$othersalt$g5CR8hjbwNLwAW2YfxhYjJ.PTi9tKtlXSITIrBaEBw."
MD5 = "$1$lab$DcRH53t.Wd9xuQigkCwzw0"
STRONG = (
    "$6$rounds=1000$strongsalt$Dy2cHBVHjTl9ayl9mrBQ4O8boCFEhxIyZ.Bn.dZE.9YZQ3wXjj3z8wBwx1TFkM4dsbrgxop6Zwn6pcAB7o7qg0"
)
SHADOW = f"""root:*:20000:0:99999:7:::
alice:{YESCRYPT}:20000:0:99999:7:::
bob:{SHA512}:20000:0:99999:7:::
carol:!{SHA256}:20000:0:99999:7:::
dave:{MD5}:20000:0:99999:7:::
erin::20000:0:99999:7:::
frank:{STRONG}:20000:0:99999:7:::
locked:!!:20000:0:99999:7:::
odd:$zz$strange$record:20000:0:99999:7:::
"""
PASSWD = """root:x:0:0:root:/root:/bin/bash
alice:x:1001:1001:Alice Liddell,,,:/home/alice:/bin/bash
bob:x:1002:1002::/home/bob:/usr/sbin/nologin
carol:x:1003:1003::/home/carol:/bin/bash
dave:x:1004:1004::/home/dave:/bin/bash
erin:x:1005:1005::/home/erin:/bin/bash
frank:x:1006:1006::/home/frank:/bin/bash
locked:x:1007:1007::/home/locked:/bin/bash
odd:x:1008:1008::/home/odd:/bin/bash
seen:baIjQ6RexThaw:1009:1009::/home/seen:/bin/bash
bare::1010:1010::/home/bare:/bin/bash
"""
WEAK = {"alice": Rule.USER, "bob": Rule.SAME, "carol": Rule.RUN, "dave": Rule.DEFAULT, "seen": Rule.RUN}
SHELLS = [shell for shell in (["dash"], ["bash"], ["busybox", "sh"]) if shutil.which(shell[0])]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text(PASSWD, encoding="utf-8")
    (tmp_path / "etc" / "shadow").write_text(SHADOW, encoding="utf-8")
    return tmp_path


def ran(root, script, preamble="", shell=("dash",), path=""):
    text = compose([Section("one", script)], "f00d", preamble).replace("; R=\n", f"; R={root}\n", 1)
    if path:
        text = text.replace("PATH=/usr/sbin:", f"PATH={path}\n#", 1)
    done = subprocess.run([*shell], input=text.encode(), capture_output=True, check=False, timeout=100)
    return split(done.stdout, done.stderr, "f00d")["one"]


def suspects(root):
    known = Known(2026)
    found = Linux().accounts("node-01", "linux", ran(root, Linux().listing(0)).text)
    return [Suspect(one, guesses("linux", one.user, ("node-01",), known)[:120]) for one in found if one.state == "hash"]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_what_kind_of_record_each_has(root, shell):
    found = {
        one.name: one for one in Linux().accounts("node-01", "linux", ran(root, Linux().listing(0), "", shell).text)
    }
    states = {name: (one.state, one.how, one.locked) for name, one in found.items()}
    assert states == {
        "root": ("none", "", False),
        "alice": ("hash", "$y$", False),
        "bob": ("hash", "$6$", False),
        "carol": ("hash", "$5$", True),
        "dave": ("hash", "$1$", False),
        "erin": ("empty", "", False),
        "frank": ("hash", "$6$", False),
        "locked": ("none", "", True),
        "odd": ("hash", "$zz$", False),
        "seen": ("hash", "des", False),
        "bare": ("empty", "", False),
    }
    assert found["alice"].full_name == "Alice Liddell"


def answered(root, shell=("dash",), path="", seconds=60, wanted=None):
    mine = wanted or suspects(root)
    script = Linux().compare(mine, 0, seconds)
    answer = ran(root, script.body, script.preamble, shell, path)
    assert answer.rc == 0, answer.errors
    found = Linux().tried(mine, answer.text)
    return {one.account.name: (one, tried) for one, tried in zip(mine, found, strict=True)}, answer


def rules(found):
    return {name: one.guesses[tried.place].rule for name, (one, tried) in found.items() if tried.ended is Ended.WEAK}


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_the_weak_are_found_the_strong_are_not(root, shell):
    found, answer = answered(root, shell)
    assert rules(found) == WEAK
    assert found["frank"][1].ended is Ended.CLEAN
    assert found["frank"][1].count == 120
    assert found["odd"][1].ended is Ended.UNSUPPORTED
    assert "$zz$" in found["odd"][1].why
    assert not [text for text in ("alice123", "changeme", "12345") if text in answer.text + answer.errors]
    assert "$6$" not in answer.text


def tools(root, *names):
    """A folder with these programs and no other."""
    folder = root / "bin"
    folder.mkdir()
    for name in (*names, "awk", "date", "nice", "true", "id", "timeout"):
        (folder / name).symlink_to(shutil.which(name))
    return str(folder)


def test_without_perl_python_does_it(root):
    path = tools(root)
    (Path(path) / "python3").symlink_to(
        "/usr/bin/python3" if Path("/usr/bin/python3").exists() else shutil.which("python3")
    )
    found, answer = answered(root, path=path)
    assert "way\tpython" in answer.text
    assert rules(found) == WEAK
    assert found["frank"][1].ended is Ended.CLEAN
    assert found["odd"][1].ended is Ended.UNSUPPORTED


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_with_openssl_alone_it_does_what_it_can_and_says_what_not(root, shell):
    found, answer = answered(root, [shutil.which(shell[0]), *shell[1:]], path=tools(root, "openssl"))
    assert "way\topenssl" in answer.text
    assert rules(found) == {name: rule for name, rule in WEAK.items() if name in {"bob", "carol", "dave"}}
    assert found["frank"][1].ended is Ended.CLEAN
    assert found["frank"][1].count == 120
    assert {name for name, (_, tried) in found.items() if tried.ended is Ended.UNSUPPORTED} == {"alice", "odd", "seen"}


def test_with_nothing_it_says_so(root):
    found, _ = answered(root, path=tools(root))
    assert {tried.ended for _, tried in found.values()} == {Ended.UNSUPPORTED}
    assert "openssl" in found["bob"][1].why


def test_time_ends_for_all_alike_and_is_told(root):
    mine = [Suspect(one.account, one.guesses * 60) for one in suspects(root) if one.account.name in {"frank", "alice"}]
    mine[0] = Suspect(mine[0].account, [guess for guess in mine[0].guesses if guess.rule is not Rule.USER])
    found, _ = answered(root, seconds=1, wanted=mine)
    counts = [tried.count for _, tried in found.values()]
    assert {tried.ended for _, tried in found.values()} == {Ended.CUT}
    assert max(counts) - min(counts) <= 1
    assert 0 < min(counts) < len(mine[0].guesses)


def test_no_guess_stands_in_any_process_argument(root):
    script = Linux().compare(suspects(root), 0, 60)
    assert "alice123" in script.preamble
    assert "alice123" not in script.body
    # what holds them is the shell's own printf
    assert all(line.lstrip().startswith("printf") for line in script.preamble.splitlines() if "alice123" in line)


ACCT = "acct\t{user}\t{at}\t{path}\t{plugin}\t{state}\t{locked}"


def acct(user, at, plugin, state, path="$", locked=0):
    return ACCT.format(
        user=user.encode().hex(), at=at.encode().hex(), path=path, plugin=plugin, state=state, locked=locked
    )


def test_mariadb_accounts_by_plugin():
    text = "\n".join([
        acct("root", "localhost", "mysql_native_password", "none"),
        acct("root", "localhost", "unix_socket", "empty", "$.auth_or[1]"),
        acct("", "localhost", "mysql_native_password", "empty"),
        acct("app", "%", "mysql_native_password", "hash", locked=1),
        acct("new", "%", "ed25519", "none"),
        acct("two", "%", "unix_socket", "empty"),
        acct("two", "%", "mysql_native_password", "hash", "$.auth_or[0]"),
        acct("my", "%", "caching_sha2_password", "none", "user"),
        "garbage",
        "acct\tzz\tzz\t$\t\tempty\t0",
    ])  # fmt: skip
    found = {one.name: (one.state, one.how, one.locked) for one in MySql().accounts("maria-01", "mariadb", text)}
    assert found == {
        "root@localhost": ("none", "mysql_native_password、unix_socket", False),
        "@localhost": ("empty", "mysql_native_password", False),
        "app@%": ("hash", "$", True),
        "new@%": ("other", "ed25519", False),
        "two@%": ("hash", "$.auth_or[0]", False),
        "my@%": ("other", "caching_sha2_password", False),
    }


def test_mariadb_gets_hashes_and_answers_with_a_place():
    account = Account("maria-01", "app@%", "app", "mariadb", "hash", "$", at="%")
    mine = [Suspect(account, (Guess("app", Rule.SAME), Guess("Winter@2026", Rule.DICTIONARY)))]
    script = MySql().compare(mine, 3306, 60)
    assert native_hash(Secret("Winter@2026")) in script.preamble
    assert "Winter" not in script.preamble + script.body
    assert "sql_log_off=1" in script.preamble
    weak = MySql().tried(mine, "tried\t0\t2")[0]
    assert (weak.ended, weak.place, weak.count) == (Ended.WEAK, 1, 2)
    assert MySql().tried(mine, "tried\t0\t0")[0].ended is Ended.CLEAN
    assert MySql().tried(mine, "tried\t0\t3") == [None]
    assert MySql().tried(mine, "tried\t0\tx") == [None]
    assert MySql().tried(mine, "") == [None]


def test_postgresql_roles_by_record():
    salt = "4096:" + "QUJDREVGR0hJSktMTU5PUA=="
    rows = [
        ("scan", 0, salt),
        ("old", 0, "md5"),
        ("peer", 0, "none"),
        ("group", 1, "other"),
        ("evil", 0, "99999999999:AA=="),
    ]
    text = "\n".join(f"acct\t{name.encode().hex()}\t{locked}\t{how}" for name, locked, how in rows)
    found = {one.name: (one.state, one.locked) for one in PostgreSql().accounts("pg-net", "postgresql", text)}
    assert found == {
        "scan": ("hash", False),
        "old": ("hash", False),
        "peer": ("none", False),
        "group": ("other", True),
        "evil": ("other", False),
    }


def test_postgresql_gets_keys_and_answers_with_a_place():
    salt = b"ABCDEFGHIJKLMNOP"
    account = Account("pg-net", "scan", "scan", "postgresql", "hash", "4096:QUJDREVGR0hJSktMTU5PUA==")
    mine = [Suspect(account, (Guess("scan", Rule.SAME), Guess("scan123", Rule.USER)))]
    script = PostgreSql().compare(mine, 5432, 60)
    stored = verifier(Secret("scan123"), salt).split("$")[2].partition(":")[0]
    assert stored in script.preamble
    assert "scan123" not in script.preamble + script.body
    weak = PostgreSql().tried(mine, "tried\t0\t2\t2")[0]
    assert (weak.ended, weak.place) == (Ended.WEAK, 1)
    assert PostgreSql().tried(mine, "tried\t0\t2\t0")[0].ended is Ended.CLEAN
    assert PostgreSql().tried(mine, "tried\t0\t1\t0")[0].ended is Ended.CUT
    assert PostgreSql().tried(mine, "tried\t0\t9\t9") == [None]


def test_postgresql_makes_no_more_keys_than_its_time_allows():
    account = Account("pg-net", "scan", "scan", "postgresql", "hash", "1000000:QUJDREVGR0hJSktMTU5PUA==")
    mine = [Suspect(account, tuple(Guess(f"w{n}", Rule.DICTIONARY) for n in range(1000)))]
    script = PostgreSql().compare(mine, 5432, 1)
    assert 0 < script.preamble.count(",") < 50


CONF = """port 6379
requirepass "re dis@123"
user app on >app123 ~* +@all
user report on #8bb0cf6eb9b17d0f7d22b456f121257dc1254e1f01665370476383ea776df414 ~* +@read
user open on nopass ~* +@all
user gone off >gone ~* +@all
user strong on >vT7nQ2xLm9Zr4Kd ~* +@all
"""
"""Of report: the SHA-256 of 1234567."""
TOMCAT = """<?xml version="1.0"?>
<!-- <user username="old" password="old" roles="x"/> -->
<tomcat-users>
  <user username="tomcat" password="s3cret" roles="manager-gui"/>
  <user roles='a>b' password='m&apos;&lt;x' username='odd'/>
  <user username="digest" password="5f4dcc3b5aa765d61d8327deb882cf99" roles="x"/>
  <user username="strong" password="vT7nQ2xLm9Zr4Kd" roles="x"/>
  <user name="none" password="" roles="x"/>
</tomcat-users>
"""


def service(root, kind, shell):
    """Listing and comparison, as on a host where one server of that kind runs."""
    tester = Clear(kind)
    finder, path = {"redis": ("_confs", "/etc/redis.conf"), "tomcat": ("_bases", "/opt/tomcat")}[kind]
    library = modules(name.removesuffix(".sh") for name in tester.libraries)
    preamble = f"TX=none; TXROOT=$R/tx\nhandles() {{ :; }}; acts() {{ :; }}\n{library}\n"

    def found(script, more=""):
        script = script.replace(f"{finder}() {{", f"{finder}() {{ echo {path}; }}\n_real() {{", 1)
        answer = ran(root, script, preamble + more, shell)
        assert answer.rc == 0, answer.errors
        return answer.text

    accounts = tester.accounts("cache-01", kind, found(tester.listing(0)))
    known = Known(2026, words=("re dis@123", "m'<x"))
    mine = [Suspect(one, guesses(kind, one.user, ("cache-01",), known)) for one in accounts if one.state == "hash"]
    script = tester.compare(mine, 0, 60)
    text = found(script.body, script.preamble)
    ends = {
        one.account.user: one.guesses[tried.place].rule if tried.ended is Ended.WEAK else tried.ended
        for one, tried in zip(mine, tester.tried(mine, text), strict=True)
    }
    assert "vT7nQ2xLm9Zr4Kd" not in text
    return {one.user: one.state for one in accounts}, ends


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_redis_by_its_configuration_and_its_users(root, shell):
    (root / "etc" / "redis.conf").write_text(CONF, encoding="utf-8")
    states, ends = service(root, "redis", shell)
    assert states == {"default": "hash", "app": "hash", "report": "hash", "open": "empty", "strong": "hash"}
    assert ends == {"default": Rule.DICTIONARY, "app": Rule.USER, "report": Rule.RUN, "strong": Ended.CLEAN}


@pytest.mark.parametrize(
    ("conf", "states"),
    [
        ("port 6379\n", {"default": "empty"}),
        ("aclfile /etc/users.acl\n", {"default": "hash", "two": "empty"}),
        ("user default off\n", {}),
    ],
)
def test_redis_that_asks_for_nothing(root, conf, states):
    (root / "etc" / "redis.conf").write_text(conf, encoding="utf-8")
    (root / "etc" / "users.acl").write_text("user default on >x123 ~*\nuser two on nopass\n", encoding="utf-8")
    assert service(root, "redis", ["dash"])[0] == states


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_tomcat_by_its_users(root, shell):
    (root / "opt" / "tomcat" / "conf").mkdir(parents=True)
    (root / "opt" / "tomcat" / "conf" / "tomcat-users.xml").write_text(TOMCAT, encoding="utf-8")
    states, ends = service(root, "tomcat", shell)
    assert states == {"tomcat": "hash", "odd": "hash", "digest": "other", "strong": "hash", "none": "empty"}
    assert ends == {"tomcat": Rule.DEFAULT, "odd": Rule.DICTIONARY, "strong": Ended.CLEAN}
