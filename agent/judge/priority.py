"""In which order to work: known exploitation first, then likelihood times severity, then what others can reach.

CISA's catalogue (KEV) says that it is done; EPSS (FIRST) how likely it is within 30 days; CVSS how bad it would be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model.finding import Urgency
from agent.model.severity import Severity

if TYPE_CHECKING:
    from agent.model.facts import HostFacts

LIKELY = 0.1
"""EPSS from which on exploitation counts as likely: about one CVE in twenty has it."""
VERY_LIKELY = 0.5
UNKNOWN_SCORE = 5.0
"""What a CVE without any score is taken for when work is ordered; its grade stays the vendor's."""
UNKNOWN_EPSS = 0.01
KNOWN_EXPLOITED = 10.0
"""Added to the risk of what KEV lists: more than anything else can reach."""
_PROGRAMS = {
    "sshd": "openssh", "mysqld": "mysql", "mariadbd": "mariadb", "postgres": "postgresql", "redis-server": "redis",
    "named": "bind9", "httpd": "httpd", "apache2": "apache2", "smbd": "samba", "nmbd": "samba", "snmpd": "net-snmp",
    "cupsd": "cups", "rpc.statd": "nfs-utils", "systemd-resolve": "systemd", "exim4": "exim4", "master": "postfix",
    "dovecot": "dovecot", "vsftpd": "vsftpd", "in.telnetd": "inetutils", "slapd": "openldap", "ntpd": "ntp",
    "chronyd": "chrony", "dhcpd": "dhcp", "java": "", "python3": "", "python": "",
}  # fmt: skip
"""Process names that are not their package's name; empty: they run somebody else's code."""


def risk(score: float | None, epss: float | None, *, kev: bool, exposed: bool) -> float:
    """Order of work, the highest first: severity 0-1 times likelihood, twice that when reachable, ten more for KEV.

    Half of the weight of likelihood is kept for what EPSS calls unlikely, so that severity still orders the long tail.
    """
    severity = (UNKNOWN_SCORE if score is None else score) / 10
    likelihood = UNKNOWN_EPSS if epss is None else epss
    return round(severity * (0.1 + 0.9 * likelihood) * (2 if exposed else 1) + (KNOWN_EXPLOITED if kev else 0), 4)


def urgency(grade: Severity, epss: float | None, *, kev: bool, exposed: bool) -> Urgency:
    """When to do it: docs/advisories.md tells the table."""
    likely = epss or 0.0
    if kev or (grade is Severity.CRITICAL and exposed and likely >= LIKELY):
        return Urgency.NOW
    bad = grade in {Severity.CRITICAL, Severity.HIGH}
    if likely >= VERY_LIKELY or (bad and (exposed or likely >= LIKELY)):
        return Urgency.SOON
    return Urgency.PLANNED


def reachable(facts: HostFacts) -> frozenset[str]:
    """Packages and sources of which a process listens where others can reach it.

    Told by the instance that owns the socket, else by the process' name: a library that such a process loads is not
    among them.
    """
    by_pid = {one.pid: one.package for one in facts.instances if one.package and one.pid}
    names = set()
    for listener in facts.listeners:
        if listener.loopback:
            continue
        owner = by_pid.get(listener.pid, "")
        names |= {owner, _PROGRAMS.get(listener.process, listener.process)}
    sources = {one.source for one in facts.packages if one.name in names}
    return frozenset((names | sources) - {""})
