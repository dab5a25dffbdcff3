"""The middleware's section run by real shells over a fixture's root (`$R`): /proc, configuration trees, units."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.declared.playbooks import load_playbooks, shipped_playbooks
from agent.judge.controls import judge
from agent.model.control import Outcome
from agent.model.facts import Package
from agent.model.frames import Section, compose, split
from agent.observe.middleware import parse, sections, unseen

CONTROLS = load_playbooks([shipped_playbooks()])
NONCE = "0123456789abcdef0123456789abcdef"
SHELLS = [[shell] for shell in ("dash", "bash") if shutil.which(shell)]
if shutil.which("busybox"):
    SHELLS.append(["busybox", "sh"])
SECRET = "Zq7-kept-here"  # no output may hold it


class Root:
    """A fixture's root with processes in it."""

    def __init__(self, folder):
        self.path = folder / "root"
        self.path.mkdir()
        self.write(
            "/etc/passwd",
            "root:x:0:0::/:/\nwww-data:x:33:33::/:/\nredis:x:999:999::/:/\ntomcat:x:998:998::/:/\n",
        )
        self.link("/proc/self/ns/pid", "pid:[1]")

    def write(self, name, text, mode=0o644):
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)

    def link(self, name, to):
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(to)

    def process(
        self, pid, comm, cmdline, *, uid=0, parent=1, exe="/usr/sbin/x", namespace="pid:[1]", ports=(), unit=""
    ):
        base = f"/proc/{pid}"
        self.write(f"{base}/comm", comm + "\n")
        self.write(f"{base}/cmdline", cmdline)
        self.write(
            f"{base}/status",
            f"Name:\t{comm}\nPPid:\t{parent}\nUid:\t{uid}\t{uid}\nGid:\t{uid}\t{uid}\nGroups:\t{uid} \n",
        )
        self.write(f"{base}/cgroup", f"0::/system.slice/{unit}\n")
        self.link(f"{base}/exe", exe)
        self.link(f"{base}/ns/pid", namespace)
        rows = ["  sl  local_address rem_address st"]
        for number, port in enumerate(ports):
            rows.append(f"   {number}: 00000000:{port:04X} 00000000:0000 0A 0 0 0 0 0 {pid}{number}")
            self.link(f"{base}/fd/{number}", f"socket:[{pid}{number}]")
        self.write(f"{base}/net/tcp", "\n".join(rows) + "\n")

    def seen(self, packages=(), shell=("dash",)):
        [section] = sections(CONTROLS)
        script = compose([Section(section.key, f"R={self.path}\n{section.script}", raw=True)], NONCE)
        before = self.fingerprint()
        done = subprocess.run(list(shell), input=script.encode(), capture_output=True, timeout=60, check=False)
        assert self.fingerprint() == before, "the section changed something"
        assert SECRET.encode() not in done.stdout + done.stderr
        answers = split(done.stdout, done.stderr, NONCE)
        instances, subjects = parse(answers, "host", packages)
        return instances, subjects, unseen(answers), answers

    def fingerprint(self):
        digest = hashlib.sha256()
        for folder, _, names in sorted(os.walk(self.path)):
            for name in sorted(names):
                info = (Path(folder) / name).lstat()
                digest.update(f"{folder}/{name} {info.st_size} {info.st_mtime_ns} {info.st_mode}\n".encode())
        return digest.hexdigest()


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path)


def outcomes(subject):
    return {verdict.control: verdict.outcome for verdict in judge(subject, CONTROLS)}


NGINX = f"""
user www-data; # user root;
events {{ worker_connections 64; }}
http {{
  include mime.types;
  map $http_x_key $known {{ default 0; "{SECRET}" 1; }}
  log_format main '$remote_addr; autoindex on; }}';
  server_tokens off;
  include conf.d/*.conf; include nothing-here/*.conf;
  content_by_lua_block {{ local t = {{ autoindex = "on;" }} -- }}
  }}
}}
"""
SITE = f"""server {{
  listen 443 ssl; server_name "a b" 'c;d';
  ssl_protocols TLSv1.2
      TLSv1.3;
  location ~ \\.php$ {{ proxy_set_header Authorization "Basic {SECRET}"; proxy_pass http://u:{SECRET}@10.0.0.1; }}
  location / {{ autoindex on; access_log
     off; }}
}}
"""


def nginx(root, **files):
    root.write("/etc/nginx/nginx.conf", files.get("main", NGINX))
    root.write("/etc/nginx/mime.types", "types { text/html html; server_tokens on; }")
    root.write("/etc/nginx/conf.d/site.conf", files.get("site", SITE))
    root.process(
        10, "nginx", b"nginx: master process /usr/sbin/nginx -g daemon on;\0", exe="/usr/sbin/nginx", ports=(443,)
    )
    root.process(11, "nginx", b"nginx: worker process\0", uid=33, parent=10, exe="/usr/sbin/nginx")


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_nginx_is_read_with_its_includes_and_over_all_levels(root, shell):
    nginx(root)
    [instance], [subject], missed, _ = root.seen(
        [Package("nginx", "1.22.1-9", "amd64", "nginx", "1.22.1-9", "dpkg")], shell
    )
    assert (instance.kind, instance.location, instance.user, instance.pid) == (
        "nginx",
        "/etc/nginx/nginx.conf",
        "root",
        10,
    )
    table = subject.tables["nginx"]
    assert table["ssl_protocols"] == "TLSv1.2 TLSv1.3"
    assert table["server_tokens"] == "off"
    assert table["autoindex"] == "on"
    assert table["access_log"] == "off"
    assert table["user"] == "www-data"
    assert table["server_name"] == "a b c;d"
    assert table["proxy_pass"] == "http://<set>@10.0.0.1"
    assert subject.tables["process"]["workers"] == "www-data"
    assert subject.tables["process"]["listen"] == "0.0.0.0 443"
    assert "tls" in subject.features
    assert not missed
    said = outcomes(subject)
    assert {said[each] for each in ("NGX-IP-B-01", "NGX-AU-A-01")} == {Outcome.FAIL}
    assert {said[each] for each in ("NGX-IA-C-01", "NGX-IP-A-01", "NGX-AC-A-01", "NGX-AC-F-01")} == {Outcome.PASS}


@pytest.mark.parametrize(
    "site",
    [
        b"\x00\x01\xff\xfe autoindex \xd6\xd0 on;",
        b"server { location / { autoindex on;",
        b"}}}}}} ; ; autoindex on;",
        b"\n" + NONCE.encode() + b" > mw.nginx.1.config\nautoindex off;",
        b"a '" + b"x" * 70000,
        b"include /etc/nginx/conf.d/*.conf;",
        b"location $(touch /tmp/owned) { `id`; }",
        b"\x1b]0;owned\x07 <script>alert(1)</script>;",
    ],
)
def test_no_text_in_a_configuration_breaks_the_reading(root, site):
    nginx(root, site=site)
    instances, [subject], _, _ = root.seen()
    assert len(instances) == 1
    assert "\x1b" not in repr(subject.tables)
    assert subject.tables["nginx"]["server_tokens"] == "off"


def test_a_configuration_that_cannot_be_read_whole_is_no_pass(root):
    nginx(root, main="http { include conf.d/gone.conf; access_log /x; }")
    _, [subject], missed, _ = root.seen()
    assert "gone.conf: no such file" in subject.missing["nginx"]
    assert "mw.nginx.1.config" in missed
    assert outcomes(subject)["NGX-AU-A-01"] == Outcome.ERROR


def test_a_process_does_not_borrow_roots_eyes(root):
    # an ordinary user's process names a file that only its owner may read as its configuration
    root.write("/etc/shadow", f"root:{SECRET}:1::::::\n;", mode=0o600)
    root.write("/home/eve/redis.conf", "include /etc/shadow\nport 7\n")
    root.process(20, "nginx", b"nginx: master process nginx -c /etc/shadow\0", uid=4242)
    root.process(21, "redis-server", b"redis-server\0/home/eve/redis.conf\0", uid=4242)
    _, subjects, missed, _ = root.seen()
    assert [subject.kind for subject in subjects] == ["nginx", "redis"]
    assert all(subject.kind in subject.missing for subject in subjects)
    assert all("may not read it" in reason for reason in missed.values())


REDIS = f"""# requirepass {SECRET}
bind 127.0.0.1 10.0.0.1
port 6380
timeout 900
requirepass "{SECRET}Abcdefgh1"
masterauth {SECRET}
rename-command CONFIG {SECRET}
rename-command FLUSHALL ""
logfile ""
aclfile /etc/redis/users.acl
tls-key-file-pass {SECRET}
"""


def redis(root, pid=30, conf="/etc/redis/redis.conf", options=""):
    root.write("/etc/redis/redis.conf", REDIS, mode=0o644)
    root.write("/etc/redis/users.acl", f"user app on >{SECRET} #{'0' * 64} ~* +@all -@dangerous\nuser default off\n")
    root.write(
        "/lib/systemd/system/redis-server.service",
        f"[Service]\nExecStart=/usr/bin/redis-server {conf}{options}\n",
    )
    root.process(
        pid,
        "redis-server",
        b"/usr/bin/redis-server 127.0.0.1:6380\0\0\0",
        uid=999,
        exe="/usr/bin/redis-check-rdb",
        unit="redis-server.service",
        ports=(6380,),
    )


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_redis_is_read_from_its_unit_with_secrets_masked(root, shell):
    redis(root, options=f" --logfile /var/log/redis.log --masteruser {'m'}")
    [instance], [subject], missed, _ = root.seen(shell=shell)
    assert (instance.location, instance.user) == ("/etc/redis/redis.conf", "redis")
    table = subject.tables["redis"]
    assert table["requirepass"] == f"<set length={len(SECRET) + 9}>"
    assert (table["requirepass.weak"], table["requirepass.classes"]) == ("no", "4")
    assert table["logfile"] == "/var/log/redis.log"  # the command line outranks the file
    assert table["rename-command"].splitlines() == [f"CONFIG <renamed length={len(SECRET)}>", 'FLUSHALL ""']
    assert "-@dangerous" in table["user"]
    assert table["default-user"] == "off"
    assert not missed
    said = outcomes(subject)
    assert {said[each] for each in ("RDS-IA-A-01", "RDS-IA-A-02", "RDS-IP-C-01", "RDS-AC-D-01", "RDS-AU-A-01")} == {
        Outcome.PASS
    }
    assert said["RDS-AC-F-01"] == Outcome.FAIL


def test_a_drop_in_and_a_template_unit_are_followed(root):
    root.write("/etc/redis/redis-two.conf", "port 6380\nrequirepass redis123\n")
    root.write(
        "/lib/systemd/system/redis-server@.service", "[Service]\nExecStart=/usr/bin/redis-server /etc/redis/none.conf\n"
    )
    root.write(
        "/etc/systemd/system/redis-server@.service.d/a.conf",
        "[Service]\nExecStart=\nExecStart=-/usr/bin/redis-server /etc/redis/redis-%i.conf\n",
    )
    root.process(31, "redis-server", b"redis-server *:6380\0", uid=999, unit="redis-server@two.service")
    [instance], [subject], _, _ = root.seen()
    assert instance.location == "/etc/redis/redis-two.conf"
    assert subject.tables["redis"]["requirepass.weak"] == "yes"


def test_a_redis_whose_configuration_is_unknown_is_an_error_not_a_pass(root):
    root.process(32, "redis-server", b"redis-server *:6399\0", unit="session-1.scope")
    [instance], [subject], missed, _ = root.seen()
    assert instance.location == "port 6399"
    assert outcomes(subject)["RDS-IA-A-01"] == Outcome.ERROR
    assert missed


def test_two_instances_of_one_configuration_keep_stable_and_different_locations(root):
    root.write("/etc/redis/redis.conf", "bind 127.0.0.1\n")
    for pid, port in ((41, 7001), (40, 7002)):
        root.process(pid, "redis-server", b"redis-server\0/etc/redis/redis.conf\0", ports=(port,))
    first, _, _, _ = root.seen()
    assert sorted(each.location for each in first) == ["/etc/redis/redis.conf#7001", "/etc/redis/redis.conf#7002"]


SERVER = f"""<?xml version="1.0"?>
<!-- <Server port="-1"> <Valve className="org.apache.catalina.valves.AccessLogValve"/>
-->
<Server port="8005" shutdown="{SECRET}">
 <GlobalNamingResources><Environment name="k" value="{SECRET}"/></GlobalNamingResources>
 <Service name="Catalina">
  <Connector port="8080" protocol="HTTP/1.1" server='a>b'/>
  <Connector port="8443" SSLEnabled="true" keystorePass="{SECRET}"
     keystoreFile="conf/k.jks"/>
  <Connector protocol="AJP/1.3" port="8009" secret="{SECRET}"/>
  <Engine name="Catalina"><Realm className="org.apache.catalina.realm.LockOutRealm"/>
   <Host name="localhost" autoDeploy="false"><![CDATA[ <Valve className="x.AccessLogValve"/> ]]>
   <Context><Resource name="jdbc/a" password="{SECRET}"
     url="jdbc:mysql://u:{SECRET}@db/x?password={SECRET}"/></Context></Host>
  </Engine></Service></Server>
"""
USERS = f"""<tomcat-users><user username="tomcat" password="tomcat" roles="manager-gui"/>
<user username='deploy' password='{SECRET}&amp;x1' roles="manager-script"/></tomcat-users>"""
WEB = """<web-app><servlet><init-param><param-name>listings</param-name><param-value>true</param-value></init-param>
</servlet><session-config><session-timeout>30</session-timeout></session-config></web-app>"""


def tomcat(root, server=SERVER, users=USERS, mode=0o644):
    base = "/srv/tc"
    root.write(f"{base}/conf/server.xml", server)
    root.write(f"{base}/conf/tomcat-users.xml", users, mode)
    root.write(f"{base}/conf/web.xml", WEB)
    root.write(f"{base}/webapps/examples/index.html", "")
    root.write(f"{base}/webapps/shop.war", "")
    root.write(f"{base}/conf/Catalina/localhost/manager.xml", "<Context/>")
    root.write(f"{base}/RELEASE-NOTES", "  Apache Tomcat Version 9.0.70\n")
    command = f"java\0-Dcatalina.base={base}\0-Dpw={SECRET}\0org.apache.catalina.startup.Bootstrap\0start\0"
    root.process(50, "java", command.encode(), uid=998, exe="/usr/bin/java", ports=(8080, 8009))


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_tomcat_is_read_past_comments_and_with_secrets_masked(root, shell):
    tomcat(root)
    root.process(51, "java", b"java\0-jar\0other.jar\0", uid=998)
    [instance], [subject], missed, _ = root.seen(shell=shell)
    assert (instance.location, instance.version, instance.user) == ("/srv/tc", "9.0.70", "tomcat")
    table = subject.tables["tomcat"]
    assert (table["server.port"], table["ajp"], table["accesslogvalve"], table["lockoutrealm"]) == (
        "8005",
        "1",
        "0",
        "1",
    )
    assert [table[f"users{key}"] for key in ("", ".weak", ".short", ".manager")] == ["2", "1", "2", "2"]
    assert table["webapps"].splitlines() == ["examples", "manager", "shop"]
    assert table["webapps.samples"].splitlines() == ["examples", "manager"]
    assert (table["listings"], table["autodeploy"]) == ("true", "false")
    assert table["server.shutdown"] == f"<set length={len(SECRET)}>"
    assert subject.features == {"tls", "users"}
    assert not missed
    said = outcomes(subject)
    assert {said[each] for each in ("TOM-IA-A-01", "TOM-AC-B-01", "TOM-AU-A-01", "TOM-IP-B-01")} == {Outcome.FAIL}
    assert said["TOM-AC-A-01"] == Outcome.PASS


@pytest.mark.parametrize(
    ("server", "users"),
    [
        ("<Server port='-1'><Service>", USERS),
        ("<!DOCTYPE s [<!ENTITY x SYSTEM 'y.xml'>]><Server port='-1'>&x;</Server>", USERS),
        (SERVER, "<tomcat-users><user username="),
        (
            SERVER.replace(
                "<GlobalNamingResources>",
                "<GlobalNamingResources><Resource name='UserDatabase' pathname='/other.xml'/>",
            ),
            USERS,
        ),
    ],
)
def test_tomcat_files_that_are_broken_or_lead_elsewhere_are_errors(root, server, users):
    tomcat(root, server, users)
    _, [subject], _, _ = root.seen()
    said = outcomes(subject)
    assert Outcome.ERROR in {said["TOM-AU-A-01"], said["TOM-IA-A-01"]}
    assert Outcome.PASS not in {said["TOM-IP-B-01"], said["TOM-IA-A-01"], said["TOM-AU-A-01"]}


def test_what_runs_in_a_container_is_told_and_not_read(root):
    nginx(root)
    root.process(60, "nginx", b"nginx: master process nginx\0", namespace="pid:[2]")
    root.process(61, "redis-server", b"redis-server *:6379\0", namespace="pid:[2]")
    instances, _, missed, _ = root.seen()
    assert [each.kind for each in instances] == ["nginx"]
    assert missed == {"mw.ignored": "运行在容器内，未检查：nginx×1、redis-server×1"}


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_a_host_without_middleware_answers_nothing(root, shell):
    for pid in range(100, 130):
        root.process(pid, "sleep", b"sleep\0inf\0")
    instances, subjects, missed, answers = root.seen(shell=shell)
    assert (instances, subjects, missed, dict(answers)) == ((), (), {}, {})


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_the_section_is_shell(shell):
    [section] = sections(CONTROLS)
    done = subprocess.run([*shell, "-n"], input=section.script, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
