"""The shell of identity and access on a fake root, under dash, bash and busybox: what is written, byte by byte."""

import shutil
import subprocess

import pytest

from agent.change.library import module

SHELLS = [[found] for name in ("dash", "bash") if (found := shutil.which(name))]
if shutil.which("busybox"):
    SHELLS.append([shutil.which("busybox"), "sh"])
NAMES = ("core", "edit", "sshd", "account", "h_account", "pam", "profile", "logindefs")
SSHD = """\
Include /etc/ssh/sshd_config.d/*.conf
MaxAuthTries 9
# PermitRootLogin no
Match User bob
  PermitRootLogin yes
"""


@pytest.fixture(params=SHELLS, ids=lambda words: words[0].rpartition("/")[2])
def sh(request, tmp_path):
    """Run shell with the library; `/etc/passwd` and `/etc/shadow` are those of the fake root."""

    def run(script, rc=0):
        library = (
            "\n".join(map(module, NAMES)).replace(" /etc/", f" {tmp_path}/etc/").replace('"/etc/', f'"{tmp_path}/etc/')
        )
        head = f"TX=t; TXROOT={tmp_path}/tx; R={tmp_path}; set -u\nhandles() {{ :; }}; acts() {{ :; }}\n"
        done = subprocess.run(
            [*request.param],
            input=f"{head}{library}\n{script}\n".encode(),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == rc, done.stderr.decode()
        return done.stdout.decode()

    (tmp_path / "etc").mkdir()
    run.root = tmp_path
    return run


def put(sh, name, text):
    path = sh.root / name.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_first_value_of_sshd_is_ours_and_the_losers_stay(sh):
    path = put(sh, "/etc/ssh/sshd_config", SSHD)
    sh(f"sshd_set {path} MaxAuthTries 4; sshd_set {path} PermitRootLogin no; sshd_set {path} MaxAuthTries 3")
    head = "# secops: the first value counts\n"
    assert path.read_text() == f"{head}MaxAuthTries 3\n{head}PermitRootLogin no\n{SSHD}"
    ours = put(sh, "/etc/ssh/sshd_config.d/00-secops.conf", "MaxAuthTries 4\n")
    sh(f"sshd_set {ours} MaxAuthTries 3; sshd_set {ours} Banner none")
    assert ours.read_text() == "MaxAuthTries 3\nBanner none\n"


@pytest.mark.parametrize(
    ("main", "others", "place"),
    [
        (SSHD, {}, "sshd_config.d/00-secops.conf"),
        (SSHD, {"50-cloud-init.conf": "MaxAuthTries 9\n"}, "sshd_config.d/00-secops.conf"),
        (SSHD, {"00-lab.conf": "maxauthtries=9\n"}, "sshd_config"),
        (SSHD, {"00-lab.conf": "#MaxAuthTries 9\nPort 22\n"}, "sshd_config.d/00-secops.conf"),
        ("Port 22\n" + SSHD, {}, "sshd_config"),
        ("# nothing\n", {}, "sshd_config"),
    ],
)
def test_where_a_value_wins(sh, main, others, place):
    put(sh, "/etc/ssh/sshd_config", main)
    (sh.root / "etc/ssh/sshd_config.d").mkdir()
    for name, text in others.items():
        put(sh, f"/etc/ssh/sshd_config.d/{name}", text)
    found = sh(f"sshd_main() {{ echo {sh.root}/etc/ssh/sshd_config; }}; sshd_place MaxAuthTries").strip()
    assert found == f"{sh.root}/etc/ssh/{place}"


def test_lines_are_told_with_their_match_block(sh):
    put(sh, "/etc/ssh/sshd_config", SSHD.partition("\n")[2])
    rows = sh(f"sshd_main() {{ echo {sh.root}/etc/ssh/sshd_config; }}; sshd_lines").splitlines()
    assert [row.split("\t")[1:] for row in rows] == [
        ["1", "maxauthtries", "0", "9"],
        ["4", "permitrootlogin", "1", "yes"],
    ]


PASSWD = "root:x:0:0:root:/root:/bin/bash\na.b:x:7:7::/:/bin/sh\nab:h$1&\\1:8:8:x&y:/h:/bin/sh\n"
SHADOW = "root:$6$a:1::::::\na.b::1:0:99999:7:::\nab:$6$&\\0/:1:0:99999:7:::\n"


def test_one_account_changes_and_the_others_do_not(sh):
    passwd, shadow = put(sh, "/etc/passwd", PASSWD), put(sh, "/etc/shadow", SHADOW)
    shadow.chmod(0o640)
    sh("acct_close a.b && acct_close ab && acct_shell ab /usr/sbin/nologin && acct_age ab 1 30 7 && acct_ends ab")
    assert shadow.read_text() == "root:$6$a:1::::::\na.b:!:1:0:99999:7:::\nab:!$6$&\\0/:1:1:30:7::1:\n"
    assert (
        passwd.read_text()
        == "root:x:0:0:root:/root:/bin/bash\na.b:x:7:7::/:/bin/sh\nab:!h$1&\\1:8:8:x&y:/h:/usr/sbin/nologin\n"
    )
    assert shadow.stat().st_mode & 0o777 == 0o640
    assert not list((sh.root / "etc").glob("*.lock"))
    assert not list((sh.root / "etc").glob("*.secops"))


def test_an_account_comes_back_whatever_the_others_did(sh):
    passwd, shadow = put(sh, "/etc/passwd", PASSWD), put(sh, "/etc/shadow", SHADOW)
    cap = sh.root / "1.cap"
    sh(
        f"h_account_print ab >{cap}.was; acct_close ab; acct_shell ab /bin/false; acct_close a.b; "
        f"h_account_restore {cap} ab; h_account_restore {cap} ab"
    )
    assert passwd.read_text() == PASSWD
    assert shadow.read_text() == SHADOW.replace("a.b::", "a.b:!:")


def test_no_hash_is_told(sh):
    put(sh, "/etc/passwd", PASSWD)
    put(sh, "/etc/shadow", SHADOW)
    told = sh("acct_list")
    assert "$6$" not in told
    assert "h$1" not in told
    assert [row.split("\t")[6] for row in told.splitlines()] == ["set", "empty", "set-passwd"]


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ("minlen 18", "password  requisite pam_pwquality.so retry=3 minlen=18"),
        ("retry ''", "password  requisite pam_pwquality.so"),
        ("enforce_for_root -", "password  requisite pam_pwquality.so retry=3 enforce_for_root"),
    ],
)
def test_one_argument_of_one_line(sh, args, line):
    others = "# password requisite pam_pwquality.so retry=3\nauth requisite pam_pwquality.so retry=3\n"
    path = put(sh, "/etc/pam.d/x", f"{others}password  requisite pam_pwquality.so retry=3\n")
    sh(f"pam_arg {path} password pam_pwquality.so {args}")
    assert path.read_text() == f"{others}{line}\n"


def test_a_file_that_changed_meanwhile_is_not_overwritten(sh):
    path = put(sh, "/etc/pam.d/x", "as it is\n")
    sh(f"echo planned | pam_put {path} 0123 2>/dev/null", rc=1)
    assert path.read_text() == "as it is\n"


def test_login_defs_keep_what_stood_there(sh):
    path = put(sh, "/etc/login.defs", "UMASK\t\t022\n# UMASK 077\nUMASKX 1\nUMASK 002\n")
    sh(f"defs_set {path} UMASK 027; defs_set {path} PASS_MAX_DAYS 30")
    assert path.read_text() == "# UMASK\t\t022\nUMASK\t027\n# UMASK 077\nUMASKX 1\n# UMASK 002\nPASS_MAX_DAYS\t30\n"


@pytest.mark.parametrize(
    ("name", "value", "before", "after"),
    [
        ("TMOUT", 600, "if x; then TMOUT=7200; fi", "# if x; then TMOUT=7200; fi\nif x; then TMOUT=600; fi"),
        ("TMOUT", 600, "readonly TMOUT=3600 A=1", "# readonly TMOUT=3600 A=1\nreadonly TMOUT=600 A=1"),
        ("TMOUT", 600, "TMOUT=300", "TMOUT=300"),
        ("TMOUT", 600, "TMOUT=0", "# TMOUT=0\nTMOUT=600"),
        ("TMOUT", 600, "TMOUT=30", "# TMOUT=30\nTMOUT=600"),
        ("TMOUT", 600, "MY_TMOUT=9999", "MY_TMOUT=9999"),
        ("HISTSIZE", 50, "HISTSIZE=1000", "# HISTSIZE=1000\nHISTSIZE=50"),
        ("HISTSIZE", 50, "HISTSIZE=0", "HISTSIZE=0"),
        ("umask", "027", "    umask 022", "#     umask 022\n    umask 027"),
        ("umask", "027", "umask 0002;", "# umask 0002;\numask 027;"),
        ("umask", "027", "umask 077", "umask 077"),
        ("umask", "027", "# umask 002", "# umask 002"),
    ],
)
def test_a_value_is_lowered_in_place(sh, name, value, before, after):
    path = put(sh, "/etc/profile", f"one\n{before}\nend\n")
    sh(f"profile_set {path} {name} {value}")
    assert path.read_text() == f"one\n{after}\nend\n"
