"""Packet filter: who may reach the port by which the host is managed (GB/T 22239-2019 8.1.4.4-c).

fix: {resource: firewall_rule, want: {port: ssh, sources: "{{ssh_sources}}"}}

A table of our own (`inet secops`; with iptables a chain SECOPS) lets the sources reach the port and drops everybody
else there. It says nothing of other ports, of forwarded packets, nor of anybody else's rules. A unit of our own loads
it at boot. Where the address that we come from is not among the sources nothing is done: it would shut us out.
"""

from __future__ import annotations

import ipaddress
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

UNIT = "secops-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
LINK = f"/etc/systemd/system/multi-user.target.wants/{UNIT}"
NFT_FILE = "/etc/secops/firewall.nft"
IPT_FILE = "/etc/secops/firewall.sh"
MOST = 64
"""Sources at most: a longer list is a mistake."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class FirewallRule:
    """firewall_rule: see the module."""

    name = "firewall_rule"
    library = ()

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or set(want) != {"port", "sources"}:
            raise FixError('fix.want: write {port: ssh, sources: "{{ssh_sources}}"}')
        if want["port"] != "ssh" and not (isinstance(want["port"], int) and 0 < want["port"] < 65536):  # noqa: PLR2004 - TCP's own limit
            raise FixError("fix.want.port: `ssh` (the port that we come by) or a port number")
        _sources(item)

    def read(self, item: Item, facts: Facts) -> str:
        """`port N`, `backend nft|iptables|firewalld|none`, then the file of ours and what is loaded."""
        del facts
        port = str(item.options.get("ssh_port", 22)) if item.want["port"] == "ssh" else str(item.want["port"])
        return f"""echo port {quote(port)}
if systemctl is-active -q firewalld 2>/dev/null; then echo backend firewalld
elif command -v nft >/dev/null 2>&1 && nft list tables >/dev/null 2>&1; then echo backend nft
elif command -v iptables >/dev/null 2>&1 && iptables -w 5 -S >/dev/null 2>&1; then echo backend iptables
else echo backend none; fi
for f in {NFT_FILE} {IPT_FILE}; do [ ! -r "$R$f" ] || sed "s/^/file /" "$R$f"; done
nft list table inet secops 2>/dev/null | sed 's/^/now /'
iptables -w 5 -S SECOPS 2>/dev/null | sed 's/^/now /'
[ ! -L "$R{LINK}" ] || echo enabled
:"""

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step for the whole table."""
        told: dict[str, list[str]] = {}
        for line in answer.text.splitlines():
            word, _, rest = line.partition(" ")
            told.setdefault(word, []).append(rest)
        backend = (told.get("backend") or ["none"])[0]
        port = (told.get("port") or ["22"])[0]
        sources = _sources(item)
        if backend == "firewalld":
            return Skip(Why.MANUAL, f"firewalld 在运行：请以 rich rule 只放行 {_words(sources)} 到 {port}/tcp")
        if backend == "none":
            return Skip(Why.UNSUPPORTED, "主机上没有可用的 nft 或 iptables，先安装 nftables")
        if not _inside(facts["from"], sources):
            return Skip(
                Why.UNSAFE, f"当前来源 {facts['from'] or '未知'} 不在允许范围 {_words(sources)} 内，执行会切断登录"
            )
        text = _nft(port, sources) if backend == "nft" else _iptables(port, sources)
        loaded = _loaded(told.get("now", []), port, sources)
        if told.get("file", []) == text.splitlines() and loaded and "enabled" in told:
            return ()
        return (_step(item, backend, port, sources, text, loaded=loaded),)


def _sources(item: Item) -> tuple[Network, ...]:
    """The networks that may come in. Raises FixError."""
    raw = item.want["sources"]
    listed = raw if isinstance(raw, list | tuple) else str(raw).replace(",", " ").split()
    try:
        found = tuple(dict.fromkeys(ipaddress.ip_network(str(each), strict=False) for each in listed))
    except ValueError as error:
        raise FixError(f"fix.want.sources: {error}") from None
    if not found or len(found) > MOST:
        raise FixError("fix.want.sources: name at least one network, and not more than 64")
    return found


def _inside(address: str, sources: tuple[Network, ...]) -> bool:
    try:
        one = ipaddress.ip_address(address.removeprefix("::ffff:"))
    except ValueError:
        return False
    return any(one in net for net in sources if net.version == one.version)


def _words(sources: tuple[Network, ...]) -> str:
    return "、".join(str(each) for each in sources)


def _of(sources: tuple[Network, ...], version: int) -> list[str]:
    nets = ipaddress.collapse_addresses(net for net in sources if net.version == version)  # type: ignore[type-var]
    return [str(net).removesuffix("/32" if version == 4 else "/128") for net in nets]  # noqa: PLR2004 - IP version


def _nft(port: str, sources: tuple[Network, ...]) -> str:
    lines = [
        "# Who may reach the management port; written by the hardening tool, loaded by secops-firewall.service.",
        "table inet secops",
        "delete table inet secops",
        "table inet secops {",
        "  chain input {",
        "    type filter hook input priority -5; policy accept;",
        "    ct state established,related accept",
        '    iif "lo" accept',
    ]
    for version, word in ((4, "ip"), (6, "ip6")):
        nets = _of(sources, version)
        if nets:
            lines.append(f"    tcp dport {port} {word} saddr {{ {', '.join(nets)} }} accept")
    return "\n".join([*lines, f"    tcp dport {port} drop", "  }", "}", ""])


def _iptables(port: str, sources: tuple[Network, ...]) -> str:
    rules = [f"iptables -w 10 -A SECOPS -s {net} -p tcp --dport {port} -j ACCEPT" for net in _of(sources, 4)]
    return "\n".join(
        [
            "# Who may reach the management port; written by the hardening tool, run by secops-firewall.service.",
            "iptables -w 10 -N SECOPS 2>/dev/null || iptables -w 10 -F SECOPS || exit 1",
            "iptables -w 10 -A SECOPS -i lo -j ACCEPT &&",
            "iptables -w 10 -A SECOPS -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT &&",
            *(f"{rule} &&" for rule in rules),
            f"iptables -w 10 -A SECOPS -p tcp --dport {port} -j DROP || exit 1",
            "iptables -w 10 -C INPUT -j SECOPS 2>/dev/null || iptables -w 10 -I INPUT 1 -j SECOPS",
            "",
        ]
    )


def _loaded(now: list[str], port: str, sources: tuple[Network, ...]) -> bool:
    """Whether the running rules drop others at the port and let in exactly these sources."""
    text = "\n".join(now)
    drops = f"dport {port} drop" in text or f"--dport {port} -j DROP" in text
    accepting = "\n".join(line for line in now if "saddr" in line or " -s " in line)
    return drops and all(net.partition("/")[0] in accepting for version in (4, 6) for net in _of(sources, version))


def _step(item: Item, backend: str, port: str, sources: tuple[Network, ...], text: str, *, loaded: bool) -> Step:
    path = NFT_FILE if backend == "nft" else IPT_FILE
    runs = f"nft -f {path}" if backend == "nft" else f"/bin/sh {path}"
    program = '"$(command -v nft)"' if backend == "nft" else "/bin/sh"
    unit = f"""[Unit]
Description=Who may reach the management port
After=nftables.service iptables.service firewalld.service
Before=sshd.service ssh.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%s {"-f " if backend == "nft" else ""}{path}
[Install]
WantedBy=multi-user.target
"""
    write = f"""printf %s {quote(text)} | e_put {path} 600 &&
printf {quote(unit.replace(chr(10), chr(92) + "n"))} {program} | e_put {UNIT_FILE} 644 &&
mkdir -p {LINK.rpartition("/")[0]} && ln -sf {UNIT_FILE} {LINK} && act_daemon_reload && {runs}"""
    table = Handle("nfttable", ("inet", "secops")) if backend == "nft" else Handle("iptchain", ("SECOPS",))
    return Step(
        "firewall_rule",
        "firewall",
        f"tcp/{port}",
        "只放行部分来源（与要求不同）" if loaded else "任何来源",
        f"只放行 {_words(sources)}",
        write,
        handles=(
            Handle("file", (path,)),
            Handle("file", (UNIT_FILE,)),
            Handle("file", (LINK,)),
            Handle("dir", ("/etc/secops",)),
            table,
        ),
        source=backend,
        risk=tuple(dict.fromkeys([*item.risk, Risk.LOCKOUT])),
    )


RESOURCES = (FirewallRule(),)
