"""What the planning read asks of every host: a handful of words that resources decide by."""

from __future__ import annotations

from agent.change.contract import Facts
from agent.model.frames import Answer, Section

LOOKED_FOR = (
    "apt-get", "dnf", "yum", "dpkg", "rpm", "systemctl", "authselect", "authconfig", "pam-auth-update", "auditctl", "augenrules",
    "nft", "iptables", "firewall-cmd", "ufw", "restorecon", "semanage", "sshd", "nginx", "redis-cli", "mariadb", "mysql",
    "psql", "visudo", "rsyslogd", "journalctl", "chronyc", "getfacl", "chage", "faillock", "at", "systemd-run", "flock",
)  # fmt: skip
"""Programs whose presence is told as `have:NAME`."""

_SCRIPT = r"""
( [ -r "$R/etc/os-release" ] && . "$R/etc/os-release"; echo "os=$ID"; echo "version=$VERSION_ID"; echo "like=$ID_LIKE" )
if [ -d "$R/run/systemd/system" ]; then echo init=systemd; else echo init=none; fi
echo "login=${SUDO_USER:-$(id -un)}"
echo "from=$(client_address)"
if grep -qs container= "$R/proc/1/environ" || [ -e "$R/run/systemd/container" ]; then echo container=yes; else echo container=no; fi
if [ -r "$R/sys/fs/selinux/enforce" ]; then [ "$(cat "$R/sys/fs/selinux/enforce")" = 1 ] && echo selinux=enforcing || echo selinux=permissive
else echo selinux=off; fi
for p in %s; do if command -v $p >/dev/null 2>&1; then echo "have:$p=yes"; fi; done
"""

_FAMILIES = {
    "debian": "debian", "ubuntu": "ubuntu", "centos": "rhel", "rhel": "rhel", "rocky": "rhel", "almalinux": "rhel",
    "fedora": "rhel", "openeuler": "openeuler", "kylin": "kylin", "uos": "uos", "anolis": "anolis",
}  # fmt: skip


def facts_section() -> Section:
    """The section `facts` of the planning script; it needs the module `core`."""
    return Section("facts", _SCRIPT % " ".join(LOOKED_FOR))


def facts_of(answer: Answer) -> Facts:
    """Read it."""
    values = {}
    for line in answer.text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            values[key.strip()] = value.strip().strip('"')
    values["family"] = _FAMILIES.get(values.get("os", "").lower(), values.get("os", "").lower())
    return Facts(values)
