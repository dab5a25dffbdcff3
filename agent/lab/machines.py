"""The lab's machines as data: what each is built from and what must listen before it counts as up.

inventory/hosts.yaml is what an operator declares; this is what the lab makes. A
test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

GATEWAY = "10.66.0.1"
"""This machine on the lab's bridge; the ops location of the lab."""
NETWORK = "10.66.0.0/24"
INNER_NETWORK = "10.66.1.0/24"
BRIDGE = "agentlab0"
PREFIX = "agentlab-"
"""Of network namespaces and containers, so that none of the machine's own is touched."""
MIRROR_PORT = 8100

BASE_PACKAGES = (
    "openssh-server", "sudo", "iproute2", "procps", "libpam-pwquality", "login", "passwd", "systemd", "systemd-sysv",
    "dbus", "cron", "kmod", "rsyslog", "logrotate", "nftables", "openssl", "util-linux-extra", "cracklib-runtime",
)  # fmt: skip
"""Of every host, besides mmdebstrap's minbase."""

LAYERS: dict[str, tuple[str, ...]] = {
    "nginx": ("nginx",),
    "redis": ("redis-server",),
    "mariadb": ("mariadb-server",),
    "postgresql": ("postgresql-15",),
    "tomcat": ("openjdk-17-jre-headless", "tomcat10", "tomcat10-examples", "tomcat10-admin"),
    "rpm": ("rpm", "dnf"),
    "loose": ("telnetd", "telnet", "openbsd-inetd", "rpcbind", "nmap"),
}
"""Layer -> packages that it adds to the base, of the main suite alone, so that security updates are pending."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One host of the lab."""

    name: str
    address: str
    layer: str = "base"
    listeners: tuple[str, ...] = ("tcp/22",)
    """What must listen before the machine is up; equals the inventory's, save what is planted as unexpected."""
    kind: str = "container"
    """`container` (systemd in nspawn), `tarpit:MODE` (a process that misbehaves), `empty` (an address) or `vm`."""
    inner: bool = False
    """On the inner network, behind bastion-01."""
    recipe: str = ""
    """Name of the plant script, when it is not the machine's own name."""
    passwords: tuple[str, ...] = ()
    """Accounts that get a random password at each `up`; that of `ops` is written to the credentials file."""
    secret_files: tuple[str, ...] = ()
    """Files in which @SECRET@ is replaced by a fresh random value at each `up`."""

    @property
    def netns(self) -> str:
        """Name of its network namespace and of its container."""
        return PREFIX + self.name

    @property
    def veth(self) -> str:
        """Name of the bridge's end of its cable (15 characters at most)."""
        return "al-" + self.address.rsplit(".", 1)[1]

    @property
    def plant(self) -> str:
        """Name of its plant script without suffix."""
        return self.recipe or self.name


SSH = "tcp/22"

MACHINES: tuple[Machine, ...] = (
    Machine("web-01", "10.66.0.11", "nginx", (SSH, "tcp/80", "tcp/443")),
    Machine("web-02", "10.66.0.12", "nginx", (SSH, "tcp/80", "tcp/443")),
    Machine("app-01", "10.66.0.13", "tomcat", (SSH, "tcp/8005", "tcp/8009", "tcp/8080")),
    Machine("app-02", "10.66.0.14", "tomcat", (SSH, "tcp/8080")),
    Machine("cache-01", "10.66.0.15", "redis", (SSH, "tcp/6379")),
    Machine("cache-02", "10.66.0.16", "redis", (SSH, "tcp/6379"), secret_files=("/etc/redis/redis.conf",)),
    Machine("db-01", "10.66.0.21", "mariadb", (SSH, "tcp/3306")),
    Machine("db-02", "10.66.0.22", "postgresql", (SSH, "tcp/5432")),
    Machine("db-03", "10.66.0.23", "postgresql", (SSH, "tcp/5432")),
    Machine("bastion-01", "10.66.0.31"),
    Machine("inner-01", "10.66.1.32", inner=True),
    Machine("centos-01", "10.66.0.41", "rpm"),
    Machine("openeuler-01", "10.66.0.42", "rpm"),
    Machine("legacy-01", "10.66.0.43"),
    Machine("hostile-01", "10.66.0.44", listeners=(SSH, "tcp/9000")),
    Machine("sudo-01", "10.66.0.45", passwords=("ops",)),
    Machine("slow-01", "10.66.0.46"),
    Machine("node-01", "10.66.0.51", passwords=("operator1",)),
    Machine("node-02", "10.66.0.52", passwords=("operator1",)),
    Machine("node-03", "10.66.0.53"),
    Machine("node-04", "10.66.0.54"),
    Machine("node-05", "10.66.0.55", "loose", (SSH, "tcp/23", "tcp/111", "udp/111")),
    Machine("node-06", "10.66.0.56"),
)
"""The 23 of the inventory."""

INNER_LEG = "10.66.1.31"
"""bastion-01 on the inner network."""

TROUBLE: tuple[Machine, ...] = (
    Machine("silent-01", "10.66.0.61", kind="tarpit:silent"),
    Machine("refuse-01", "10.66.0.62", kind="empty", listeners=()),
    Machine("drip-01", "10.66.0.63", kind="tarpit:drip"),
    Machine("half-01", "10.66.0.64"),
    Machine("changed-01", "10.66.0.65", recipe="plain"),
    Machine("sudodeny-01", "10.66.0.66"),
    Machine("db-04", "10.66.0.67", "mariadb", (SSH, "tcp/3306")),
)
"""Besides the 23, in a workspace of their own: state/lab/trouble."""

VM = Machine("vm-01", "10.66.0.81", kind="vm")
"""A real virtual machine, in a workspace of its own: state/lab/vm."""
VM_PACKAGES = ("linux-image-cloud-amd64", "initramfs-tools", "auditd", "udev")


def wanted(*, trouble: bool) -> tuple[Machine, ...]:
    """The machines of a profile."""
    return MACHINES + (TROUBLE if trouble else ())
