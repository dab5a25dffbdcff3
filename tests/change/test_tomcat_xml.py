"""Tomcat's XML: scanned and changed by place; what is planned is XML again, whatever a target says."""

import base64
import hashlib
import shlex
import subprocess
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from identity import controls
from middleware import of

from agent.change.contract import Facts, FixError
from agent.change.library import modules
from agent.change.registry import check, registry
from agent.change.splice import Edit, spliced
from agent.change.splice import shown as read_shown
from agent.change.xmlscan import XmlScanError, scan
from agent.model.change import Item, Skip, Why
from agent.model.frames import Answer

BASE = "/opt/t"
SERVER = """<?xml version="1.0"?>
<!-- <Server port="1"> -->
<Server port="8005" shutdown="xxxx">
  <Service name="Catalina">
    <Connector port="8080" protocol="HTTP/1.1"/>
    <Connector protocol="AJP/1.3" port="8009"
               secret="xxx" />
    <Engine name="Catalina" defaultHost="localhost">
      <Realm className="org.apache.catalina.realm.UserDatabaseRealm" resourceName="xxx"/>
      <Host name="a" appBase="webapps" autoDeploy="true">
      </Host>
      <Host name='b' appBase="b"/>
    </Engine>
  </Service>
</Server>
"""
LOCK = {"Realm[org.apache.catalina.realm.LockOutRealm]": {"failureCount": 5, "lockOutTime": 1800}}
ERRORS = {"Host/Valve[org.apache.catalina.valves.ErrorReportValve]": {"showReport": "false", "showServerInfo": "false"}}
LOG = {"Host/Valve[org.apache.catalina.valves.AccessLogValve]": {"pattern": "combined"}}
PIECES = st.sampled_from(
    [
        "<",
        ">",
        "/",
        "/>",
        "<a",
        "</a>",
        "a",
        ' b="',
        '"',
        "'",
        "=",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "<!D",
        " ",
        "\n",
        "&",
    ]
)
TEXTS = st.lists(PIECES, max_size=40).map("".join)


def told(more=(), **files):
    lines = ["unit\ttomcat.service"]
    for name, text in files.items():
        data = text.encode()
        path = f"{BASE}/conf/{name.replace('_', '-')}.xml"
        lines += [f"file\t{path}\t{path}\t{hashlib.sha256(data).hexdigest()}\t{len(data)}"]
        lines += [base64.b64encode(data).decode(), ".end"]
    return Answer(0, "\n".join([*lines, *more]), "")


def planned(want, answer, resource="tomcat_server_xml", **options):
    item = Item("i", resource, want, {"restart": True} | options, location=BASE)
    check(item)
    return registry()[resource].plan(item, answer, Facts({}))


def after(steps, text):
    edits = {}
    for step in steps:
        pieces = shlex.split(step.write)[3:]
        edits |= {
            Edit(int(o), int(n), t): None for o, n, t in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)
        }
    return spliced(text, edits)


@given(TEXTS)
@settings(max_examples=500, deadline=None)
def test_scanning_ends_and_agrees_with_a_real_parser(text):
    try:
        root = scan(text)
    except XmlScanError:
        return
    todo = [root]
    while todo:
        one = todo.pop()
        assert text.startswith(f"<{one.tag}", one.start)
        assert text[one.opened - 1] == ">"
        assert one.start < one.opened <= one.end <= len(text)
        todo += one.children
    try:
        real = ET.fromstring(text)
    except ET.ParseError:
        return  # what is between elements is not looked at
    assert (real.tag, len(list(real.iter()))) == (root.tag, 1 + sum(1 for _ in _all(root)))


def _all(one):
    for child in one.children:
        yield child
        yield from _all(child)


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_no_answer_of_a_target_makes_a_plan_fail(text):
    want = {"Server": {"port": "-1"}, "Connector[AJP]": "absent", **LOCK, **ERRORS, "web.xml": {"listings": "false"}}
    assert isinstance(planned(want, told(server=text, web=text)), tuple | Skip)
    planned({"tomcat-users.xml": {"weak": "absent"}}, told(server=SERVER, tomcat_users=text))
    planned({"Server": {"port": "-1"}}, Answer(0, text, ""))


def test_attributes_change_and_no_other_byte():
    steps = planned({"Server": {"port": "-1"}, "Host": {"autoDeploy": "false"}}, told(server=SERVER))
    made = after(steps, SERVER)
    assert made == (
        SERVER.replace('<Server port="8005"', '<Server port="-1"')
        .replace('autoDeploy="true"', 'autoDeploy="false"')
        .replace("""appBase="b"/>""", """appBase="b" autoDeploy="false"/>""")
    )
    assert [step.before for step in steps] == ["8005", "true；true（默认）"]
    assert planned({"Server": {"port": "-1"}, "Host": {"autoDeploy": "false"}}, told(server=made)) == ()


def test_a_connector_is_commented_out_unless_a_comment_cannot_hold_it():
    made = after(planned({"Connector[AJP]": "absent"}, told(server=SERVER)), SERVER)
    assert '<!-- secops: <Connector protocol="AJP/1.3" port="8009"\n               secret="xxx" /> -->' in made
    assert len(scan(made).every("Connector")) == 1
    left = planned({"Connector[AJP]": "absent"}, told(server=SERVER.replace('secret="xxx"', 'secret="---"')))
    assert isinstance(left, Skip)
    assert left.why is Why.MANUAL


def test_valves_come_into_every_host_and_a_realm_into_its_guard():
    steps = planned({**ERRORS, **LOG, **LOCK}, told(server=SERVER))
    made = after(steps, SERVER)
    root = scan(made)
    assert [sorted(v.kind for v in host.children) for host in root.every("Host")] == [
        ["AccessLogValve", "ErrorReportValve"]
    ] * 2
    (guard,) = [one for one in root.every("Realm") if one.kind == "LockOutRealm"]
    assert [one.kind for one in guard.children] == ["UserDatabaseRealm"]
    assert (guard.get("failureCount"), guard.get("lockOutTime")) == ("5", "1800")
    ET.fromstring(made)
    assert planned({**ERRORS, **LOG, **LOCK}, told(server=made)) == ()
    weak = made.replace('failureCount="5"', 'failureCount="50"').replace('showReport="false"', 'showReport="true"')
    assert after(planned({**ERRORS, **LOCK}, told(server=weak)), weak) == made


def test_a_log_on_the_engine_is_enough_and_is_left_as_it_is():
    text = SERVER.replace(
        "<Realm", '<Valve className="org.apache.catalina.valves.AccessLogValve" pattern="%h"/><Realm', 1
    )
    assert planned(LOG, told(server=text)) == ()


WEB = """<web-app><servlet><init-param><param-name>listings</param-name><param-value> true
</param-value></init-param><init-param><param-name>other</param-name><param-value>xxxx</param-value></init-param></servlet>
<session-config><session-timeout>-1</session-timeout></session-config></web-app>"""


def test_web_xml_is_changed_in_its_texts():
    want = {"web.xml": {"listings": "false", "readonly": "true", "session-timeout": 30}}
    steps = planned(want, told(server=SERVER, web=WEB))
    made = after(steps, WEB)
    assert made == WEB.replace(" true\n", " false\n").replace(">-1<", ">30<")
    assert planned(want, told(server=SERVER, web=made)) == ()
    assert planned(want, told(server=SERVER, more=["absent\tweb.xml"])) == ()


def test_weak_users_are_commented_out_and_named_without_their_passwords():
    users = (
        '<tomcat-users><user username="a" password="wwww" roles="r"/>'
        '<user username="b" password="xxxxxxxx"/><user username="c"/></tomcat-users>'
    )
    want = {"tomcat-users.xml": {"weak": "absent"}}
    (step,) = planned(want, told(server=SERVER, tomcat_users=users))
    assert step.before == "a（弱口令）"
    assert after([step], users).startswith(
        '<tomcat-users><!-- secops: <user username="a" password="wwww" roles="r"/> --><user'
    )
    dashes = planned(want, told(server=SERVER, tomcat_users=users.replace("wwww", "----")))
    assert isinstance(dashes, Skip)
    elsewhere = SERVER.replace("<Service", '<Resource name="UserDatabase" pathname="/x"/><Service')
    assert isinstance(planned(want, told(server=elsewhere, tomcat_users=users)), Skip)


def test_restart_is_asked_for_and_ports_are_waited_for():
    found = planned({"Server": {"port": "-1"}}, told(server=SERVER), restart=False)
    assert isinstance(found, Skip)
    assert found.why is Why.EXCLUDED
    (step,) = planned({"Server": {"port": "-1"}}, told(server=SERVER))
    assert step.acts[0].args == ("tomcat.service", "8080")


def test_applications_are_moved_to_a_folder_of_roots():
    more = ["app\t/opt/t/webapps/docs", "context\t/opt/t/conf/Catalina/localhost/docs.xml", "app\t/opt/t/webapps/x;rm"]
    steps = planned({"docs": "moved"}, told(more, server=SERVER), "tomcat_webapps")
    assert [step.handles[0].kind for step in steps] == ["moved", "moved"]
    assert steps[0].write == "tc_move /opt/t/webapps/docs /var/lib/secops-agent/moved/opt/t/webapps/docs"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(0, "none", ""), Why.UNSUPPORTED),
        (Answer(0, "", ""), Why.ERROR),
        (told(server="<Server>"), Why.ERROR),
        (told(server="<!DOCTYPE x><Server/>"), Why.ERROR),
    ],
)
def test_what_cannot_be_understood_is_skipped_with_its_reason(answer, why):
    found = planned({"Server": {"port": "-1"}}, answer)
    assert isinstance(found, Skip)
    assert found.why is why


@pytest.mark.parametrize(
    "want",
    [
        None,
        {},
        {"Context": {}},
        {"Server": "x"},
        {"Server": {"port": '"'}},
        {"Connector[AJP]": {}},
        {"web.xml": {"x": "1"}},
        {"Host": {"autoDeploy": False}},
    ],
)
def test_a_malformed_fix_is_refused(want):
    with pytest.raises(FixError):
        check(Item("i", "tomcat_server_xml", want, location=BASE))


def test_every_control_of_tomcat_and_redis_has_a_fix_of_its_resources_form():
    for name, control in controls().items():
        if control.target in {"tomcat", "redis"}:
            check(of(name, BASE))


USERS = """<?xml version="1.0"?>
<!-- <user username="a" password="hidden1"/> -->
<tomcat-users><user username="tomcat" password="tomcat" roles="manager-gui"/>
<user password='hidden--2longer' username="x"/><user password="hidden3longenough" username="y"/>
<user password="myname&amp;1" username="myname&amp;1"/>
<![CDATA[ <hidden4> ]]>hidden5<a connectionPassword="hidden6" name="n"/></tomcat-users>"""


@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["busybox", "sh"]], ids=lambda each: each[0])
def test_the_target_covers_secrets_and_tells_weak_ones(tmp_path, shell):
    (tmp_path / "u.xml").write_text(USERS)
    script = f"LC_ALL=C; export LC_ALL; R=; TX=none; TXROOT=/none\n{modules(('splice', 'mw', 'tomcat'))}\n"
    done = subprocess.run(
        [*shell, "-c", f'{script}splice_show {tmp_path}/u.xml "$tc_awk"'], capture_output=True, text=True, check=True
    )
    files, missing = read_shown(done.stdout.splitlines())
    text = files[f"{tmp_path}/u.xml"].text
    assert not missing
    assert len(text) == len(USERS)
    assert "hidden" not in text
    one, two = scan(text).every("user"), scan(USERS).every("user")
    assert [(each.start, each.end) for each in one] == [(each.start, each.end) for each in two]
    assert [set(each.get("password")) for each in one] == [{"w"}, {"-"}, {"x"}, {"w"}]


@pytest.mark.parametrize("shell", [["dash"], ["bash"], ["busybox", "sh"]], ids=lambda each: each[0])
def test_what_was_moved_comes_back_also_after_a_kill_in_between(tmp_path, shell):
    source, kept = tmp_path / "webapps" / "docs", tmp_path / "root" / "moved" / "docs"

    def run(script):
        head = f"R=; TX=none; TXROOT=/none\n{modules(('splice', 'mw', 'tomcat', 'h_moved'))}\n"
        done = subprocess.run([*shell, "-c", head + script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (source / "in").mkdir(parents=True)
    (source / "in" / "f").write_text("x")
    was = run(f"h_moved_print {source} {kept}")
    (tmp_path / "c.was").write_text(was)
    run(f"tc_move {source} {kept}")
    assert not source.exists()
    assert (kept / "in" / "f").read_text() == "x"
    source.mkdir()  # as if killed while the folder was being removed
    run(f"h_moved_restore {tmp_path}/c {source} {kept}; h_moved_restore {tmp_path}/c {source} {kept}")
    assert (source / "in" / "f").read_text() == "x"
    assert run(f"h_moved_print {source} {kept}") == was
    assert not kept.exists()
