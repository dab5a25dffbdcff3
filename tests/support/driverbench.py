"""A target's files in a folder, and a driver's scripts run on it without root: what it does is seen in the files.

`REDIS` is a redis-cli that keeps its server in a JSON file; statements for a database are written down, not run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from agent.change.library import modules
from agent.model.account import Managed, Way
from agent.model.frames import Answer
from agent.model.secret import Secret
from agent.vault.drivers import DRIVERS, Change

REDIS = """#!{python}
import hashlib, json, re, shlex, sys
path = {state!r}
state = json.load(open(path))
assert not sys.argv[1:], sys.argv
user = "default" if state["users"]["default"] is None else None
sha = lambda text: hashlib.sha256(text.encode()).hexdigest()
for line in sys.stdin:
    words = [re.sub(r"\\\\x(..)", lambda hit: chr(int(hit[1], 16)), word.strip('"')) for word in line.split()]
    state["seen"].append(words)
    name = words[0].upper() + (" " + words[1].upper() if words[0] in ("ACL", "CONFIG", "CLIENT") else "")
    if state["faults"].get(name):
        print(state["faults"][name]); continue
    if name == "AUTH":
        who, text = (["default"] + words[1:])[-2:]
        held = state["users"].get(who, "")
        if held is None: print("ERR AUTH <password> called without any password configured"); continue
        if held == sha(text): user = who; print("OK")
        else: print("WRONGPASS invalid username-password pair or user is disabled.")
    elif user is None: print("NOAUTH Authentication required.")
    elif name == "PING": print("PONG")
    elif name == "ACL USERS": print("\\n".join(state["users"]))
    elif name == "ACL GETUSER":
        held = state["users"][words[2]]
        flags = "on\\nnopass" if held is None else "on"
        print("flags", flags, "passwords", held or "", "commands", "+@all", sep="\\n")
    elif name == "ACL SETUSER":
        if words[-1][0] == "#": state["users"][words[2]] = words[-1][1:]
        print("OK")
    elif name == "CONFIG SET":
        if words[2] == "requirepass": state["users"]["default"] = sha(words[3])
        print("OK")
    elif name == "INFO": print("redis_version:7.0.15\\nrole:master")
    elif name == "CLIENT ID": print("7")
    elif name == "CLIENT LIST": print(state["clients"])
    else: print("ERR unknown command")
json.dump(state, open(path, "w"))
"""
CONF = "# the head\nport 6379\nrequirepass first-1\nuser app on >a-1 ~app:* +@read\ntimeout 0\n"
SERVER = """<?xml version="1.0"?>
<Server><GlobalNamingResources>
<!-- <Resource name="UserDatabase" pathname="conf/other.xml"/> -->
<Resource name="UserDatabase" pathname="conf/tomcat-users.xml"/>
</GlobalNamingResources><Service><Connector port="8080"/><Engine>
<Realm className="org.apache.catalina.realm.LockOutRealm">
<Realm className="org.apache.catalina.realm.UserDatabaseRealm" resourceName="UserDatabase">{handler}</Realm>
</Realm></Engine></Service></Server>
"""
USERS = """<?xml version='1.0' encoding='utf-8'?>
<tomcat-users>
<!-- <user username="tomcat" password="a-comment" roles="x"/> -->
  <role rolename="manager-gui"/>
  <user name='{name}'
        password='first-1' roles="a,b"/>
  <user username="twice" password="1"/><user username="twice" password="2"/>
  <user username="bare" roles="x"/>
</tomcat-users>
"""
FOUND = {
    "mariadb": "my_on() { return 0; }; my_run() { cat >>$R/said; case $(tail -n 1 $R/said) in *'SELECT Host'*) "
    "echo %;; *plugin*) echo 'mysql_native_password 0';; esac; }",
    "mysql": "my_on() { return 0; }; my_run() { cat >>$R/said; case $(tail -n 1 $R/said) in *'SELECT Host'*) "
    "echo %;; esac; }",
    "postgresql": "pg_on() { return 0; }; pg_ask() { printf '%s\\n' \"$@\" >>$R/said; echo 1; }",
    "redis": "rp_on() { _rpp=1; _rpc=/redis.conf; }; mw_exe() { return 1; }; rp_client() { _rpx=$R/redis-cli; _rph=; }",
    "tomcat": "tp_on() { _tpb=/base; _tpu=tomcat.service; }",
    "linux": "getent() { case $3$2 in 'a b'*|*nobody*) return 2;; esac; echo 'x:$6$hash:1'; }; "
    "chpasswd() { cat >>$R/said; }",
}
"""By kind, shell that stands for the server: it is found, and takes what it is told."""


class Bench:
    """A folder that is the target's root."""

    def __init__(self, folder: Path, kind: str, *, name: str = "tomcat", handler: str = "") -> None:
        self.root, self.kind, self.driver = folder, kind, DRIVERS[kind]
        (folder / "redis.conf").write_text(CONF)
        self.state = folder / "redis.json"
        self.redis = {"users": {"default": _sha("first-1"), "app": _sha("a-1")}}
        self.state.write_text(json.dumps(self.redis | {"faults": {}, "seen": [], "clients": ""}))
        (folder / "redis-cli").write_text(REDIS.format(python=sys.executable, state=str(self.state)))
        (folder / "redis-cli").chmod(0o755)
        (folder / "base" / "conf").mkdir(parents=True)
        (folder / "base" / "conf" / "server.xml").write_text(SERVER.format(handler=handler))
        self.users = folder / "base" / "conf" / "tomcat-users.xml"
        self.users.write_text(USERS.format(name=name))

    def change(self, user: str, text: str = "", **more) -> Change:
        account = Managed(f"{user}@x", user, "x", self.kind, host="x", **more)
        return Change(account, Secret(text), 1)

    def scripts(self, change: Change, secrets=()) -> dict[str, str]:
        """Every script that the driver can make, by what it is for."""
        made = {
            name: getattr(self.driver, name)(change)
            for name in ("change", "finish", "sessions", "end_sessions", "lock")
        }
        made["finish"] = self.driver.finish(replace(change, days=30))
        made["which"] = self.driver.which(change, secrets)
        made |= {f"login-{way}": self.driver.login(change, way) for way in Way}
        return {name: script for name, script in made.items() if script}

    def run(self, script: str, *, shell: str = "sh", found: bool = True) -> Answer:
        libraries = modules(name.removesuffix(".sh") for name in self.driver.libraries) if self.driver.libraries else ""
        lines = [
            "LC_ALL=C; export LC_ALL; umask 077; R=$PWD; T=; _low=; TX=none; TXROOT=$R/tx",
            libraries, FOUND[self.kind] if found else "", f"(\n{script}\n) </dev/null",
        ]  # fmt: skip
        done = subprocess.run(
            [shell], input="\n".join(lines), cwd=self.root, env={"PATH": os.environ["PATH"]}, text=True,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    def server(self) -> dict:
        return json.loads(self.state.read_text())

    def fault(self, command: str, answer: str) -> None:
        self.state.write_text(json.dumps(self.server() | {"faults": {command: answer}}))

    def said(self) -> str:
        """What a database or chpasswd was told."""
        file = self.root / "said"
        return file.read_text() if file.exists() else ""


def _sha(text: str) -> str:
    import hashlib  # noqa: PLC0415 - here alone

    return hashlib.sha256(text.encode()).hexdigest()
