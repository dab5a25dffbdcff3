"""MySQL and MariaDB: what is planned for canned readings, hostile ones too; what stands on no host is refused."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.change.contract import Facts, FixError
from agent.change.mysqlread import my_seen
from agent.change.registry import check, registry
from agent.change.sqlquote import my_account, my_name, my_text, plain
from agent.declared.playbooks import load_playbooks, shipped_playbooks
from agent.flows.planning import filled
from agent.model.change import Item, Risk, Skip, Why
from agent.model.frames import Answer

FACTS = Facts({"login": "ops", "from": "10.66.0.1"})
SUBJECT = {"engine": "mysql", "port": "3306", "account": "scan"}
HEAD = (
    "up\t10.11.18-MariaDB-0+deb12u1\troot@localhost\tOFF\t/usr/lib/mysql/plugin/",
    "unit\tmariadb.service",
    "dropin\t/etc/mysql/mariadb.conf.d/zz-secops.cnf",
    "servers\t1",
    "dump",
)
CONTROLS = [each for each in load_playbooks([shipped_playbooks()]) if each.target == "mysql"]


def hexed(text):
    return text.encode().hex().upper()


def var(name, value, *, read_only="NO", origin="COMPILE-TIME", kind="VARCHAR", default="", configured=None):
    conf = "" if configured is None else f"configured {configured}"
    return "\n".join(
        [
            f"var\t{name}\tvalue {value}",
            f"conf\t{name}\t{conf}",
            f"info\t{name}\t{read_only}\t{origin}\t{kind}\t{default}",
        ]
    )


def acct(user, host, plugin="mysql_native_password", *, password="set", locked=0, lifetime="", age="1", ssl=0, role=0):
    return f"acct\t{hexed(user)}\t{hexed(host)}\t{plugin}\t{password}\t{locked}\t{lifetime}\t{age}\t{ssl}\t{role}"


def plan(resource, want, *lines, head=HEAD, facts=FACTS, risk=(), **options):
    one = registry()[resource]
    item = Item("i", resource, want, options, subject=SUBJECT, risk=risk)
    one.check(item)
    return one.plan(item, Answer(0, "\n".join([*head, *lines]), ""), facts)


def variable(want, *lines, **more):
    return plan("mysql_variable", want, *lines, **more)


def account(select, want, *lines, **more):
    return plan("mysql_account", want, *lines, select=select, **more)


# --- every shipped fix ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("control", CONTROLS, ids=lambda each: each.id)
def test_every_shipped_fix_is_of_its_resources_form(control):
    fix = filled(dict(control.fix), {"db_networks": ["10.66.0.0/24"]})
    rest = {key: value for key, value in fix.items() if key not in {"resource", "want"}}
    check(Item("i", fix["resource"], fix.get("want"), rest))
    if fix["resource"] == "manual":
        assert fix.get("text"), "a person is told why"


def test_nothing_that_is_shipped_carries_a_secret():
    assert not [each.id for each in CONTROLS if "{secret}" in str(each.fix) or "IDENTIFIED BY" in str(each.fix)]


@pytest.mark.parametrize(
    ("resource", "want", "options"),
    [
        ("mysql_variable", None, {}),
        ("mysql_variable", {}, {}),
        ("mysql_variable", {"a;b": 1}, {}),
        ("mysql_variable", {"local_infile": False}, {}),
        ("mysql_variable", {"local_infile": "OFF'; DROP USER root"}, {}),
        ("mysql_variable", {"local_infile": "OFF\n[mysqld]"}, {}),
        ("mysql_variable", {"local_infile": "OFF"}, {"plugin": "../x"}),
        ("mysql_account", {"state": "absent"}, {}),
        ("mysql_account", {"state": "absent"}, {"select": "everybody"}),
        ("mysql_account", {"state": "locked"}, {"select": "anonymous"}),
        ("mysql_account", {"revoke": ["ALL"]}, {"select": "global_privileges"}),
        ("mysql_account", {"revoke": []}, {"select": "global_privileges"}),
        ("mysql_account", {"host": "10.0.0.0/8, %"}, {"select": "any_host"}),
        ("mysql_account", {"host": ["10.0.0.0/24", "10.0.1.0/24"]}, {"select": "any_host"}),
        ("mysql_account", {"days": 0}, {"select": "lifetime"}),
    ],
)
def test_a_fix_of_another_form_is_refused(resource, want, options):
    with pytest.raises(FixError):
        check(Item("i", resource, want, options))


# --- what a target says -----------------------------------------------------------------------------------------------

WANTS = {
    "variable": ("mysql_variable", {"wait_timeout": {"between": [60, 1800]}}, {}),
    "age": ("mysql_variable", {"default_password_lifetime": {"between": [1, 30]}}, {}),
    "tls": ("mysql_variable", {"require_secure_transport": "ON"}, {}),
    "anonymous": ("mysql_account", {"state": "absent"}, {"select": "anonymous"}),
    "lifetime": ("mysql_account", {"days": 30}, {"select": "lifetime"}),
    "privileges": ("mysql_account", {"revoke": ["FILE"]}, {"select": "global_privileges"}),
    "schema": ("mysql_account", {"revoke": ["INSERT"]}, {"select": "mysql_schema"}),
    "host": ("mysql_account", {"host": "10.66.0.0/24"}, {"select": "any_host"}),
}
HOSTILE = (
    "",
    "\t",
    "up",
    "down\tx",
    "up\t².0\troot@localhost\t1\t/x\nvar\twait_timeout\tvalue ²",
    "\n".join(HEAD) + "\nvar\tdefault_password_lifetime\tvalue ²\nacct\t6162\t25\tx\tset\t0\t\t²\t0\t0",
    "\n".join(HEAD) + "\nacct\tzz\t25\tx\tset\t0\t\t\t0\t0\nservers\t²\nacct\t6162\nvar\nconf\tx\tconfigured",
    "\n".join(HEAD)
    + "\nacct\tFFFE0A\t25\t\tempty\t0\t\t\t0\t0\npriv\tFFFE0A\t25\tFILE\ndb\tFFFE0A\t25\t6D7973716C\tINSERT",
    "\n".join(HEAD)
    + f"\n{acct('$(echo bad)', '%')}\npriv\t{hexed('$(echo bad)')}\t25\tFILE\nunit\t$(echo bad)\ndropin\t/$(echo bad)",
    "\n".join(HEAD) + f"\nvar\twait_timeout\tvalue {'9' * 5000}\nservers\t{'9' * 5000}",
    f"up\t{'9' * 5000}.0\troot@localhost\t1\t/x\nservers\t1\nvar\twait_timeout\tvalue 28800",
    "王\t" * 4000,
)


def said_by(write):
    """The arguments that a write's functions get, as a shell expands them."""
    names = ("my_do", "my_set", "my_keep", "my_kept", "my_plug")
    head = "\n".join(f'{name}() {{ printf "%s\\n" "$@"; }}' for name in names)
    done = subprocess.run(
        ["/bin/sh", "-u"], input=f"{head}\n{write}\n".encode(), capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("which", WANTS)
def test_hostile_answers_raise_nothing_and_reach_no_shell_unquoted(which, text):
    resource, want, options = WANTS[which]
    found = plan(resource, want, text, head=(), **options)
    told = [found.text] if isinstance(found, Skip) else [step.note for step in found]
    assert all(plain(each) for each in told), told
    for step in () if isinstance(found, Skip) else found:
        assert "bad" not in said_by(step.write).replace("$(echo bad)", "")
        assert all(plain(text) for text in (step.name, step.before, step.after))


@given(st.text(max_size=300))
def test_no_text_at_all_is_misread(text):
    for resource, want, options in WANTS.values():
        plan(resource, want, text, head=(), **options)
        plan(resource, want, text, **options)


@pytest.mark.parametrize("lines", [("down",), ("refused",), ()])
def test_without_a_login_through_the_socket_nothing_is_planned(lines):
    for resource, want, options in WANTS.values():
        found = plan(resource, want, *lines, head=(), **options)
        assert isinstance(found, Skip)
        assert found.why is (Why.UNSUPPORTED if lines else Why.ERROR)


# --- quoting ----------------------------------------------------------------------------------------------------------


def unquoted(sql, mark):
    """What the server reads in a literal under NO_BACKSLASH_ESCAPES, and what stands behind it."""
    assert sql[0] == mark
    said, at = "", 1
    while True:
        if sql[at : at + 2] == mark * 2:
            said, at = said + mark, at + 2
        elif sql[at] == mark:
            return said, sql[at + 1 :]
        else:
            said, at = said + sql[at], at + 1


PRINTED = st.text(st.characters(blacklist_categories=["Cs", "Cc"]) | st.sampled_from("'`\"\\%_@;-"))


@given(PRINTED, PRINTED)
def test_a_name_is_read_as_it_was_written_and_ends_where_it_should(user, host):
    said, rest = unquoted(my_account(user, host), "'")
    assert (said, rest[:1]) == (user, "@")
    assert unquoted(rest[1:], "'") == (host, "")
    assert unquoted(my_text(user), "'") == (user, "")
    assert unquoted(my_name(user), "`") == (user, "")


@pytest.mark.parametrize("text", ["a\nb", "\0", "a\tb", "\x7f", "\udc80"])
def test_what_cannot_stand_on_a_line_is_refused(text):
    with pytest.raises(ValueError, match="control"):
        my_text(text)


# --- variables --------------------------------------------------------------------------------------------------------


def test_a_running_value_is_set_and_kept_and_both_are_captured():
    (step,) = variable({"local_infile": "OFF"}, var("local_infile", "ON", kind="BOOLEAN", default="TRUE"))
    assert (step.group, step.name, step.before, step.after) == ("mysql", "local_infile", "ON", "OFF")
    assert [(each.kind, each.args) for each in step.handles] == [
        ("file", ("/etc/mysql/mariadb.conf.d/zz-secops.cnf",)),
        ("mysqlvar", ("local_infile", "3306")),
    ]
    assert "my_set 3306 local_infile OFF" in step.write
    assert "my_stands 3306 scan" in step.confirm


def test_what_is_as_wanted_now_and_at_the_next_start_stays():
    assert variable({"local_infile": "OFF"}, var("local_infile", "OFF", kind="BOOLEAN", default="FALSE")) == ()
    assert variable({"wait_timeout": {"between": [60, 1800]}}, var("wait_timeout", "600", default="600")) == ()


@pytest.mark.parametrize(
    "line",
    [
        var("local_infile", "OFF", kind="BOOLEAN", origin="SQL", default="TRUE"),
        var("local_infile", "OFF", kind="BOOLEAN", origin="SQL", default="FALSE", configured="1"),
        var("local_infile", "ON", kind="BOOLEAN", origin="SQL", default="FALSE"),
    ],
)
def test_what_holds_only_now_or_only_later_is_mended(line):
    (step,) = variable({"local_infile": "OFF"}, line)
    assert step.after == "OFF"


def test_what_a_start_alone_sets_waits_for_leave():
    line = var("log_bin", "OFF", read_only="YES", kind="BOOLEAN", default="FALSE")
    found = variable({"log_bin": "ON"}, line, apply="restart")
    assert isinstance(found, Skip)
    assert "重启" in found.text
    (step,) = variable({"log_bin": "ON"}, line, apply="restart", restart=True)
    assert Risk.RESTART in step.risk
    assert [act.verb for act in step.acts] == ["restart", "mysql"]
    assert "my_set" not in step.write


def test_a_plugin_is_loaded_only_where_its_library_lies():
    want = {"simple_password_check_digits": {"at_least": 1}}
    absent = "plugin\tsimple_password_check\tabsent"
    found = variable(want, "var\tsimple_password_check_digits\tabsent", absent, plugin="simple_password_check")
    assert isinstance(found, Skip)
    assert found.why is Why.UNSUPPORTED
    assert "simple_password_check" in found.text
    (step,) = variable(want, absent, "so\tsimple_password_check", plugin="simple_password_check")
    assert step.write.startswith("my_plug 3306 simple_password_check")
    assert ("mysqlplugin", ("simple_password_check", "3306")) in [(each.kind, each.args) for each in step.handles]


def test_a_variable_that_this_server_lacks_is_told():
    found = variable({"password_history": {"at_least": 5}}, "var\tpassword_history\tabsent")
    assert isinstance(found, Skip)
    assert found.why is Why.UNSUPPORTED


@pytest.mark.parametrize(
    "line", ["servers\t2", "arg\tdefaults-file", "arg\tlocal-infile"], ids=["two servers", "own file", "command line"]
)
def test_where_our_file_would_not_be_the_last_word_a_person_writes(line):
    found = variable({"local_infile": "OFF"}, var("local_infile", "ON"), line)
    assert isinstance(found, Skip)
    assert found.why is Why.MANUAL


def test_without_a_folder_of_settings_nothing_can_be_kept():
    head = [line for line in HEAD if not line.startswith("dropin")]
    found = variable({"local_infile": "OFF"}, var("local_infile", "ON"), head=head)
    assert isinstance(found, Skip)
    assert found.why is Why.UNSUPPORTED


def test_mysql_8_keeps_it_by_itself():
    head = ("up\t8.0.36\troot@localhost\tOFF\t/x", "unit\tmysql.service", "dropin\t", "servers\t1")
    (step,) = variable(
        {"local_infile": "OFF"}, "var\tlocal_infile\tvalue ON", "source\tlocal_infile\tCOMPILED", head=head
    )
    assert "SET PERSIST local_infile = " in step.write
    assert [each.kind for each in step.handles] == ["mysqlvar", "mysqlpersist"]


@pytest.mark.parametrize("age", ["", "31", "30", "-2"])
def test_a_limit_of_age_is_not_set_where_somebody_expires_at_once(age):
    want = {"default_password_lifetime": {"between": [1, 30]}}
    found = variable(want, var("default_password_lifetime", "0"), acct("root", "localhost", age=age))
    assert isinstance(found, Skip)
    assert found.why is Why.UNSAFE
    assert "root@localhost" in found.text


@pytest.mark.parametrize(
    "other", [acct("a", "%", age="3"), acct("a", "%", age="", locked=1), acct("a", "%", age="", lifetime="30")]
)
def test_a_limit_of_age_is_set_where_every_password_is_young_enough(other):
    want = {"default_password_lifetime": {"between": [1, 30]}}
    (step,) = variable(want, var("default_password_lifetime", "0"), other)
    assert step.after == "30"


def test_tls_is_asked_of_all_only_where_it_is_there_and_used():
    want, off = (
        {"require_secure_transport": "ON"},
        var("require_secure_transport", "OFF", kind="BOOLEAN", default="FALSE"),
    )
    bare = acct("scan", "10.66.0.1")
    for lines in ((var("have_ssl", "DISABLED"),), (var("have_ssl", "YES"), bare)):
        found = variable(want, off, *lines)
        assert isinstance(found, Skip)
        assert found.why is Why.UNSAFE
    (step,) = variable(want, off, var("have_ssl", "YES"), acct("scan", "10.66.0.1", ssl=1), acct("root", "localhost"))
    assert step.after == "ON"


# --- accounts ---------------------------------------------------------------------------------------------------------


def test_an_anonymous_account_goes_with_all_that_it_may():
    (step,) = account("anonymous", {"state": "absent"}, acct("", "localhost"), acct("app", "%"))
    assert step.handles[0].args == ("''@'localhost'", "", "localhost", "3306")
    assert "DROP USER" in step.write
    assert account("anonymous", {"state": "absent"}, acct("app", "%")) == ()


def test_root_of_elsewhere_goes_and_roots_own_stays():
    lines = [acct("root", host) for host in ("localhost", "127.0.0.1", "::1", "%", "db-02")]
    steps = account("remote_root", {"state": "absent"}, *lines)
    assert [each.name for each in steps] == ["root@%", "root@db-02"]


def test_who_is_logged_in_or_defines_something_is_not_dropped():
    busy = f"sess\t{hexed('root')}\t{hexed('10.66.0.9')}\t3"
    definer = f"definer\t{hexed('root@%')}"
    for line in (busy, definer):
        found = account("remote_root", {"state": "absent"}, acct("root", "localhost"), acct("root", "%"), line)
        assert isinstance(found, Skip)
        assert found.why is Why.UNSAFE
        assert "root@%" in found.text


def test_the_account_that_we_are_and_that_of_the_scans_are_never_locked_or_dropped():
    head = [line.replace("root@localhost", "root@%") for line in HEAD]
    found = account("remote_root", {"state": "absent"}, acct("root", "%"), head=head)
    assert isinstance(found, Skip)
    found = account("empty_password", {"state": "locked"}, acct("scan", "10.66.0.1", password="empty"))
    assert isinstance(found, Skip)
    assert found.why is Why.UNSAFE


def test_rights_of_administrators_stay_and_those_of_others_go():
    lines = [
        acct("app", "%"),
        acct("root", "%"),
        acct("mysql", "localhost"),
        acct("mariadb.sys", "localhost", locked=1),
    ]
    lines += [
        f"priv\t{hexed(user)}\t{hexed(host)}\tSUPER,FILE,RELOAD"
        for user, host in (("app", "%"), ("root", "%"), ("mysql", "localhost"))
    ]
    (step,) = account("global_privileges", {"revoke": ["FILE", "SUPER"]}, *lines)
    assert step.note == "app@%"
    assert step.before == "SUPER、FILE"
    assert "REVOKE SUPER, FILE ON *.* FROM" in step.write


def test_a_grant_on_names_like_mysql_is_a_persons():
    lines = (acct("app", "%"), f"db\t{hexed('app')}\t{hexed('%')}\t{hexed('m%')}\tINSERT")
    found = account("mysql_schema", {"revoke": ["INSERT"]}, *lines)
    assert isinstance(found, Skip)
    assert found.why is Why.UNSAFE


def test_an_account_is_narrowed_to_the_network_that_it_is_used_from():
    inside = f"sess\t{hexed('app')}\t{hexed('10.66.0.13')}\t0"
    (step,) = account("any_host", {"host": ["10.66.0.0/24"]}, acct("app", "%"), inside)
    assert step.after == "10.66.0.0/255.255.255.0"
    assert [each.args[2] for each in step.handles] == ["%", "10.66.0.0/255.255.255.0"]
    outside = f"sess\t{hexed('app')}\t{hexed('192.0.2.7')}\t0"
    taken = acct("app", "10.66.0.0/255.255.255.0")
    for line in (outside, taken):
        found = account("any_host", {"host": ["10.66.0.0/24"]}, acct("app", "%"), line)
        assert isinstance(found, Skip)
        assert found.why is Why.UNSAFE


def test_the_scans_own_account_is_narrowed_only_to_where_we_are():
    facts = Facts({"login": "ops", "from": "192.0.2.1"})
    found = account("any_host", {"host": ["10.66.0.0/24"]}, acct("scan", "%"), facts=facts)
    assert isinstance(found, Skip)
    assert "192.0.2.1" in found.text


def test_an_age_is_set_where_the_password_is_young_and_told_where_it_is_not():
    (step,) = account("lifetime", {"days": 30}, acct("app", "%", age="3"), acct("old", "%", age="40"))
    assert step.name.startswith("app@%")
    assert "old@% 未动" in step.note
    assert Risk.ACCOUNT_EXPIRY in step.risk


@pytest.mark.parametrize("missing", ["dump", "replica"])
def test_accounts_stay_where_they_could_not_be_put_back(missing):
    head = [line for line in HEAD if line != "dump"] if missing == "dump" else [HEAD[0].replace("OFF", "1"), *HEAD[1:]]
    found = account("anonymous", {"state": "absent"}, acct("", "localhost"), head=head)
    assert isinstance(found, Skip)
    assert found.why is Why.UNSUPPORTED


def test_names_travel_as_hexadecimal():
    seen = my_seen("\n".join([*HEAD, acct("a'b\t\"王", "%")]))
    (one,) = seen.accounts
    assert (one.user, one.name) == ("a'b\t\"王", "a'b?\"王@%")
