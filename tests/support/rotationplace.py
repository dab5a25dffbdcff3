"""A workspace whose one host is this machine and whose record of passwords is a folder: rotation without root.

The driver of that kind fails where a test tells it to.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from shlex import quote

from agent.app import App
from agent.declared.workspace import make_workspace
from agent.flows.passwords import chosen
from agent.flows.rotation import rotate
from agent.model.account import Way
from agent.vault import opening, slots
from agent.vault.drivers import DRIVERS, Login
from agent.vault.keyfile import Key

HOSTS = (
    "schema_version: 1\nhosts:\n- {name: here-01, address: 192.0.2.1, transport: local, become: {method: none}, "
    "owner: 张三, zone: dmz}\n"
)
ACCOUNTS = """schema_version: 1
accounts:
- {user: one, on: [here-01]}
- {user: two, on: [here-01]}
- {user: prog, on: [here-01]}
- {user: admin, on: [VPN], kind: manual}
"""
HARDENING = """schema_version: 1
service_accounts:
- {account: prog, targets: [here-01], owner: 李四}
"""


class FileDriver:
    """Passwords are lines `USER HASH` in a folder, a file a user; `faults` says what goes wrong with whom."""

    kind = "linux"
    libraries = ()
    ways = (Way.SERVICE, Way.IN_PLACE)
    login_as_root = False

    def __init__(self, folder) -> None:
        self.folder = folder
        self.faults: dict[str, str] = {}

    def hashed(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    def held(self, user: str) -> str:
        file = self.folder / user
        return file.read_text().strip() if file.exists() else ""

    def change(self, change):
        fault = self.faults.get(change.account.user, "")
        write = f"echo {self.hashed(change.secret.reveal())} >{quote(str(self.folder / change.account.user))}"
        return {
            "refuses": "echo 'BAD PASSWORD' >&2; exit 1",
            "dies-before": "kill -9 $$",
            "dies-after": f"{write}; kill -9 $$",
            "repeats": f"echo {quote('no: ' + change.secret.reveal())} >&2; exit 1",
        }.get(fault, write)

    def which(self, change, secrets, said=""):
        del said
        if self.faults.get(change.account.user) == "blind":
            return ""
        held = f"$(cat {quote(str(self.folder / change.account.user))} 2>/dev/null)"
        cases = "".join(f"{self.hashed(one.reveal())}) echo {n};; " for n, one in enumerate(secrets))
        return f"case {held} in {cases} *) echo none;; esac"

    def login(self, change, way):
        del way
        if self.faults.get(change.account.user) in {"barred", "blind"}:
            return "echo 'not from here' >&2; exit 3"
        held = f"$(cat {quote(str(self.folder / change.account.user))} 2>/dev/null)"
        return f"[ {held} = {self.hashed(change.secret.reveal())} ]"

    def logged_in(self, answer):
        return {0: Login.IN, 3: Login.BARRED}.get(answer.rc, Login.REJECTED)

    def finish(self, change):
        del change
        return ""

    def sessions(self, change):
        return f"cat {quote(str(self.folder / change.account.user))}.sessions 2>/dev/null; :"

    def end_sessions(self, change):
        return f"rm -f {quote(str(self.folder / change.account.user))}.sessions"

    def lock(self, change):
        return f"echo locked >{quote(str(self.folder / change.account.user))}"


class Place:
    def __init__(self, folder, monkeypatch) -> None:
        monkeypatch.setenv("AGENT_KEYS", str(folder / "keys"))
        for name in ("CREDENTIALS_DIRECTORY", "AGENT_VAULT_PASSPHRASE"):
            monkeypatch.delenv(name, raising=False)
        self.root = folder / "w"
        make_workspace(self.root)
        (self.root / "inventory" / "hosts.yaml").write_text(HOSTS, encoding="utf-8")
        (self.root / "inventory" / "databases.yaml").write_text("schema_version: 1\ndatabases: []\n", encoding="utf-8")
        (self.root / "inventory" / "accounts.yaml").write_text(ACCOUNTS, encoding="utf-8")
        (self.root / "hardening.yaml").write_text(HARDENING, encoding="utf-8")
        (folder / "target").mkdir()
        self.target = FileDriver(folder / "target")
        monkeypatch.setitem(DRIVERS, "linux", self.target)
        self.now = datetime(2027, 3, 1, 8, tzinfo=UTC)
        self.private = slots.new_private()
        self.app = App(self.root, clock=self.clock)
        made = [slots.with_key("file", slots.KEYFILE, slots.public_of(self.private))]
        self.app.vault = opening.create(self.app.store, self.app.ledger, made, ["dmz"], self.clock)

    def clock(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def again(self) -> None:
        """As a new process would find it."""
        self.app.close()
        self.app = App(self.root, clock=self.clock)
        self.app.vault = opening.unlock(self.app.store, self.app.ledger, self.clock, Key("test", private=self.private))

    def rotate(self, *names: str, **more):
        accounts = chosen(self.app, names or ("one@here-01", "two@here-01"))
        return {one.account: one for one in rotate(self.app, accounts, reason="test", **more)}

    def rows(self, name: str):
        return self.app.vault.versions([name]).get(name, [])

    def states(self, name: str) -> list[str]:
        return [row.state for row in self.rows(name)]

    def holds(self, name: str) -> list[str]:
        """States of the versions whose text the target holds."""
        held = self.target.held(name.partition("@")[0])
        return [row.state for row in self.rows(name) if self.target.hashed(self.app.vault.reveal(row).reveal()) == held]


class Killed(BaseException):
    """As SIGKILL does, nothing of ours is run afterwards."""


def killer(step):
    """A watcher that dies at a step."""

    def watch(event):
        if event.step == step:
            raise Killed

    return watch
