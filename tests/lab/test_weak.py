"""Weak passwords planted on real hosts and servers: found by name, the strong ones not, and nothing counts a login."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from workspaces import Workspace

from agent.model.secret import Secret
from agent.vault.drivers.mysql import native_hash

YEAR = datetime.now(ZoneInfo("Asia/Shanghai")).year
STRONG = "vT7#nQ2x!Lm9@Zr4Kd-pW"
DICTIONARY = ("Xingzhou_dict#77", "unrelated-word")
USERS = {
    "wk-own": ("-6", f"Wk-own@{YEAR}", "user"),
    "wk-same": ("-5", "wk-same", "same"),
    "wk-keys": ("-1", "1qaz@WSX", "run"),
    "wk-person": ("-6", f"Zhangsan@{YEAR}", "person"),
    "wk-words": ("-6", DICTIONARY[0], "dictionary"),
    "wk-strong": ("-6", STRONG, ""),
}
"""Made on both hosts, by openssl; then one without a password, one locked, one of yescrypt and one without a shell."""
EXTRA = ("wk-empty", "wk-locked", "wk-yes", "wk-shell", "wk-yesstrong")
YES = {"wk-yes": (f"wk-yes{YEAR}", "user"), "wk-shell": ("node-03@123", "host"), "wk-yesstrong": (STRONG, "")}
"""By chpasswd, which takes the host's own method: yescrypt; wk-shell has no login shell."""
HOSTS = ("node-03", "node-05")
"""On node-05 perl cannot be run while this test lasts: openssl does it, and cannot compute yescrypt."""
SQL_WEAK, SQL_STRONG = "wkapp@123", STRONG
PSQL = ("runuser", "-u", "postgres", "--", "psql", "-qXAt")
TRACES = """
{ cat /var/log/auth.log /var/log/secure; journalctl -o cat --no-pager; } 2>/dev/null |
  grep -ciE 'fail|invalid|incorrect|unix_chkpwd'
find /run/faillock /var/run/faillock -type f -exec ls -ln {} + 2>/dev/null | sort -u
ls -ln /var/log/btmp /var/log/faillog /var/log/tallylog 2>/dev/null; :
"""
"""Whatever counts failed logins or tells of them."""


def secrets():
    return [text for _, text, _ in USERS.values() if text != "wk-same"] + [text for text, _ in YES.values()] + [
        SQL_WEAK, DICTIONARY[1],
    ]  # fmt: skip


@pytest.fixture(scope="module")
def planted(lab):
    shadows = {name: lab.enter(name, "cat", "/etc/shadow") for name in HOSTS}
    tables = {name: lab.enter(name, "cat", "/etc/passwd") for name in HOSTS}
    try:
        for host in HOSTS:
            for name in (*USERS, *EXTRA):
                lab.enter(host, "useradd", "-M", "-s", "/usr/sbin/nologin" if name == "wk-shell" else "/bin/bash", name)
            for name, (method, text, _) in USERS.items():
                lab.enter(host, "sh", "-c", f'usermod -p "$(openssl passwd {method} -stdin)" {name}', stdin=f"{text}\n")
            for name, (text, _) in YES.items():
                lab.enter(host, "sh", "-c", "chpasswd -c YESCRYPT", stdin=f"{name}:{text}\n")
            lab.enter(host, "sh", "-c", 'usermod -p "$(openssl passwd -6 -stdin)" wk-locked', stdin="12345678\n")
            lab.enter(host, "usermod", "-L", "wk-locked")
            lab.enter(host, "usermod", "-p", "", "wk-empty")
            assert "$y$" in lab.enter(host, "grep", "^wk-yes:", "/etc/shadow")
        lab.enter("node-05", "chmod", "a-x", "/usr/bin/perl")
        lab.enter("db-01", "mariadb", stdin=(
            f"CREATE OR REPLACE USER wkapp@'%' IDENTIFIED VIA mysql_native_password"
            f" USING '{native_hash(Secret(SQL_WEAK))}';"
            f"CREATE OR REPLACE USER wkor@'%' IDENTIFIED VIA unix_socket OR mysql_native_password USING"
            f" '{native_hash(Secret('mysql'))}';"
            f"CREATE OR REPLACE USER wkstrong@'%' IDENTIFIED VIA mysql_native_password"
            f" USING '{native_hash(Secret(SQL_STRONG))}';"
            "CREATE OR REPLACE USER wkempty@'%';"
            "SET GLOBAL general_log_file='/var/lib/mysql/weak.log'; SET GLOBAL general_log=1;"
        ))  # fmt: skip
        lab.enter("db-02", *PSQL, stdin=(
            f"CREATE ROLE wkapp LOGIN PASSWORD '{SQL_WEAK}'; CREATE ROLE wkstrong LOGIN PASSWORD '{SQL_STRONG}';"
            f"SET password_encryption='md5'; CREATE ROLE wkold NOLOGIN PASSWORD 'wkold';"
            "ALTER SYSTEM SET log_statement='all'; SELECT pg_reload_conf();"
        ))  # fmt: skip
        yield lab
    finally:
        lab.enter("node-05", "chmod", "a+x", "/usr/bin/perl")
        for host in HOSTS:
            for name in (*USERS, *EXTRA):
                lab.enter(host, "sh", "-c", f"userdel -f {name} 2>/dev/null; :")
            lab.enter(host, "sh", "-c", "cat >/etc/shadow", stdin=shadows[host])
            assert lab.enter(host, "cat", "/etc/passwd") == tables[host]
        lab.enter("db-01", "mariadb", stdin=(
            "SET GLOBAL general_log=0; SET GLOBAL general_log_file=DEFAULT;"
            "DROP USER IF EXISTS wkapp@'%', wkor@'%', wkstrong@'%', wkempty@'%';"
        ))  # fmt: skip
        lab.enter("db-01", "rm", "-f", "/var/lib/mysql/weak.log")
        lab.enter("db-02", *PSQL, stdin=(
            "ALTER SYSTEM RESET log_statement; SELECT pg_reload_conf();"
            "DROP ROLE IF EXISTS wkapp; DROP ROLE IF EXISTS wkstrong; DROP ROLE IF EXISTS wkold;"
        ))  # fmt: skip


def counters(lab):
    found = {name: lab.enter(name, "sh", "-c", TRACES) for name in HOSTS}
    found["maria"] = lab.enter("db-01", "mariadb", "-N", stdin=(
        "SHOW GLOBAL STATUS WHERE Variable_name IN ('Aborted_connects','Access_denied_errors');"
    ))  # fmt: skip
    found["pg"] = lab.enter("db-02", "sh", "-c", "cat /var/log/postgresql/* | grep -c 'authentication failed'; :")
    found["shadow"] = lab.enter("node-03", "cat", "/etc/shadow")
    return found


@pytest.fixture(scope="module")
def checked(planted, tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("weak") / "w", planted.workspace)
    targets = ("node-03", "node-05", "maria-01", "pg-net", "cache-01", "cache-02", "app-01", "app-02")
    window = (
        "--title",
        "弱口令核查",
        "--reference",
        "函（虚构）",
        "--from",
        "2026-01-01 00:00",
        "--to",
        "2036-01-01 00:00",
    )
    named = [word for target in targets for word in ("--target", target)]
    for number, more in (("GD-W1", ("--allow", "weak-passwords")), ("GD-W2", ())):
        assert workspace.run("ticket", "new", number, *window, *named, *more).returncode == 0
        key = workspace.folder / "state" / "lab" / "approver.pem"
        done = workspace.run("ticket", "sign", number, "--approver-key", str(key))
        assert done.returncode == 0, done.stderr
    words = workspace.folder / "words.txt"
    words.write_text("\n".join(DICTIONARY), encoding="utf-8")
    before = counters(planted)
    done = workspace.run(
        "password", "weak", "--ticket", "GD-W1", "--dictionary", str(words), "--seconds", "150", "--json"
    )
    after = counters(planted)
    rows = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        rows[row["target"], row["account"]] = row
    return workspace, done, rows, before, after


def test_every_planted_one_is_found_with_its_rule(checked):
    _, done, rows, _, _ = checked
    assert done.returncode == 3, done.stderr  # openssl on node-05 cannot compute yescrypt, and that is told
    for host in HOSTS:
        for name, (_, _, rule) in USERS.items():
            row = rows[host, name]
            assert (row["rule"], row["ended"]) == (rule, "weak" if rule else "clean"), row
        assert rows[host, "wk-empty"]["weak"] == "empty"
        assert (rows[host, "wk-locked"]["rule"], rows[host, "wk-locked"]["locked"]) == ("run", True)
    for name, (_, rule) in YES.items():
        row = rows["node-03", name]
        assert (row["rule"], row["ended"]) == (rule, "weak" if rule else "clean"), row
        assert rows["node-05", name]["ended"] == "unsupported"
    assert rows["node-03", "wk-yesstrong"]["tried"] == rows["node-03", "wk-yesstrong"]["candidates"] > 500
    assert rows["node-03", "daemon"]["ended"] == "none"


def test_accounts_of_databases(checked):
    _, _, rows, _, _ = checked
    found = {name: (row["ended"], row["rule"]) for (target, name), row in rows.items() if target == "maria-01"}
    assert found["wkapp@%"] == ("weak", "user")
    assert found["wkor@%"] == ("weak", "default")
    assert found["wkempty@%"] == found["@localhost"] == ("weak", "empty")
    assert found["wkstrong@%"] == found["scan@10.66.0.1"] == found["root@%"] == ("clean", "")
    assert found["root@localhost"] == ("none", "")
    found = {name: (row["ended"], row["rule"]) for (target, name), row in rows.items() if target == "pg-net"}
    assert found["wkapp"] == ("weak", "user")
    assert found["wkold"] == ("weak", "same")
    assert found["wkstrong"] == found["scan"] == ("clean", "")
    assert found["postgres"] == ("none", "")
    assert rows["pg-net", "wkold"]["locked"]


def test_accounts_of_services(checked):
    _, _, rows, _, _ = checked
    found = {key: (row["ended"], row["rule"]) for key, row in rows.items() if row["kind"] in {"redis", "tomcat"}}
    assert found["cache-01", "default /etc/redis/redis.conf"] == ("weak", "empty")
    assert found["cache-01", "default /usr/local/redis/redis.conf"] == ("weak", "empty")
    assert found["cache-02", "default /etc/redis/redis.conf"] == ("clean", "")
    (tomcat,) = [(key, ended) for key, ended in found.items() if key[0] == "app-01"]
    assert tomcat[0][1].startswith("tomcat /")
    assert tomcat[1] == ("weak", "same")
    assert not [key for key, (ended, _) in found.items() if key[0] == "app-02" and ended == "weak"]


def test_nothing_counted_a_login_or_was_changed(checked):
    _, _, _, before, after = checked
    assert after == before


def test_the_traces_would_show_an_attempt(checked, planted):
    """What is not asked: pam_unix' own helper counts nothing, but writes to the log."""
    assert checked
    before = planted.enter("node-03", "sh", "-c", TRACES)
    planted.enter("node-03", "sh", "-c", "printf 'wrong\\000' | /usr/sbin/unix_chkpwd wk-own nonull; sleep 2", stdin="")
    assert planted.enter("node-03", "sh", "-c", TRACES) != before


def test_no_password_is_anywhere_but_where_it_was(checked, planted):
    workspace, done, _, _, _ = checked
    app = workspace.app()
    try:
        kinds = [entry.kind for entry in app.ledger.entries()]
        sealed = [app.ledger.open(entry.seq).decode(errors="replace") for entry in app.ledger.entries() if entry.blob]
    finally:
        app.close()
    opened = "\n".join(sealed)
    assert "weak-password-check" in kinds
    assert '"wk-own"' in opened
    told = done.stdout + done.stderr + opened
    assert not [text for text in secrets() if text in told]
    assert "$6$" not in told
    assert "SCRAM-SHA-256$" not in told
    loud = planted.enter("db-01", "sh", "-c", "cat /var/lib/mysql/weak.log")
    loud += planted.enter("db-02", "sh", "-c", "cat /var/log/postgresql/*")
    assert "mysql" in loud.lower()
    assert native_hash(Secret(SQL_WEAK)) not in loud
    lines = [line for line in loud.splitlines() if SQL_WEAK in line and "CREATE ROLE" not in line]
    assert not lines
    assert workspace.run("evidence", "verify").returncode == 0


def test_a_ticket_that_does_not_allow_it_opens_nothing(checked):
    workspace = checked[0]
    done = workspace.run("password", "weak", "--ticket", "GD-W2")
    assert done.returncode == 2
    assert "does not allow weak-passwords" in done.stderr
    done = workspace.run("password", "weak", "--ticket", "GD-W1", "--target", "node-06")
    assert done.returncode == 2
    assert "does not name target node-06" in done.stderr
