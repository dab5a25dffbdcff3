"""What is broken, when, and on which host: the cases of the campaign of sabotage, out of a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.model.change import Act, Handle, Step

SSHD = "/etc/ssh/sshd_config"
RELOAD = (Act("reload", ("ssh.service",)),)
RESTART = (Act("restart", ("ssh.service",)),)


def _files(*paths: str) -> tuple[Handle, ...]:
    return tuple(Handle("file", (path,)) for path in paths)


def _step(name: str, write: str, *paths: str, acts: tuple[Act, ...] = (), handles: tuple[Handle, ...] = ()) -> Step:
    return Step("sabotage", "sshd", name, "", "", write, handles=_files(*paths) + handles, acts=acts)


def _sshd(name: str, line: str) -> Step:
    return _step(name, f"{{ echo '{line}'; cat {SSHD}; }} | e_put {SSHD}", SSHD, acts=RELOAD)


def _head(name: str, path: str, line: str) -> Step:
    return _step(name, f"{{ echo '{line}'; cat {path}; }} | e_put {path}", path)


def _table(name: str, rule: str) -> Step:
    text = f"table inet sabotage {{ chain input {{ type filter hook input priority -300; policy accept; {rule}; }} }}"
    return _step(name, f"echo '{text}' | nft -f -", handles=(Handle("nfttable", ("inet", "sabotage")),))


_KEYS = tuple(f"/etc/ssh/ssh_host_{kind}_key" for kind in ("rsa", "ecdsa", "ed25519"))
_SHADOW = "K=ops awk -F: -v OFS=: '$1==ENVIRON[\"K\"]{%s}{print}' /etc/shadow | e_put /etc/shadow"

BREAKS: dict[str, Step] = {
    "sshd-syntax": _sshd("sshd-syntax", "Sillyness yes"),
    "sshd-port": _sshd("sshd-port", "Port 2222"),
    "sshd-no-keys": _sshd("sshd-no-keys", "PubkeyAuthentication no"),
    # AllowUsers of several files add up; one that denies wins
    "sshd-deny": _sshd("sshd-deny", "DenyUsers ops"),
    "sshd-elsewhere": _sshd("sshd-elsewhere", "ListenAddress 127.0.0.1"),
    "sshd-host-keys": _step("sshd-host-keys", f"chmod 666 {' '.join(_KEYS)}", *_KEYS, acts=RESTART),
    "sshd-gone": _step("sshd-gone", f"rm {SSHD}", SSHD, acts=RESTART),
    "pam-missing": _head("pam-missing", "/etc/pam.d/common-account", "account required pam_no_such_module.so"),
    "pam-deny-account": _head("pam-deny-account", "/etc/pam.d/common-account", "account required pam_deny.so"),
    "pam-deny-session": _head("pam-deny-session", "/etc/pam.d/sshd", "session required pam_deny.so"),
    "pam-sudo": _head("pam-sudo", "/etc/pam.d/sudo", "account required pam_deny.so"),
    # what sudo does not pass over: 1.9.13 ignores a line that it cannot read, and who comes still becomes root
    "sudo-broken": _step("sudo-broken", "chmod 666 /etc/sudoers", "/etc/sudoers"),
    "sudo-password": _step(
        "sudo-password", "echo 'ops ALL=(ALL) ALL' | e_put /etc/sudoers.d/zz-sabotage 440", "/etc/sudoers.d/zz-sabotage"
    ),
    "sudo-tty": _step(
        "sudo-tty", "echo 'Defaults requiretty' | e_put /etc/sudoers.d/zz-sabotage 440", "/etc/sudoers.d/zz-sabotage"
    ),
    "sudo-gone": _step("sudo-gone", "rm /etc/sudoers.d/ops", "/etc/sudoers.d/ops"),
    "nft-ssh": _table("nft-ssh", "tcp dport 22 drop"),
    "nft-all": _table("nft-all", "iif != lo drop"),
    "ops-nologin": _step(
        "ops-nologin", "sed 's#^\\(ops:.*:\\)[^:]*$#\\1/usr/sbin/nologin#' /etc/passwd | e_put /etc/passwd", "/etc/passwd"
    ),
    "ops-expired": _step("ops-expired", _SHADOW % "$8=1", "/etc/shadow"),
    "ops-locked": _step("ops-locked", _SHADOW % '$2="!" $2;$8=1', "/etc/shadow"),
    "ops-keys-moved": _step(
        "ops-keys-moved",
        "mv /home/ops/.ssh/authorized_keys /home/ops/.ssh/authorized_keys.aside",
        "/home/ops/.ssh/authorized_keys", "/home/ops/.ssh/authorized_keys.aside",
    ),
}  # fmt: skip
"""Changes each of which locks the agent out, in one way or another."""

HARMLESS = _step(
    "harmless",
    "echo '# here' | e_put /etc/sabotage.d/new.conf; { cat /etc/issue; echo here; } | e_put /etc/issue; e_key /etc/login.defs ' ' SABOTAGE 1",
    "/etc/sabotage.d/new.conf", "/etc/issue", "/etc/login.defs", acts=(Act("sshd", ("ssh.service",)),),
)  # fmt: skip
"""A change that is as it should be, so that there is something to confirm."""

DATABASES = {"db-01": "mysql", "db-02": "postgresql", "db-03": "postgresql"}
"""Hosts of the lab that bear a database, and the group of changes that it takes."""
LIBRARY = {"sshd": ("sshd",), "mysql": ("mysql",), "postgresql": ("splice", "postgresql")}
"""Modules of the shell library that the changes of a group need."""
MARIADB, POSTGRESQL = "3306", "5432"
_HBA = "/etc/postgresql/15/main/pg_hba.conf"
_DROPIN = "/etc/mysql/mariadb.conf.d/zz-sabotage.cnf"


def _maria(name: str, write: str, *handles: Handle, acts: tuple[Act, ...] = ()) -> Step:
    acts = (*acts, Act("mysql", (MARIADB, "mariadb.service")))
    return Step("sabotage", "mysql", name, "", "", write, handles=handles, acts=acts)


def _maria_scan(name: str, how: str) -> Step:
    handle = Handle("mysqluser", ("scan@10.66.0.1", "scan", "10.66.0.1", MARIADB))
    return _maria(name, f"my_do {MARIADB} \"ALTER USER scan@'10.66.0.1' {how};\"", handle)


def _maria_start(name: str, line: str) -> Step:
    handles = (*_files(_DROPIN), Handle("mysqlrun", ("mariadb.service", "mariadb.socket")))
    write = f"printf '[mariadbd]\\n{line}\\n' | e_put {_DROPIN}"
    return _maria(name, write, *handles, acts=(Act("restart", ("mariadb.service",)),))


def _pg(name: str, write: str, handle: Handle, act: str) -> Step:
    acts = (Act(act, (POSTGRESQL, "postgresql@15-main.service")),)
    if act == "restart":
        acts = (Act("restart", ("postgresql@15-main.service",)), Act("pg_up", acts[0].args))
    return Step("sabotage", "postgresql", name, "", "", write, handles=(handle,), acts=acts)


def _pg_hba(name: str, line: str) -> Step:
    return _pg(name, f"{{ echo '{line}'; cat {_HBA}; }} | e_put {_HBA}", *_files(_HBA), "pg_reload")


def _pg_scan(name: str, how: str) -> Step:
    write = f'pg_do {POSTGRESQL} postgres "ALTER ROLE scan {how};"'
    return _pg(name, write, Handle("pgrole", ("scan", POSTGRESQL)), "pg_up")


def _pg_start(name: str, setting: str, value: str) -> Step:
    write = f"pg_do {POSTGRESQL} postgres \"ALTER SYSTEM SET {setting} = '{value}';\""
    return _pg(name, write, Handle("pgset", (setting, POSTGRESQL)), "restart")


DATABASE_BREAKS: dict[str, Step] = {
    step.name: step
    for step in (
        _maria_scan("my-locked", "ACCOUNT LOCK"),
        _maria_scan("my-certificate", "REQUIRE X509"),
        _maria_scan("my-password", "IDENTIFIED BY 'not-what-the-scan-knows'"),
        _maria(
            "my-init-connect", f"my_set {MARIADB} init_connect 'no statement at all'",
            Handle("mysqlvar", ("init_connect", MARIADB)),
        ),
        # where systemd holds the socket, bind-address has no say
        _maria_start("my-encrypted", "require_secure_transport=ON"),
        _maria_start("my-no-start", "no_such_variable=1"),
        _pg_hba("pg-reject", "host all all all reject"),
        _pg_hba("pg-reject-one", "host all scan all reject"),
        _pg_scan("pg-no-login", "NOLOGIN"),
        _pg_scan("pg-expired", "VALID UNTIL '2020-01-01'"),
        _pg_scan("pg-password", "PASSWORD 'not-what-the-scan-knows'"),
        _pg_start("pg-elsewhere", "listen_addresses", ""),
        _pg_start("pg-no-start", "shared_preload_libraries", "no_such_library"),
    )
}  # fmt: skip
"""Changes each of which keeps the account of the scans out of a database, or the database down."""


@dataclass(frozen=True, slots=True)
class Case:
    """One act of sabotage."""

    number: int
    host: str
    name: str
    """Key of BREAKS or DATABASE_BREAKS, or `harmless`."""
    moment: str
    """See `cases`."""
    arm: str
    """Method of arming: `systemd-run` or `nohup`."""
    ttl: int
    delay: float
    """Seconds into the moment at which it happens."""

    @property
    def step(self) -> Step:
        """The change."""
        return HARMLESS if self.name == "harmless" else {**BREAKS, **DATABASE_BREAKS}[self.name]

    def __str__(self) -> str:
        return f"{self.number:03} {self.host:10} {self.name:16} {self.moment:18} {self.arm:11} ttl {self.ttl}"


@dataclass
class _Deck:
    """Deals its cards in a seeded order, all of them before any one again."""

    random: random.Random
    cards: tuple[str, ...]
    hand: list[str] = field(default_factory=list)

    def __next__(self) -> str:
        if not self.hand:
            self.hand = list(self.cards)
            self.random.shuffle(self.hand)
        return self.hand.pop()


SHARES = {
    "left": 42,  # the agent does nothing more: the timer
    "refused": 42,  # the agent finds its login gone and undoes it over the session that is still open
    "kill:before-begin": 3, "kill:in-begin": 22, "kill:begun": 8, "kill:in-look": 10, "kill:before-confirm": 8,
    "kill:in-confirm": 16, "kill:in-undo": 14,
    "cut": 20,  # the TCP connection ends in the middle of begin
    "full:before": 4, "full:during": 8, "full:after": 8,  # of the file systems of /etc and of the journal
    "reboot:armed": 6, "reboot:undoing": 6, "power:armed": 3, "power:undoing": 3,
    "two": 8,  # two agents begin at the same moment
}  # fmt: skip
"""Moments and how many cases each has; 231 in all."""

DATABASE_SHARES = {
    "left": 8, "refused": 10, "kill:in-begin": 6, "kill:begun": 2, "kill:in-look": 2, "kill:in-undo": 5, "cut": 4,
    "reboot:armed": 2, "reboot:undoing": 2, "power:armed": 2, "power:undoing": 2,
}  # fmt: skip
"""The same for the way into a database; 45 in all."""


def cases(seed: str, hosts: tuple[str, ...], databases: tuple[str, ...], one_in: int = 1) -> Iterator[Case]:
    """The campaign of a seed, or every N-th case of it: every break meets every host and most moments.

    Args:
        seed: of the order, the timers and the delays.
        hosts: on which ways in are broken.
        databases: hosts on which logins to databases are broken; their names as in DATABASES.
        one_in: 1 for all, N for every N-th.
    """
    rng = random.Random(f"sabotage-{seed}")
    offset = rng.randrange(one_in)
    everything = [*_of_hosts(rng, hosts), *_of_databases(rng, databases)]
    for number, (host, name, moment) in enumerate(everything, 1):
        case = Case(
            number,
            host,
            name,
            moment,
            rng.choice(("systemd-run", "systemd-run", "systemd-run", "nohup")),
            60 if moment.startswith(("reboot", "power")) else rng.choice((4, 5, 6, 8)),
            rng.uniform(0.0, 0.7),
        )
        if (number + offset) % one_in == 0:
            yield case


def _of_hosts(rng: random.Random, hosts: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    deck, deck_host = _Deck(rng, tuple(BREAKS)), _Deck(rng, hosts)
    for moment, share in SHARES.items():
        for turn in range(share):
            harmless = moment in {"kill:before-confirm", "kill:in-confirm", "two"} or (
                moment == "kill:in-look" and turn % 2
            )
            yield next(deck_host), "harmless" if harmless else next(deck), moment


def _of_databases(rng: random.Random, hosts: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    deck_host = _Deck(rng, hosts)
    decks = {
        engine: _Deck(rng, tuple(name for name, step in DATABASE_BREAKS.items() if step.group == engine))
        for engine in ("mysql", "postgresql")
    }
    for moment, share in DATABASE_SHARES.items():
        for _ in range(share):
            host = next(deck_host)
            yield host, next(decks[DATABASES[host]]), moment
