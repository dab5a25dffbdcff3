"""MariaDB as the lab plants it weak: what is wrong there is mended, judged by the controls themselves, and comes back.

The manifest is taken by the server's own client alone, not by the shell that changes it.
"""

import re
import time

import pytest
from databases import DatabaseUnderChange
from dbmanifest import MARIADB
from hardening import differences, proves

from agent.model.change import TxState
from agent.model.control import Outcome

VARIABLES = ("MYS-IP-B-01", "MYS-IA-B-02", "MYS-IA-B-03")
ACCOUNTS = ("MYS-IA-A-02", "MYS-AC-D-01", "MYS-AC-B-01", "MYS-AC-C-01")
HOSTILE = "`a'b\"c\\;-- $(id)王`"
HOSTS = {"MYS-AC-C-01": "'%'", "MYS-AC-D-01": "'10.66.0.77'", "MYS-AC-D-02": "'10.66.0.77'", "MYS-IA-A-14": "`a'b.lab`"}


@pytest.fixture
def weak(lab):
    return DatabaseUnderChange(lab.workspace, "db-01")


def test_what_is_planted_is_mended_by_its_control_and_comes_back(weak):
    names = [*VARIABLES, *ACCOUNTS]
    assert weak.outcome(*names) == dict.fromkeys(names, Outcome.FAIL)
    before = weak.manifest(MARIADB)
    said = []
    ask = weak.ask
    weak.ask = lambda *args, **more: said.append(ask(*args, **more)) or said[-1]
    done = []
    try:
        done.append(weak.harden(*(weak.item(each) for each in VARIABLES)))
        for each in ACCOUNTS:  # a transaction each, root from elsewhere before the rest from elsewhere
            done += [weak.harden(weak.item(each))]
        assert weak.outcome(*names) == dict.fromkeys(names, Outcome.PASS)
        changed = differences(before, weak.manifest(MARIADB))
        assert not [line for line in changed if "'scan'@" in line]
    finally:
        for tx in reversed(done):
            weak.revert(tx)
    assert differences(before, weak.manifest(MARIADB)) == []
    assert weak.outcome(*names) == dict.fromkeys(names, Outcome.FAIL)
    heard = "".join(answer.text + answer.errors for answers in said for answer in answers.values())
    assert "app" in heard or "617070" in heard
    hashes = re.findall(r"[0-9A-F]{40}", weak.sql("SELECT Priv FROM mysql.global_priv;"))
    assert len(set(hashes)) > 1
    assert not [each for each in hashes if each in heard], "a hash left the host"


def test_variables_come_back_both_ways(weak):
    proves(weak, [weak.item(each) for each in VARIABLES], ":", ":", more=MARIADB)


@pytest.mark.parametrize("control", sorted(HOSTS))
def test_a_hostile_name_comes_back_with_all_its_rows(weak, control):
    who = f"{HOSTILE}@{HOSTS[control]}"
    password = "''" if control == "MYS-IA-A-14" else "'it''s a \\\\ secret'"
    made = f"""mariadb --no-defaults -u root <<'SQL'
CREATE DATABASE `d'"e\\\\_%`; CREATE TABLE warnings.`t'"\\\\` (`c'"\\\\` INT, `e``f` INT);
CREATE USER {who} IDENTIFIED BY {password} REQUIRE SSL WITH MAX_USER_CONNECTIONS 3 PASSWORD EXPIRE INTERVAL 20 DAY;
GRANT FILE, RELOAD ON *.* TO {who} WITH GRANT OPTION;
GRANT SELECT, INSERT ON `d'"e\\\\_%`.* TO {who}; GRANT INSERT ON mysql.* TO {who};
GRANT SELECT (`c'"\\\\`, `e``f`), UPDATE (`e``f`) ON warnings.`t'"\\\\` TO {who};
CREATE ROLE `r'o`; GRANT `r'o` TO {who} WITH ADMIN OPTION; SET DEFAULT ROLE `r'o` FOR {who};
SQL"""
    gone = f"""mariadb --no-defaults -u root <<'SQL'
DROP USER {who}; DROP ROLE `r'o`; DROP TABLE warnings.`t'"\\\\`; DROP DATABASE `d'"e\\\\_%`;
SQL"""
    # root from elsewhere is told, not narrowed: gone first, nothing is left to tell
    first = ["MYS-AC-B-01"] if control == "MYS-AC-C-01" else []
    proves(weak, [weak.item(each) for each in (*first, control)], made, gone, more=MARIADB)


def test_the_host_takes_it_back_by_itself_when_nobody_confirms(weak):
    before = weak.manifest(MARIADB)
    items = [weak.item("MYS-IA-A-02"), weak.item("MYS-IP-B-01")]
    tx = weak.transaction(items, weak.steps(*items), ttl=6)
    try:
        assert not weak.begin(tx).failed
        assert weak.outcome("MYS-IA-A-02") == {"MYS-IA-A-02": Outcome.PASS}
        end = time.monotonic() + 60
        while weak.state(tx) is not TxState.UNDONE and time.monotonic() < end:
            time.sleep(1)
        assert weak.state(tx) is TxState.UNDONE
    finally:
        weak.undo(tx)
    assert differences(before, weak.manifest(MARIADB)) == []
