"""Facts: what the parsers made of an observation, ready to be judged. Text in them is cleaned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reading:
    """What one control's own read answered (a shell snippet or an SQL statement)."""

    text: str
    """Standard output, lines joined by newline; SQL rows: columns joined by ` | `, one row a line."""
    rc: int = 0
    """Exit code; SQL: 0, or 2 on any driver error."""
    error: str = ""
    """Why nothing usable came; not empty means the control's result is `error`."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that controls are judged on: a host's system, one middleware instance, or one database."""

    kind: str
    """`linux`, `nginx`, `tomcat`, `redis`, `mysql` (MySQL and MariaDB) or `postgresql`."""
    target: str
    """Inventory name."""
    location: str = ""
    """Empty for the system and for a database; stable over restarts for an instance (its configuration file)."""
    family: str = ""
    """linux: `debian`, `ubuntu`, `rhel`, `openeuler`, `kylin`, `uos`, `anolis`; mysql: `mysql` or `mariadb`."""
    version: str = ""
    """Dotted version of the OS (VERSION_ID), the middleware or the engine."""
    tables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Named key-value tables that controls read: see docs/controls.md for the names."""
    reads: Mapping[str, Reading] = field(default_factory=dict)
    """Own reads of controls by control id."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Tables that could not be read, with the reason; under `features`, why the features are not known."""
    features: frozenset[str] = frozenset()
    """What is there, for `applies.when` (e.g. `sshd`, `docker`, `container`, `systemd`)."""


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package."""

    name: str
    version: str
    """Debian: full version; RPM: `epoch:version-release` (epoch 0 left out)."""
    arch: str
    source: str
    source_version: str
    manager: str
    """`dpkg` or `rpm`."""
    module: str = ""
    """RPM modularity label."""


@dataclass(frozen=True, slots=True)
class PendingUpdate:
    """An update that the host's own mirror offers and the host has not installed."""

    package: str
    installed: str
    candidate: str
    origin: str
    """Suite or repository that offers it, e.g. `Debian-Security:12/oldstable-security`."""
    security: bool
    source: str = ""
    advisories: tuple[str, ...] = ()
    """Advisory ids that updateinfo names."""
    cves: tuple[str, ...] = ()
    """CVE ids from updateinfo, or from the candidate's changelog (see observe.changelog)."""
    severity: str = ""
    """As the vendor says it (Important, Moderate ...); empty when not said."""
    uri: str = ""
    """Where the candidate lies on the mirror (apt: the .deb's address); empty when unknown."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that accepts from outside its process, as `ss` tells it."""

    proto: str
    """`tcp` or `udp`."""
    address: str
    port: int
    process: str = ""
    pid: int = 0

    @property
    def loopback(self) -> bool:
        """Whether only the host itself can reach it."""
        address = self.address.strip("[]").removeprefix("::ffff:")
        return address.startswith("127.") or address in {"::1", "localhost"}


@dataclass(frozen=True, slots=True)
class Instance:
    """A running middleware process, tied to the package that owns its program."""

    kind: str
    location: str
    version: str
    exe: str
    package: str
    """Owning package, or empty when outside the package manager."""
    user: str
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Software:
    """A server, a library or a jar file as found on a host or told by a database: what product feeds are asked for."""

    kind: str
    """`tomcat`, `redis`, `mariadb`, `oracle`, `openssl` ...; a jar's artifact (`log4j-core`): see docs/software.md."""
    version: str
    """As its maker writes it; empty when it could not be told."""
    location: str
    """Program, home folder or file; `ARCHIVE!/MEMBER` for a jar within an archive."""
    package: str = ""
    """Owning package, empty outside the package manager."""
    how: str = "process"
    """`process` (a live one runs or holds it open), `file` (it lies there) or `sql` (the server's own word)."""
    pid: int = 0
    listening: bool = False
    """Its process listens beyond the host itself."""
    exe: str = ""
    detail: str = ""
    """Where the version was read, and what else there is to say."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account of a host; a hash never leaves the host, only its algorithm, age and flags."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str
    hash_kind: str = ""
    """`yescrypt`, `sha512`, `md5` ..., `locked`, `none` (no password needed) or `disabled`."""
    changed_days: int | None = None
    """Days since the password was changed."""
    max_days: int | None = None
    groups: tuple[str, ...] = ()
    keys: int = 0
    """Number of authorised SSH keys."""
    key_names: tuple[str, ...] = ()
    """The first 20 of them: `SHA256:FINGERPRINT COMMENT`."""
    login_days: int | None = None
    """Days since the last login at a terminal; -1: never; None: the host does not tell."""
    ends_days: int | None = None
    """Days until the account itself ends (negative: it has); None: it does not."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """All that is known of a host after one collection."""

    target: str
    os_id: str
    os_version: str
    os_name: str
    family: str
    kernel: str
    kernels: tuple[str, ...]
    packages: tuple[Package, ...]
    pending: tuple[PendingUpdate, ...]
    lists_age_days: float | None
    """Age of the package lists; None when unknown. Stale lists are a finding."""
    listeners: tuple[Listener, ...]
    accounts: tuple[Account, ...]
    instances: tuple[Instance, ...]
    reboot_required: bool | None
    stale_libraries: tuple[str, ...]
    """`process: library` that still run a deleted file."""
    subjects: tuple[Subject, ...]
    """The system first, then the middleware instances."""
    unseen: Mapping[str, str] = field(default_factory=dict)
    """Sections that did not answer, with the reason (rule 3: each becomes a coverage finding)."""
    banner: str = ""
    """The SSH server's identification string, cleaned."""
    software: tuple[Software, ...] = ()
    """Servers and libraries besides `instances`, whether or not a package owns them."""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """All that is known of a database after one batch of queries."""

    target: str
    engine: str
    flavour: str
    version: str
    subject: Subject
    accounts: tuple[str, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, tuple[tuple[object, ...], ...]] = field(default_factory=dict)
    """Rows of `accounts` and `privileges`, as observe.database.queries asks for them; text in them is cleaned."""
    build: str = ""
    """The version as the server words it, `10.11.6-MariaDB-0+deb12u1`: tells whose build it is."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port as nmap sees it from the ops location."""

    proto: str
    port: int
    state: str
    service: str = ""
    product: str = ""
    version: str = ""
    cpes: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)
    """Output of allow-listed scripts by script id, cleaned."""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What nmap saw of one address."""

    target: str
    address: str
    up: bool
    ports: tuple[Port, ...]
    scanned: str
    """The port set that was asked for, as nmap's `services` attribute says it."""
    timed_out: bool = False
    """nmap gave up on it (--host-timeout): what is missing was not seen, not closed."""
