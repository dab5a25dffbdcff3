"""The shell that puts an account back, with a client that fails: what it says, and what it does not say."""

import shutil
import subprocess

import pytest

from agent.change.library import module

SHELLS = [[found] for name in ("dash", "bash") if (found := shutil.which(name))]
if shutil.which("busybox"):
    SHELLS.append([shutil.which("busybox"), "sh"])
HASH = "*" + "0123456789" * 4
ROW = f"INSERT INTO `global_priv` VALUES ('%','app','{HASH}');"
CLIENT = """#!/bin/sh
# as the real one: reads all, and repeats what failed
all=$(cat); printf '%s\\n' "$all" >>"$LOG"
case $all in
  *table_name*) printf 'db\\nglobal_priv\\n' ;;
  *slow_query_log\\;*|*@@session*) [ "$SLOW" = yes ] && echo 0 ;;
  *INSERT*)
    [ -n "$FAIL" ] || exit 0
    printf '%s\\n' -------------- "$all" -------------- "" "ERROR 1062 (23000) at line 5: Duplicate '$all'" >&2
    exit 1 ;;
esac
"""


@pytest.fixture(params=SHELLS, ids=lambda words: words[0].rpartition("/")[2])
def restore(request, tmp_path):
    """Run `h_mysqluser_restore` for app@% with such a client; exit code, output, what the client was given."""
    (tmp_path / "mariadb").write_text(CLIENT)
    (tmp_path / "mariadb").chmod(0o755)
    (tmp_path / "1.cap.was").write_text(f"{ROW}\n")

    def run(was=None, **environment):
        if was is not None:
            (tmp_path / "1.cap.was").write_text(was)
        library = "\n".join(map(module, ("core", "mysql", "h_mysqluser")))
        script = f"""TX=t; TXROOT={tmp_path}/tx; R=; handles() {{ :; }}; acts() {{ :; }}
{library}
my_on() {{ _myc={tmp_path}/mariadb; _mya=; _mys=/none; }}
h_mysqluser_restore {tmp_path}/1.cap "'app'@'%'" app % 3306
"""
        done = subprocess.run(
            [*request.param],
            input=script.encode(),
            capture_output=True,
            timeout=60,
            check=False,
            env={"PATH": "/usr/bin:/bin", "LOG": str(tmp_path / "log"), "FAIL": "", "SLOW": "yes", **environment},
        )
        return done.returncode, (done.stdout + done.stderr).decode(), (tmp_path / "log").read_text()

    return run


def test_all_rows_go_and_those_of_the_capture_come(restore):
    code, said, given = restore()
    assert (code, said) == (0, "")
    last = given[given.index("SESSION sql_log_off=1") :]
    for table in ("db", "global_priv"):
        assert f"DELETE FROM mysql.{table} WHERE HEX(User)='617070' AND HEX(Host)='25';" in last
    assert last.index("DELETE") < last.index(ROW) < last.index("FLUSH PRIVILEGES;")


def test_an_account_that_was_not_there_goes(restore):
    code, _, given = restore(was="absent\n")
    assert code == 0
    assert "INSERT" not in given
    assert "DELETE FROM mysql.global_priv" in given


def test_a_failure_is_told_without_the_statement(restore):
    code, said, _ = restore(FAIL="yes")
    assert code != 0
    assert said == "ERROR 1062 (23000)\n"
    assert HASH not in said


def test_a_server_without_a_slow_log_of_the_session_is_not_asked_for_it(restore):
    code, _, given = restore(SLOW="no")
    assert code == 0
    assert "SESSION sql_log_off=1;" in given
    assert "slow_query_log=0" not in given
