"""What is left to do about an account of somebody who leaves, by what its host told; and sudoers without a name."""

import shutil
import subprocess
from pathlib import Path

import pytest

from agent.change.contract import Facts, FixError
from agent.change.registry import registry
from agent.model.change import Item, Skip, Why
from agent.model.frames import Answer

MODULES = Path(__file__).parents[2] / "agent" / "change" / "sh"
AWKS = [name for name in ("mawk", "gawk", "busybox") if shutil.which(name)]
OPEN = "acct\tsun\t1050\t1050\t/bin/bash\t/home/sun\tset\t3\t0\t99999\t7\t"
CLOSED = "acct\tsun\t1050\t1050\t/bin/bash\t/home/sun\tlocked\t3\t0\t99999\t7\t1"
KEYS = "key\t/home/sun/.ssh/authorized_keys"
SUBJECT = {"port": "3306", "account": "scan"}
HEX = {name: name.encode().hex().upper() for name in ("sun", "%", "scan", "10.0.0.1")}
UP = "up\t11.4.2-MariaDB\troot@localhost\t0\t/usr/lib/mysql/plugin\ndump"
PG = "up\t150004\tpostgres\tf\ton\t2f"


def planned(resource, text, state="locked", rc=0, login="ops", **options):
    options = {"account": "sun", **options}
    item = Item("a1", resource, {"state": state}, options, target="t", control="OFFBOARD", subject=SUBJECT)
    registry()[resource].check(item)
    found = registry()[resource].plan(item, Answer(rc, text, ""), Facts({"login": login}))
    return found if isinstance(found, Skip) else [(step.name, step.after) for step in found]


def test_everything_by_which_to_come_in_goes_and_the_processes_last():
    more = [KEYS, "cron\t/var/spool/cron/crontabs/sun", "sudo\t/etc/sudoers.d/sun", "runs"]
    found = planned("leave_host", "\n".join([OPEN, *more]))
    assert [name for name, _ in found] == [
        "sun", "/home/sun/.ssh/authorized_keys", "/var/spool/cron/crontabs/sun", "/etc/sudoers.d/sun", "sun 的会话",
    ]  # fmt: skip
    assert planned("leave_host", CLOSED) == []
    assert planned("leave_host", f"{CLOSED}\nruns") == [("sun 的会话", "结束")]
    assert planned("leave_host", "gone") == []
    assert planned("leave_host", f"gone\n{more[2]}") == [("/etc/sudoers.d/sun", "移除")]


@pytest.mark.parametrize("line", [OPEN, CLOSED.replace("locked", "set"), CLOSED[:-1], CLOSED[:-1] + "30000"])
def test_what_is_closed_by_half_is_not_closed(line):
    assert ("sun", "口令锁定、账号到期") in planned("leave_host", line)


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        ("", {}, Why.ERROR),
        (OPEN, {"rc": 2}, Why.ERROR),
        (OPEN, {"login": "sun"}, Why.UNSAFE),
        (OPEN, {"keep": ["sun"]}, Why.UNSAFE),
        (OPEN.replace("1050", "0"), {}, Why.UNSAFE),
        (f"{OPEN}\ntwin\tmoon", {}, Why.UNSAFE),
        (OPEN, {"account": "root"}, Why.UNSAFE),
        (OPEN, {"account": "a;b"}, Why.UNSAFE),
        (f"{CLOSED}\nodd\t/home/sun/.ssh/authorized_keys", {}, Why.MANUAL),
        (f"{CLOSED}\nhard\t/etc/sudoers", {}, Why.MANUAL),
        (f"{CLOSED}\nmate\tmoon\n{KEYS}", {}, Why.MANUAL),
        (OPEN, {"state": "deleted"}, Why.UNSAFE),
        (f"{CLOSED}\n{KEYS}", {"state": "deleted"}, Why.UNSAFE),
        (f"{CLOSED}\nruns", {"state": "deleted"}, Why.UNSAFE),
    ],
)
def test_what_is_not_touched_is_told(text, more, why):
    assert planned("leave_host", text, **more).why is why


def test_only_what_is_closed_is_deleted_with_its_home_where_it_is_its_own():
    assert planned("leave_host", CLOSED, "deleted") == [("sun", "删除，连同家目录")]
    assert planned("leave_host", f"{CLOSED}\nmate\tmoon", "deleted") == [("sun", "删除，家目录留下")]
    assert planned("leave_host", CLOSED.replace("/home/sun", "/"), "deleted") == [("sun", "删除，家目录留下")]
    assert planned("leave_host", "gone", "deleted") == []


def account(user, locked):
    return f"acct\t{HEX[user]}\t{HEX['%']}\tmysql_native_password\tset\t{locked}\t\t1\t0\t0"


def test_an_account_of_mariadb():
    both = [UP, account("sun", 0), account("scan", 0)]
    assert planned("leave_mysql", "\n".join(both), host="%") == [("sun@%", "锁定、会话结束")]
    assert planned("leave_mysql", "\n".join([UP, account("sun", 1)]), host="%") == []
    live = f"sess\t{HEX['sun']}\t{HEX['10.0.0.1']}\t3"
    assert planned("leave_mysql", "\n".join([UP, account("sun", 1), live]), host="%") == [("sun@%", "锁定、会话结束")]
    assert planned("leave_mysql", "\n".join([UP, account("sun", 1)]), "deleted", host="%") == [("sun@%", "删除")]
    assert planned("leave_mysql", "\n".join(both), "deleted", host="%").why is Why.UNSAFE
    assert planned("leave_mysql", "\n".join(both), account="scan", host="%").why is Why.UNSAFE
    assert planned("leave_mysql", "\n".join(both), host="localhost") == []
    assert planned("leave_mysql", UP, host="%").why is Why.ERROR
    assert planned("leave_mysql", "refused", host="%").why in {Why.UNSUPPORTED, Why.ERROR}


def role(name, oid, login):
    return f"role\t{name.encode().hex()}\t{oid}\tf\tf\tf\t{login}\tscram\tf\t"


def test_a_role_of_postgresql():
    live = f"sess\t{b'sun'.hex()}\t10.0.0.1\t\tidle\t3"
    boot = role("postgres", 10, "t")
    assert planned("leave_pg", "\n".join([PG, boot, role("sun", 99, "t")])) == [("sun", "不可登录、会话结束")]
    assert planned("leave_pg", "\n".join([PG, boot, role("sun", 99, "f")])) == []
    assert planned("leave_pg", "\n".join([PG, role("sun", 99, "f"), live])) == [("sun", "不可登录、会话结束")]
    assert planned("leave_pg", "\n".join([PG, role("sun", 99, "f")]), "deleted") == [("sun", "删除")]
    assert planned("leave_pg", "\n".join([PG, role("sun", 99, "t")]), "deleted").why is Why.UNSAFE
    assert planned("leave_pg", f"{PG}\n{boot}") == []
    assert planned("leave_pg", PG).why is Why.ERROR
    assert planned("leave_pg", f"{PG}\n{boot}", account="postgres").why is Why.UNSAFE
    assert planned("leave_pg", "\n".join([PG, role("scan", 98, "t")]), account="scan").why is Why.UNSAFE


def test_other_wants_are_refused():
    for want, options in (({"state": "open"}, {"account": "x"}), ({"state": "locked"}, {})):
        with pytest.raises(FixError):
            registry()["leave_host"].check(Item("a1", "leave_host", want, options))


SUDOERS = r"""Defaults env_reset
Defaults:sun !lecture
Defaults:sun,moon !lecture
User_Alias DBA = sun, moon
# sun is nobody
root ALL=(ALL:ALL) ALL
sun ALL=(ALL) NOPASSWD: \
   ALL
moon, sun ALL=(ALL) /bin/ls, \
   /bin/cat
#1050 ALL=(ALL) ALL
sunny ALL=(sun) ALL
%sudo ALL=(ALL:ALL) ALL
#includedir /etc/sudoers.d
@includedir /etc/more
"""
WITHOUT = r"""Defaults env_reset
Defaults:moon !lecture
User_Alias DBA = moon
# sun is nobody
root ALL=(ALL:ALL) ALL
moon ALL=(ALL) /bin/ls,     /bin/cat
sunny ALL=(sun) ALL
%sudo ALL=(ALL:ALL) ALL
#includedir /etc/sudoers.d
@includedir /etc/more
"""


@pytest.mark.parametrize("awk", AWKS)
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_sudoers_name_the_user_no_more_and_all_else_stays(tmp_path, shell, awk):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "awk").symlink_to(shutil.which(awk))
    file = tmp_path / "etc" / "sudoers"
    (tmp_path / "etc" / "sudoers.d").mkdir(parents=True)

    def run(script):
        head = f"PATH={tmp_path}/bin:$PATH; TX=t; R={tmp_path}; _has() {{ type $1 >/dev/null 2>&1; }}\n"
        body = "\n".join((MODULES / f"{name}.sh").read_text() for name in ("edit", "leaving"))
        return subprocess.run(
            [shell, "-s"], input=head + body + "\n" + script, capture_output=True, text=True, check=True, timeout=20
        ).stdout

    file.write_text(SUDOERS)
    assert run(f"lv_sudo {file} sun 1050 look") == "lines\n"
    run(f"lv_unsudo {file} sun 1050")
    assert file.read_text() == WITHOUT
    assert run(f"lv_sudo {file} sun 1050 look") == ""
    own = tmp_path / "etc" / "sudoers.d" / "sun"
    own.write_text("# his\nsun ALL=(ALL) ALL\n")
    run(f"lv_unsudo {own} sun 1050")
    assert not own.exists()
    file.write_text("User_Alias ONE = sun\n")
    assert run(f"lv_sudo {file} sun 1050 look") == "hard\n"
