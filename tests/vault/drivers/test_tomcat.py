"""Tomcat: one attribute of tomcat-users.xml, kept as the realm keeps it; every other byte stays."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from driverbench import USERS, Bench

from agent.model.account import Way
from agent.model.frames import Answer
from agent.model.secret import Secret
from agent.vault.drivers import Login
from agent.vault.drivers.tomcat import digested, keyed

NEW = "New.2-aB3cD4eF5gH6iJ7k"
DIGEST = '<CredentialHandler className="org.apache.catalina.realm.MessageDigestCredentialHandler" algorithm="SHA-256"/>'
KEY = '<CredentialHandler className="org.apache.catalina.realm.SecretKeyCredentialHandler"/>'


def change(bench, user="tomcat", text=NEW):
    return bench.run(bench.driver.change(bench.change(user, text)))


def which(bench, *texts):
    secrets = [Secret(text) for text in texts]
    said = bench.run(bench.driver.which(bench.change("tomcat"), secrets)).text.strip()
    if said.startswith("ask "):
        said = bench.run(bench.driver.which(bench.change("tomcat"), secrets, said.removeprefix("ask "))).text.strip()
    return said


def test_one_attribute_is_rewritten(tmp_path):
    bench = Bench(tmp_path, "tomcat")
    bench.users.chmod(0o640)
    assert change(bench).rc == 0
    assert bench.users.read_text() == USERS.format(name="tomcat").replace("'first-1'", f"'{NEW}'")
    assert bench.users.stat().st_mode & 0o777 == 0o640
    assert which(bench, "first-1", NEW) == "1"
    assert which(bench, "first-1", "a-comment") == "none"
    assert [path.name for path in bench.users.parent.iterdir() if path.name.startswith(".")] == []


def test_odd_characters_are_written_as_xml(tmp_path):
    bench = Bench(tmp_path, "tomcat")
    odd = "a\"b'c<d>&e$f`g\\h &amp;"
    assert change(bench, text=odd).rc == 0
    assert ET.fromstring(bench.users.read_bytes()).find("user").get("password") == odd
    assert which(bench, NEW, odd) == "1"


def test_a_name_with_entities_is_found(tmp_path):
    bench = Bench(tmp_path, "tomcat", name="o&apos;b&amp;x")
    assert change(bench, "o'b&x").rc == 0
    assert NEW in bench.users.read_text()


@pytest.mark.parametrize(
    ("user", "why"), [("bare", "no password"), ("twice", "several times"), ("nobody", "no such user")]
)
def test_what_is_not_clear_is_left(tmp_path, user, why):
    bench = Bench(tmp_path, "tomcat")
    answer = change(bench, user)
    assert (answer.rc, bench.users.read_text()) == (4, USERS.format(name="tomcat"))
    assert why in answer.errors


@pytest.mark.parametrize("handler", [DIGEST, KEY, DIGEST.replace("SHA-256", "md5")])
def test_a_realm_that_digests_gets_the_digest(tmp_path, handler):
    bench = Bench(tmp_path, "tomcat", handler=handler)
    assert change(bench).rc == 0
    assert NEW not in bench.users.read_text()
    assert which(bench, "x", NEW) == "1"
    assert which(bench, "x") == "none"


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (f'<CredentialHandler className="org.apache.catalina.realm.NestedCredentialHandler">{KEY}</CredentialHandler>',
         "NestedCredentialHandler"),
        ('<CredentialHandler className="cn.gov.OwnHandler"/>', "OwnHandler"),
        (DIGEST.replace("SHA-256", "SM3"), "SM3"),
    ],
)  # fmt: skip
def test_a_handler_that_is_not_known_is_refused_with_its_name(tmp_path, handler, why):
    bench = Bench(tmp_path, "tomcat", handler=handler)
    answer = change(bench)
    assert (answer.rc, bench.users.read_text()) == (4, USERS.format(name="tomcat"))
    assert why in answer.errors


def test_users_that_are_elsewhere_are_left(tmp_path):
    bench = Bench(tmp_path, "tomcat")
    server = bench.users.with_name("server.xml")
    text = server.read_text()
    server.write_text(text.replace("UserDatabaseRealm", "JNDIRealm"))
    answer = change(bench)
    assert answer.rc == 4
    assert "no UserDatabaseRealm" in answer.errors
    server.write_text(text.replace('pathname="conf/tomcat-users.xml"', 'pathname="https://x/users.xml"'))
    answer = change(bench)
    assert answer.rc == 4
    assert "https://x/users.xml" in answer.errors


def test_it_is_what_tomcat_itself_makes_of_a_password():
    """From runs of Tomcat 10.1's own digest.sh."""
    secret = Secret("s3cret")
    assert digested(secret, "MD5") == "33e1b232a4e6fa0028a6670753749a17"
    made = "9c1bc2ed17fdd407$3$5703bef97e1c2faf8e403b062feca842868f007516500ca5ec98d4cae2721632"
    assert digested(secret, "SHA256", bytes.fromhex(made.partition("$")[0]), 3) == made
    made = "03baa7e3aecefd3a$10$ae03f4db9108651429262f517a1d613862bb0992"
    assert keyed(secret, "PBKDF2WITHHMACSHA512", bytes.fromhex(made.partition("$")[0]), 10) == made


def test_a_file_that_is_read_at_the_next_start_is_told(tmp_path):
    bench = Bench(tmp_path, "tomcat")
    server = bench.users.with_name("server.xml")
    server.write_text(server.read_text().replace('users.xml"/>', 'users.xml" watchSource="false"/>'))
    answer = bench.run(bench.driver.login(bench.change("tomcat", NEW), Way.SERVICE))
    assert bench.driver.logged_in(answer) is Login.BARRED
    assert "effective after restart of tomcat.service" in answer.errors


@pytest.mark.parametrize(
    ("said", "ended"),
    [("status 200", Login.IN), ("status 403", Login.IN), ("status 401", Login.REJECTED), ("status 500", Login.BARRED)],
)
def test_how_a_login_ended(tmp_path, said, ended):
    assert Bench(tmp_path, "tomcat").driver.logged_in(Answer(0, said + "\n", "")) is ended


def test_a_lock_leaves_no_password_that_anybody_knows(tmp_path):
    bench = Bench(tmp_path, "tomcat")
    assert bench.run(bench.driver.lock(bench.change("tomcat"))).rc == 0
    assert which(bench, "first-1", NEW) == "none"
    assert "!locked-" in bench.users.read_text()
