"""Packet filters as text: a table of our own for nftables, a chain of our own for iptables. Pure.

They say something of packets to this host alone: replies and loopback pass, forwarded packets and anybody else's tables
are not looked at. What a table of ours lets pass still has to pass the others; so a chain of iptables returns, it does not
accept, or the first of two chains would let in what the second shuts out.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

from agent.model.change import Handle

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST = 64
"""Sources at most: a longer list is a mistake."""
_RULE = re.compile(r"(?:accept|drop|-j RETURN|-j DROP)(?: comment \"[^\"]*\")?$")
_RANGE = re.compile(r"(tcp|udp)/([0-9]{1,5})")


_OWNERS = (
    "nftables.service",
    "iptables.service",
    "ip6tables.service",
    "netfilter-persistent.service",
    "firewalld.service",
)
_UNIT = """[Unit]
Description={about}
After={after}
Before=sshd.service ssh.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={run}
[Install]
WantedBy=multi-user.target
"""


def owners_of(backend: str) -> tuple[str, ...]:
    """Units that flush this backend's rules when they begin."""
    return _OWNERS[:1] if backend == "nft" else _OWNERS[1:4]


@dataclass(frozen=True, slots=True)
class Filter:
    """What may come in."""

    name: str
    """Of the table, and in capitals of the chain: `secops`."""
    file: str
    """Stem of its files: `firewall`."""
    about: str
    limited: tuple[str, ...] = ()
    """Ports (`tcp/22`) that only `sources` reach."""
    sources: tuple[Network, ...] = ()
    opened: tuple[str, ...] = ()
    """Ports that anybody reaches, when the rest is shut."""
    rest: bool = False
    """Whether all other TCP and UDP is dropped. Other protocols (ICMP, VRRP, IPsec) and DHCP answers pass."""

    @property
    def unit(self) -> str:
        """That loads it at boot, and again when the system's own filter is restarted."""
        return f"secops-{self.file}.service"

    @property
    def chain(self) -> str:
        """Of iptables."""
        return self.name.upper()

    def path(self, backend: str) -> str:
        """Where its rules lie."""
        return f"/etc/secops/{self.file}.{'nft' if backend == 'nft' else 'sh'}"

    def text(self, backend: str) -> str:
        """Its rules."""
        return self._nft() if backend == "nft" else self._iptables()

    @property
    def mark(self) -> str:
        """A comment on one rule, so that a listing tells which rules it is of."""
        said = json.dumps([self.name, self.limited, [str(net) for net in self.sources], self.opened, self.rest])
        return f"secops-{hashlib.sha256(said.encode()).hexdigest()[:12]}"

    def _plain(self) -> list[tuple[str, str, str, int]]:
        """(protocol, port or empty, source or empty, IP version or 0 for both) of what passes, or with `!` is dropped."""
        found: list[tuple[str, str, str, int]] = []
        for port in self.limited:
            proto, _, number = port.partition("/")
            found += [(proto, number, net, version) for version in (4, 6) for net in of(self.sources, version)]
            found.append((f"!{proto}", number, "", 0))
        if self.rest:
            opened = sorted({*self.opened, "udp/68", "udp/546"}, key=lambda port: (port[:3], int(port[4:])))
            found += [(port[:3], port[4:], "", 0) for port in opened]
            found += [("!tcp", "", "", 0), ("!udp", "", "", 0)]
        return found

    def _nft(self) -> str:
        lines = [
            f"# {self.about}; written by the hardening tool, loaded by {self.unit}.",
            f"table inet {self.name}",
            f"delete table inet {self.name}",
            f"table inet {self.name} {{",
            "  chain input {",
            "    type filter hook input priority -5; policy accept;",
            "    ct state established,related accept",
            f'    iif "lo" accept comment "{self.mark}"',
        ]
        for proto, number, net, version in self._plain():
            bare = proto.removeprefix("!")
            port = f"{bare} dport {number} " if number else f"meta l4proto {bare} "
            source = f"{'ip' if version == 4 else 'ip6'} saddr {net} " if net else ""  # noqa: PLR2004 - IP version
            lines.append(f"    {port}{source}{'drop' if proto != bare else 'accept'}")
        return "\n".join([*lines, "  }", "}", ""])

    def _iptables(self) -> str:
        chain = self.chain
        body = [
            f"# {self.about}; written by the hardening tool, run by {self.unit}.",
            "fill() { # PROGRAM VERSION",
            f'  "$1" -w 10 -N {chain} 2>/dev/null || "$1" -w 10 -F {chain} || return 1',
            f'  a() {{ "$p" -w 10 -A {chain} "$@" || bad=1; }}',
            "  p=$1; bad=0",
            f"  a -i lo -m comment --comment {self.mark} -j RETURN",
            "  a -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN",
        ]
        for proto, number, net, version in self._plain():
            bare = proto.removeprefix("!")
            rule = f"a{f' -s {net}' if net else ''} -p {bare}{f' --dport {number}' if number else ''}"
            rule += f" -j {'DROP' if proto != bare else 'RETURN'}"
            body.append(f'  [ "$2" != {version} ] || {rule}' if version else f"  {rule}")
        return "\n".join(
            [
                *body,
                "  [ $bad = 0 ] || return 1",
                f'  "$1" -w 10 -C INPUT -j {chain} 2>/dev/null || "$1" -w 10 -I INPUT 1 -j {chain}',
                "}",
                "fill iptables 4 || exit 1",
                "if ip6tables -w 10 -S INPUT >/dev/null 2>&1; then fill ip6tables 6 || exit 1; fi",
                "",
            ]
        )

    def write(self, backend: str, owners: Sequence[str]) -> str:
        """POSIX sh that writes and loads it. `owners`: units that throw all rules away when they begin or reload."""
        path, unit = self.path(backend), f"/etc/systemd/system/{self.unit}"
        program = '"$(command -v nft)"' if backend == "nft" else "/bin/sh"
        run = f"%s {'-f ' if backend == 'nft' else ''}{path}"
        text = _UNIT.format(about=self.about, after=" ".join(_OWNERS), run=run)
        again = f"[Service]\nExecStartPost=-{run}\nExecReload=-{run}\n"
        return " &&\n".join(
            [
                f"printf %s {quote(self.text(backend))} | e_put {path} 600",
                f"printf {_printf(text)} {program} | e_put {unit} 644",
                *(f"printf {_printf(again)} {program} {program} | e_put {self.hook(owner)} 644" for owner in owners),
                f"mkdir -p {self.link.rpartition('/')[0]} && ln -sf {unit} {self.link}",
                f"act_daemon_reload && systemctl restart {self.unit}",
            ]
        )

    @property
    def link(self) -> str:
        """What starts the unit at boot."""
        return f"/etc/systemd/system/multi-user.target.wants/{self.unit}"

    def hook(self, owner: str) -> str:
        """What makes another unit load these rules again after its own."""
        return f"/etc/systemd/system/{owner}.d/secops-{self.file}.conf"

    def handles(self, backend: str, owners: Sequence[str]) -> tuple[Handle, ...]:
        """Everything that `write` changes."""
        loaded = (
            (Handle("nfttable", ("inet", self.name)),)
            if backend == "nft"
            else (Handle("iptchain", (self.chain, "iptables")), Handle("iptchain", (self.chain, "ip6tables")))
        )
        files = (self.path(backend), f"/etc/systemd/system/{self.unit}", *map(self.hook, owners), self.link)
        return (
            *(Handle("file", (file,)) for file in files),
            *(
                Handle("dir", (folder,))
                for folder in ("/etc/secops", *(self.hook(each).rpartition("/")[0] for each in owners))
            ),
            *loaded,
            Handle("unit", (self.unit,)),
        )

    def loaded(self, now: Iterable[str], backend: str) -> bool:
        """Whether a table's or a chain's listing is that of these rules: its mark, and as many rules."""
        lines = [line for line in now if _RULE.search(line)]
        both = 2 + len([rule for rule in self._plain() if backend == "nft" or rule[3] != 6])  # noqa: PLR2004 - replies, loopback; IPv6 is listed elsewhere
        return any(self.mark in line for line in lines) and len(lines) == both


def networks(raw: object, where: str = "fix.want.sources") -> tuple[Network, ...]:
    """The networks that may come in. Raises ValueError."""
    listed = raw if isinstance(raw, list | tuple) else str(raw).replace(",", " ").split()
    found = tuple(dict.fromkeys(ipaddress.ip_network(str(each), strict=False) for each in listed))
    if not found or len(found) > MOST:
        raise ValueError(f"{where}: name at least one network, and not more than {MOST}")
    return found


def inside(address: str, sources: Iterable[Network]) -> bool:
    """Whether an address is in one of them."""
    try:
        one = ipaddress.ip_address(address.removeprefix("::ffff:"))
    except ValueError:
        return False
    return any(one in net for net in sources if net.version == one.version)


def ports(listed: Iterable[object]) -> tuple[str, ...]:
    """Those of `tcp/22` form."""
    return tuple(dict.fromkeys(str(each) for each in listed if _RANGE.fullmatch(str(each))))


def of(sources: Iterable[Network], version: int) -> list[str]:
    """One family's, joined where they touch; single addresses without a length."""
    nets = ipaddress.collapse_addresses(net for net in sources if net.version == version)  # type: ignore[type-var]
    return [str(net).removesuffix("/32" if version == 4 else "/128") for net in nets]  # noqa: PLR2004 - IP version


def _printf(text: str) -> str:
    return quote(text.replace("\n", "\\n"))
