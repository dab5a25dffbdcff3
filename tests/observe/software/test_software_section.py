"""The software's section run by real shells over a folder that plays a host: programs, jars, unpacked servers."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.facts import Instance, Listener, Package
from agent.model.frames import Answer, Section, compose, split
from agent.observe.software import parse, sections, unseen

NONCE = "0123456789abcdef"
SHELLS = [
    pytest.param(words, id=words[0], marks=pytest.mark.skipif(not shutil.which(words[0]), reason=f"no {words[0]} here"))
    for words in (["dash"], ["bash", "--posix"], ["busybox", "sh"])
]

TOOLS = (
    "find", "awk", "grep", "sed", "tail", "head", "tr", "od", "gzip", "sort", "cut", "ls", "readlink", "timeout",
    "printf", "cat", "id",
)  # fmt: skip


class Root:
    """A folder that plays a host."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("/etc/passwd", "root:x:0:0::/:/\n")
        self.link("/proc/self/ns/pid", "pid:[1]")
        self.environment = ""

    def write(self, name: str, text: str | bytes = "", mode: int = 0o644) -> Path:
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def link(self, name: str, to: str) -> None:
        path = self.path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(to)

    def jar(self, name: str, members: dict[str, str | bytes], *, stored: bool = False) -> None:
        path = self.write(name)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
            for member, text in members.items():
                archive.writestr(member, text)

    def process(self, pid: int, comm: str, command: str, exe: str, *, parent: int = 0, opened=(), maps="", namespace=1):
        base = f"/proc/{pid}"
        self.write(f"{base}/comm", comm + "\n")
        self.write(f"{base}/cmdline", command.replace(" ", "\0") + "\0")
        self.write(f"{base}/status", f"Name:\t{comm}\nPPid:\t{parent}\nUid:\t0\t0\n")
        self.write(f"{base}/maps", maps)
        self.link(f"{base}/exe", f"{self.path}{exe}")
        self.link(f"{base}/ns/pid", f"pid:[{namespace}]")
        for number, path in enumerate(opened):
            self.link(f"{base}/fd/{number}", str(self.path) + path)

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for folder, _, names in sorted(os.walk(self.path)):
            for name in sorted(names):
                info = (Path(folder) / name).lstat()
                digest.update(f"{folder}/{name} {info.st_size} {info.st_mtime_ns} {info.st_mode}\n".encode())
        return digest.hexdigest()

    def answers(self, shell=("dash",)):
        [section] = sections()
        text = compose([Section(section.key, f"R={self.path}\n{self.environment}\n{section.script}", raw=True)], NONCE)
        before = self.fingerprint()
        done = subprocess.run(list(shell), input=text.encode(), capture_output=True, timeout=60, check=False)
        assert self.fingerprint() == before, "the section changed something"
        assert [line for line in done.stderr.decode().splitlines() if line and NONCE not in line] == []
        return split(done.stdout, done.stderr, NONCE)

    def seen(self, shell=("dash",), packages=(), listeners=(), instances=()):
        found = parse(self.answers(shell), packages, listeners, instances)
        return {(one.kind, one.location): one for one in found}


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


def pom(group, artifact, version):
    text = f"#made for a test\nversion={version}\ngroupId={group}\nartifactId={artifact}\n"
    return {f"META-INF/maven/{group}/{artifact}/pom.properties": text}


def manifest(version):
    return {"META-INF/MANIFEST.MF": f"Manifest-Version: 1.0\r\nImplementation-Version: {version}\r\n\r\n"}


def jars(root):
    big = os.urandom(1_200_000)
    core = pom("org.apache.logging.log4j", "log4j-core", "2.14.1")
    root.jar("/opt/app/lib/log4j-core-2.14.1.jar", manifest("2.14.1") | core)
    root.jar("/opt/app/lib/log4j-core-2.17.1.jar", core)
    root.jar("/opt/app/lib/log4j-core-2.17.1-sources.jar", core)
    root.jar("/opt/app/lib/log4j-1.2-api-2.17.1.jar", manifest("2.17.1"))
    root.jar("/opt/app/lib/fastjson.jar", pom("com.alibaba", "fastjson", "1.2.24"))
    root.jar("/opt/app/lib/log4j.jar", manifest("1.2.17"), stored=True)
    root.jar("/opt/app/lib/xstream.jar", {"x": "y"})
    root.jar("/opt/my app/shop.jar", manifest("1.0") | {"BOOT-INF/lib/spring-core-5.3.17.jar": big})
    root.jar("/opt/uber/all.jar", pom("org.apache.shiro", "shiro-core", "1.2.4") | {"padding": big})
    root.jar("/data/a.war", {"WEB-INF/lib/struts2-core-2.3.31.jar": "x", "WEB-INF/lib/other-1.0.jar": "x"})
    root.jar("/home/u/.m2/repository/log4j-core-2.0.jar", core)
    info = {"org/apache/catalina/util/ServerInfo.properties": "server.info=Apache Tomcat\nserver.number=9.0.70.0\n"}
    root.jar("/opt/apache-tomcat-9.0.70/lib/catalina.jar", info | {"padding": "x" * 9000})
    return {
        ("log4j-core", "/opt/app/lib/log4j-core-2.14.1.jar"): "2.14.1",
        ("log4j-core", "/opt/app/lib/log4j-core-2.17.1.jar"): "2.14.1",  # what it is, not what it is called
        ("fastjson", "/opt/app/lib/fastjson.jar"): "1.2.24",
        ("log4j", "/opt/app/lib/log4j.jar"): "1.2.17",
        ("xstream", "/opt/app/lib/xstream.jar"): "",
        ("spring-core", "/opt/my app/shop.jar!/BOOT-INF/lib/spring-core-5.3.17.jar"): "5.3.17",
        ("shiro-core", "/opt/uber/all.jar"): "1.2.4",
        ("struts2-core", "/data/a.war!/WEB-INF/lib/struts2-core-2.3.31.jar"): "2.3.31",
        ("tomcat", "/opt/apache-tomcat-9.0.70"): "9.0.70",
    }


@pytest.mark.parametrize("shell", SHELLS)
def test_jars_are_known_by_what_they_hold(root, shell):
    wanted = jars(root)
    found = root.seen(shell)
    assert {place: one.version for place, one in found.items()} == wanted
    assert {one.how for one in found.values()} == {"file"}


def test_jars_are_looked_into_without_unzip(root, tmp_path):
    wanted = jars(root)
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))
    root.environment = f"PATH={tools}"
    assert {place: one.version for place, one in root.seen().items()} == wanted


def test_a_find_of_few_words_is_enough(root, tmp_path):
    wanted = jars(root)
    tools = tmp_path / "tools"
    tools.mkdir()
    if not shutil.which("busybox"):
        pytest.skip("no busybox here")
    (tools / "find").symlink_to(shutil.which("busybox"))
    root.environment = f"PATH={tools}:$PATH"
    assert {place: one.version for place, one in root.seen().items()} == wanted


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_live_java_holds_open_is_told_with_its_process(root, shell):
    root.jar("/var/app/libs/fastjson-1.2.83_noneautotype.jar", {"x": "y"})
    root.jar("/var/app/libs/renamed.jar", pom("log4j", "log4j", "1.2.17"))
    root.jar("/var/app/app.jar", {"BOOT-INF/lib/jackson-databind-2.9.8.jar": "x"})
    root.jar("/var/app/never-opened/xstream-1.4.10.jar", {"x": "y"})
    opened = ["/var/app/libs/fastjson-1.2.83_noneautotype.jar", "/var/app/libs/renamed.jar"]
    command = "java -Dpassword=Fictional-1 -cp /var/app/never-opened/* -jar /var/app/app.jar"
    root.process(50, "java", command, "/usr/bin/java", opened=opened)
    found = root.seen(shell, listeners=[Listener("tcp", "0.0.0.0", 8080, "java", 50)])
    assert {(kind, one.version, one.pid, one.how, one.listening) for (kind, _), one in found.items()} == {
        ("fastjson", "1.2.83_noneautotype", 50, "process", True),
        ("log4j", "1.2.17", 50, "process", True),
        ("jackson-databind", "2.9.8", 50, "process", True),
    }


def test_where_open_files_are_not_seen_the_command_line_counts(root):
    root.jar("/srv/x/lib/xstream-1.4.10.jar", {"x": "y"})
    root.jar("/srv/x/snakeyaml-1.26.jar", {"x": "y"})
    root.process(50, "java", f"java -cp {root.path}/no:/srv/x/lib/*:/srv/x/snakeyaml-1.26.jar Main", "/usr/bin/java")
    assert {(one.kind, one.pid) for one in root.seen().values()} == {("xstream", 50), ("snakeyaml", 50)}


def test_a_running_tomcat_is_left_to_the_middleware_and_its_applications_are_not(root):
    jars(root)
    home = "/opt/apache-tomcat-9.0.70"
    root.jar(f"{home}/webapps/shop/WEB-INF/lib/shiro-core-1.2.4.jar", {"x": "y"})
    command = f"java -Dcatalina.home={home} org.apache.catalina.startup.Bootstrap start"
    root.process(51, "java", command, "/usr/bin/java")
    found = root.seen()
    assert ("tomcat", home) not in found
    assert found["shiro-core", f"{home}/webapps/shop/WEB-INF/lib/shiro-core-1.2.4.jar"].pid == 51


WEBLOGIC = '<domain><distribution status="installed" name="WebLogic Server" version="12.2.1.3.0"/></domain>'
COMPS = '<PRD_LIST><TL_LIST><COMP NAME="oracle.server" VER="19.0.0.0.0" BUILD_NUMBER="0"></COMP></TL_LIST></PRD_LIST>'


@pytest.mark.parametrize("shell", SHELLS)
def test_servers_in_java_tell_their_version_by_their_files(root, shell):
    root.write("/u01/mw/inventory/registry.xml", WEBLOGIC)
    (root.path / "u01/mw/wlserver/server").mkdir(parents=True)
    root.process(1, "java", "java -Dweblogic.home=/u01/mw/wlserver/server weblogic.Server", "/usr/bin/java")
    root.jar("/u/es/lib/elasticsearch-7.10.2.jar", {"x": "y"})
    root.process(2, "java", "java -Des.path.home=/u/es org.elasticsearch.bootstrap.Elasticsearch", "/u/es/jdk/bin/java")
    root.jar("/u/amq/lib/activemq-broker-5.15.9.jar", {"x": "y"})
    root.process(3, "java", "java -Dactivemq.home=/u/amq -jar /u/amq/bin/activemq.jar start", "/usr/bin/java")
    root.jar("/u/kafka/libs/kafka_2.13-2.8.0.jar", {"x": "y"})
    root.process(4, "java", "java -cp /u/kafka/libs/* kafka.Kafka conf", "/usr/bin/java")
    root.jar("/u/zk/lib/zookeeper-3.4.14.jar", {"x": "y"})
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    root.process(5, "java", f"java -cp /u/zk/lib/zookeeper-3.4.14.jar {main}", "/usr/bin/java")
    root.jar("/u/nacos/target/nacos-server.jar", {"BOOT-INF/lib/nacos-naming-2.0.3.jar": "x"})
    root.process(6, "java", "java -Dnacos.home=/u/nacos -jar /u/nacos/target/nacos-server.jar", "/usr/bin/java")
    found = {(one.kind, one.version) for one in root.seen(shell).values()}
    assert found == {
        ("weblogic", "12.2.1.3.0"), ("elasticsearch", "7.10.2"), ("activemq", "5.15.9"), ("kafka", "2.8.0"),
        ("zookeeper", "3.4.14"), ("nacos", "2.0.3"),
    }  # fmt: skip


def test_databases_tell_their_version_by_their_files(root):
    root.write("/u01/db/inventory/ContentsXML/comps.xml", COMPS)
    root.process(1, "ora_pmon_orcl", "ora_pmon_orcl", "/u01/db/bin/oracle")
    root.write("/gauss/version.cfg", "openGauss-5.0.0\n92.848\n")
    root.process(2, "gaussdb", "/gauss/bin/gaussdb -D /data", "/gauss/bin/gaussdb")
    root.write("/mysql/include/mysql_version.h", '#define MYSQL_SERVER_VERSION   "8.0.36"\n')
    root.process(3, "mysqld", "/mysql/bin/mysqld", "/mysql/bin/mysqld")
    root.process(
        4, "kingbase", "/opt/Kingbase/ES/V8/Server/bin/kingbase -D /d", "/opt/Kingbase/ES/V8/Server/bin/kingbase"
    )
    root.process(5, "dmserver", "/dm/bin/dmserver /dm/data/dm.ini", "/dm/bin/dmserver")
    root.process(
        6, "beam.smp", "beam.smp -pa /u/lib/rabbitmq_server-3.8.9/ebin -s rabbit", "/usr/lib/erlang/bin/beam.smp"
    )
    found = {(one.kind, one.version, one.location) for one in root.seen().values()}
    assert found == {
        ("oracle", "19.0.0.0.0", "/u01/db"),
        ("opengauss", "5.0.0", "/gauss"),
        ("mysql", "8.0.36", "/mysql/bin/mysqld"),
        ("kingbase", "8", "/opt/Kingbase/ES/V8/Server"),
        ("dm8", "", "/dm"),
        ("rabbitmq", "3.8.9", "/u/lib/rabbitmq_server-3.8.9"),
    }


PRINTS = "#!/bin/sh\necho 'Server version: Apache/2.4.57 (Unix)'\n"
HOLDS = b"\x7fELF\0Apache/2.2.0\0Apache/2.4.57 (Unix)\0OpenSSL 1.1.1k  25 Mar 2021\0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that is root's")
def test_a_program_is_run_only_when_it_is_roots_alone(root):
    root.write("/own/bin/httpd", PRINTS, 0o755)
    root.process(1, "httpd", "/own/bin/httpd -k start", "/own/bin/httpd")
    root.process(9, "httpd", "/own/bin/httpd -k start", "/own/bin/httpd", parent=1)
    root.write("/loose/bin/httpd", "#!/bin/sh\ntouch " + str(root.path / "ran") + "\n#Apache/2.4.1\n", 0o757)
    root.process(2, "httpd", "/loose/bin/httpd -k start", "/loose/bin/httpd")
    found = root.seen()
    assert found["httpd", "/own/bin/httpd"].version == "2.4.57"
    assert found["httpd", "/own/bin/httpd"].detail == "版本为程序自报"
    assert found["httpd", "/loose/bin/httpd"].version == "2.4.1"
    assert found["httpd", "/loose/bin/httpd"].detail == "版本读自程序文件"
    assert not (root.path / "ran").exists()
    assert len(found) == 2


@pytest.mark.parametrize("shell", SHELLS)
def test_the_newest_version_in_a_program_is_its_own_and_openssl_in_it_is_told(root, shell):
    root.write("/x/bin/httpd", HOLDS, 0o757)
    root.process(1, "httpd", "/x/bin/httpd", "/x/bin/httpd")
    found = {(one.kind, one.version, one.location, one.detail) for one in root.seen(shell).values()}
    assert found == {
        ("httpd", "2.4.57", "/x/bin/httpd", "版本读自程序文件"),
        ("openssl", "1.1.1k", "/x/bin/httpd", "静态链接"),
    }


def test_a_library_beside_the_package_manager_is_told_in_place_of_the_text_in_the_program(root):
    root.write("/x/bin/httpd", HOLDS, 0o757)
    root.write("/x/lib/libcrypto.so.1.0.2", b"\0OpenSSL 1.0.2k-fips  26 Jan 2017\0")
    maps = "7f-80 r-xp 0 0:1 5 /x/lib/libcrypto.so.1.0.2\n7f-80 r--p 0 0:1 5 /x/lib/libcrypto.so.1.0.2\n"
    root.process(1, "httpd", "/x/bin/httpd", "/x/bin/httpd", maps=maps)
    found = root.seen()
    assert ("openssl", "/x/bin/httpd") not in found
    assert found["openssl", "/x/lib/libcrypto.so.1.0.2"].version == "1.0.2k"


@pytest.mark.skipif(not shutil.which("dpkg-query"), reason="no dpkg here")
def test_owned_software_takes_its_packages_version_and_is_not_asked(root):
    root.write("/var/lib/dpkg/status", "")
    status = (
        "Package: apache2-bin\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.4.57-2\nMaintainer: x\n"
    )
    root.write("/var/lib/dpkg/status", f"{status}Description: x\n")
    root.write("/var/lib/dpkg/info/format", "1\n")
    root.write("/var/lib/dpkg/info/apache2-bin.list", "/.\n/usr/sbin/apache2\n/opt/java/log4j-core-2.19.0.jar\n")
    root.write("/usr/sbin/apache2", "#!/bin/sh\nexit 1\n", 0o755)
    root.jar("/opt/java/log4j-core-2.19.0.jar", {"x": "y"})
    root.process(1, "apache2", "/usr/sbin/apache2 -k start", "/usr/sbin/apache2")
    package = Package("apache2-bin", "2.4.57-2", "amd64", "apache2", "2.4.57-2", "dpkg")
    answers = root.answers()
    assert answers["sw.asked"].text.strip() == ""
    found = {one.kind: one for one in parse(answers, [package])}
    assert (found["httpd"].package, found["httpd"].version) == ("apache2-bin", "2.4.57")
    assert (found["log4j-core"].package, found["log4j-core"].version) == ("apache2-bin", "2.19.0")


def test_what_runs_in_a_container_or_is_not_seen_is_named(root):
    root.process(1, "mongod", "mongod", "/usr/bin/mongod", namespace=2)
    root.process(2, "memcached", "memcached -m 64", "/x")
    (root.path / "proc/2/exe").unlink()
    answers = root.answers()
    assert parse(answers, ()) == ()
    assert unseen(answers) == {
        "sw.servers": "运行在容器内，未检查：mongod×1",
        "sw.programs": "进程的程序不可见（需要特权），归属与版本未知：memcached×1",
    }


def test_an_instance_that_knows_its_version_is_not_told_again(root):
    root.write("/x/sbin/nginx", b"\0nginx/1.22.1\0", 0o757)
    root.process(7, "nginx", "nginx: master process /x/sbin/nginx", "/x/sbin/nginx")
    known = Instance("nginx", "/x/conf/nginx.conf", "1.22.1", "/x/sbin/nginx", "", "root", 7)
    assert root.seen(instances=[known]) == {}
    [told] = root.seen(instances=[Instance("nginx", "/x", "", "/x/sbin/nginx", "", "root", 7)]).values()
    assert told.version == "1.22.1"


def test_names_that_would_forge_lines_are_left_out(root):
    forged = "/opt/a\nJ\t1\t/opt/forged/log4j-core-2.0.jar\nx/log4j-core-2.1.jar"
    root.jar(forged, {"x": "y"})
    root.jar("/opt/tab\there/log4j-core-2.2.jar", {"x": "y"})
    root.jar("/opt/$(touch owned)`id`/log4j-core-2.3.jar", {"x": "y"})
    assert {one.version for one in root.seen().values()} <= {"2.0", "2.1", "2.3"}
    assert all(one.location.startswith("/opt/") for one in root.seen().values())


TEXT = st.text(st.sampled_from("SJNTHOVWXI\t\n/!=:.0123456789log4j-core.jar\x1b<$"), max_size=300)


@settings(max_examples=150, deadline=None)
@given(TEXT, TEXT, TEXT, TEXT)
def test_no_answer_breaks_the_reading(servers, found, owners, asked):
    texts = {"sw.servers": servers, "sw.jars": found, "sw.owners": owners, "sw.asked": asked}
    answers = {key: Answer(0, text, "") for key, text in texts.items()}
    for one in parse(answers, ()):
        assert "\n" not in one.location + one.version + one.detail
        assert "\x1b" not in one.location + one.version + one.detail
    unseen(answers)
