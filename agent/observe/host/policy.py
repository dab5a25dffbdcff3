"""Pure readers of what watches and guards the host: audit, time, packet filter, cron, set-id files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.observe.host.system import Files


def audit(text: str) -> dict[str, str]:
    """`auditctl -s` by key (`enabled`, `pid`, `backlog_limit` ...) and `rules`, the number of loaded rules."""
    rows = (line.split(None, 1) for line in text.splitlines())
    return {row[0]: row[1].strip() for row in rows if len(row) == 2 and re.fullmatch(r"[a-z_]+", row[0])}  # noqa: PLR2004 - key and value


def time(text: str, base: Mapping[str, tuple[str, ...]], services: Mapping[str, str]) -> dict[str, str]:
    """`service`: what keeps the clock (active units); `synchronized`: yes, no, or empty where it cannot be told."""
    names = ("chronyd", "chrony", "ntpd", "ntp", "ntpsec", "systemd-timesyncd")
    running = [name for name in names if services.get(name, "").endswith(" active")]
    status = ""
    if base.get("timesync") == ("yes",):
        status = "yes"
    leap = re.search(r"^Leap status\s*:\s*(.+)$", text, re.MULTILINE)
    if leap:
        status = "no" if "Not synchronised" in leap[1] else "yes"
    elif re.search(r"^\s*remote\s+refid", text, re.MULTILINE):
        status = "yes" if re.search(r"^\*\S", text, re.MULTILINE) else "no"
    return {"service": " ".join(running), "synchronized": status}


def firewall(text: str, services: Mapping[str, str]) -> dict[str, str]:
    """Numbers of rules, and `active`: whether anything filters what comes in."""
    rows = (line.split() for line in text.splitlines())
    table = {row[0]: row[1] for row in rows if len(row) == 2 and re.fullmatch(r"[a-z_]+", row[0])}  # noqa: PLR2004 - key and value
    for name in ("firewalld", "ufw", "nftables", "iptables"):
        table[name] = services.get(name, "absent")
    rules = any(table.get(key, "0") not in {"", "0"} for key in ("nft_rules", "iptables_rules"))
    dropped = table.get("nft_policy") == "drop" or table.get("iptables_policy") == "drop"
    table["active"] = "yes" if rules or dropped else "no"
    return table


def cron(files: Files) -> dict[str, str]:
    """`file:number` of the entry (comments not counted) to the entry, its secrets masked on the host."""
    table = {}
    for path in sorted(path for path in files if re.match(r"/(?:etc|var/spool)/cron", path)):
        for number, line in enumerate(files[path], 1):
            table[f"{path}:{number}"] = line.strip()
    return table
