"""Ten thousand generated passwords, held to the targets' own rules by the targets themselves."""

import pytest

from agent.model.errors import ToolError
from agent.vault.generate import CHARACTERS, generate

COUNT = 10_000
PAM = """password requisite pam_pwquality.so retry=1 minlen=18 minclass=4 maxrepeat=3 maxsequence=4 \
usercheck=1 gecoscheck=1 dictcheck=1 enforce_for_root
password required pam_permit.so
"""
"""Judged, and nothing is set."""
CHPASSWD = f"""
trap 'mv -f /etc/pam.d/chpasswd.before /etc/pam.d/chpasswd' EXIT
cp -p /etc/pam.d/chpasswd /etc/pam.d/chpasswd.before
cat > /etc/pam.d/chpasswd <<'PAM'
{PAM}PAM
chpasswd 2>&1
"""


def made(kind):
    return [generate(CHARACTERS[kind]).reveal() for _ in range(COUNT)]


def test_pwquality_takes_all_of_them(lab):
    told = "".join(f"nobody:{text}\n" for text in made("linux"))
    assert lab.enter("node-06", "sh", "-c", CHPASSWD, stdin=told) == ""
    assert "nobody:*:" in lab.enter("node-06", "getent", "shadow", "nobody")


@pytest.mark.parametrize("text", ["Aa1!" * 4, "Xk9!vQabcdefgh#2LwRt", "Xk9!vQzzzzz#2LwRtPm"])
def test_pwquality_refuses_weak_ones(lab, text):
    with pytest.raises(ToolError):
        lab.enter("node-06", "sh", "-c", CHPASSWD, stdin=f"nobody:{text}\n")


MARIADB = """SET sql_log_bin=0; SET sql_log_off=1;
INSTALL SONAME 'simple_password_check';
SET GLOBAL simple_password_check_minimal_length=18, GLOBAL simple_password_check_digits=1,
 GLOBAL simple_password_check_letters_same_case=1, GLOBAL simple_password_check_other_characters=1;
CREATE OR REPLACE USER generated@localhost IDENTIFIED BY 'Xk9!vQ-7uT2LwRtPmZ-e';
"""
AFTER = "SET sql_log_bin=0; DROP USER generated@localhost; UNINSTALL SONAME 'simple_password_check';"


@pytest.fixture
def mariadb(lab):
    lab.enter("db-01", "mariadb", stdin=MARIADB)
    yield lambda texts: lab.enter(
        "db-01",
        "mariadb",
        stdin="SET sql_log_bin=0; SET sql_log_off=1;\n"
        + "".join(f"SET PASSWORD FOR generated@localhost = PASSWORD('{text}');\n" for text in texts),
    )
    lab.enter("db-01", "mariadb", stdin=AFTER)


def test_mariadbs_own_check_takes_all_of_them(mariadb):
    mariadb(made("mariadb"))
    with pytest.raises(ToolError, match="1819"):
        mariadb(["tooshort-A1"])


def test_postgresqls_own_check_takes_all_of_them(lab):
    def held(texts):
        told = "".join(f"ALTER ROLE generated PASSWORD '{text}';\n" for text in texts)
        lab.enter(
            "db-02",
            "sh", "-c", "cd /; exec runuser -u postgres -- psql -qX -v ON_ERROR_STOP=1",
            stdin="LOAD 'passwordcheck'; SET password_encryption='md5'; SET log_statement='none';\n"
            f"SET log_min_error_statement='panic'; BEGIN; CREATE ROLE generated;\n{told}ROLLBACK;\n",
        )  # fmt: skip

    held(made("postgresql"))
    with pytest.raises(ToolError, match="password"):
        held(["onlyletters"])
