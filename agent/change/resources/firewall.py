"""Packet filter: who may reach the host, and where (GB/T 22239-2019 8.1.4.4-b, -c).

fix: {resource: firewall_rule, want: {port: ssh, sources: "{{ssh_sources}}"}}
fix: {resource: firewall_rule, want: {policy: drop}}

With `port` the sources reach it and everybody else is dropped there; other ports are not spoken of. Where the address
that we come from is not among the sources nothing is done: it would shut us out. With `policy` the ports that the
inventory declares, and the one that we come by, are reached by all, and other TCP and UDP is dropped.

The rules stand in a table (`inet secops`; with iptables a chain SECOPS), beside whatever else filters here: forwarded
packets and other tables are left alone. A unit of our own loads them at boot, and a drop-in each time that the system's
own filter, which throws all rules away, begins or reloads. Where firewalld runs on iptables its reload would throw a
chain of ours away, so that it is a person's.
"""

from __future__ import annotations

from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.filters import Filter, Network, inside, networks, owners_of, ports
from agent.model.change import Act, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_LAST_PORT = 65535


class FirewallRule:
    """firewall_rule: see the module."""

    name = "firewall_rule"
    library = ()

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or set(want) not in ({"port", "sources"}, {"policy"}):
            raise FixError('fix.want: write {port: ssh, sources: "{{ssh_sources}}"}, or {policy: drop}')
        if "policy" in want:
            if want["policy"] != "drop":
                raise FixError("fix.want.policy: drop")
            return
        if want["port"] != "ssh" and not (type(want["port"]) is int and 0 < want["port"] <= _LAST_PORT):
            raise FixError("fix.want.port: `ssh` (the port that we come by) or a port number")
        _networks(item)

    def read(self, item: Item, facts: Facts) -> str:
        """`backend`, `firewalld`, then `file`: our file's lines; `now`: what is loaded; `enabled`; `open PROTO/PORT`."""
        del facts
        mine = _filter(item)
        return f"""if systemctl is-active -q firewalld 2>/dev/null; then echo firewalld; fi
if command -v nft >/dev/null 2>&1 && nft list tables >/dev/null 2>&1; then echo backend nft; b=nft
elif command -v iptables >/dev/null 2>&1 && iptables -w 5 -S >/dev/null 2>&1; then echo backend iptables; b=iptables
else echo backend none; fi
[ -d "$R/run/systemd/system" ] && echo systemd
for f in {mine.path("nft")} {mine.path("iptables")}; do [ ! -r "$R$f" ] || sed "s/^/file /" "$R$f"; done
case $b in nft) nft list table inet {quote(mine.name)} ;; iptables) iptables -w 5 -S {quote(mine.chain)} ;; esac 2>/dev/null | sed 's/^/now /'
[ ! -L "$R{mine.link}" ] || echo enabled
for u in {" ".join(dict.fromkeys([*owners_of("nft"), *owners_of("iptables")]))}; do
  for d in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    if [ -f "$R$d/$u" ]; then echo "owner $u"; break; fi
  done
  [ ! -e "$R/etc/systemd/system/$u.d/secops-{mine.file}.conf" ] || echo "hook $u"
done
ss -Hltun 2>/dev/null | awk '{{n=split($5,a,":");p=a[n];if($5!~/^(127\\.|\\[::1\\])/&&p~/^[0-9]+$/)print "open " $1 "/" p}}' | sort -u
:"""

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step for the whole table."""
        told: dict[str, list[str]] = {}
        for line in answer.text.splitlines():
            word, _, rest = line.partition(" ")
            told.setdefault(word, []).append(rest)
        mine = _filter(item)
        backend = (told.get("backend") or ["none"])[0]
        if "policy" in item.want and not item.options.get("listeners"):
            return Skip(Why.MANUAL, "清单未申报该主机的监听端口（hosts.yaml 的 listeners），无从确定放行范围")
        skip = _refused(mine, backend, told, facts)
        if skip:
            return skip
        loaded = mine.loaded(told.get("now", ()), backend) and "enabled" in told
        owners = [unit for unit in owners_of(backend) if unit in told.get("owner", ())]
        if (
            loaded
            and told.get("file", []) == mine.text(backend).splitlines()
            and set(owners) <= set(told.get("hook", ()))
        ):
            return ()
        return (_step(item, mine, backend, owners, told),)


def _networks(item: Item) -> tuple[Network, ...]:
    try:
        return networks(item.want["sources"])
    except ValueError as error:
        raise FixError(f"fix.want.sources: {error}") from None


def _filter(item: Item) -> Filter:
    ssh = f"tcp/{item.options.get('ssh_port', 22)}"
    if "policy" in item.want:
        opened = ports([ssh, *item.options.get("listeners", ())])
        return Filter("secops_inbound", "inbound", "What may come in at all", opened=opened, rest=True)
    port = ssh if item.want["port"] == "ssh" else f"tcp/{item.want['port']}"
    return Filter("secops", "firewall", "Who may reach the management port", (port,), _networks(item))


def _refused(mine: Filter, backend: str, told: dict[str, list[str]], facts: Facts) -> Skip | None:
    words = "、".join(map(str, mine.sources))
    if backend not in {"nft", "iptables"} or "systemd" not in told:
        return Skip(Why.UNSUPPORTED, "主机上没有可用的 nft 或 iptables（或没有 systemd），先安装 nftables")
    if mine.sources and not inside(facts["from"], mine.sources):
        return Skip(Why.UNSAFE, f"当前来源 {facts['from'] or '未知'} 不在允许范围 {words} 内，执行会切断登录")
    if backend == "iptables" and "firewalld" in told:
        what = f"只放行 {words} 到 {'、'.join(mine.limited)}" if mine.sources else f"只放行 {'、'.join(mine.opened)}"
        return Skip(Why.MANUAL, f"firewalld 在运行且没有 nft，重载会清掉自有链：请以 firewalld 规则{what}")
    return None


def _step(item: Item, mine: Filter, backend: str, owners: list[str], told: dict[str, list[str]]) -> Step:
    notes = []
    if "firewalld" in told:
        notes.append("firewalld 在运行：规则在自有的表中，firewall-cmd 不显示，nft list ruleset 可见")
    shut = [port for port in ports(told.get("open", ())) if port not in mine.opened]
    if mine.rest and shut:
        notes.append(f"将拒绝未申报的监听：{'、'.join(shut)}")
    before = "与要求不同的自有规则" if told.get("now") else "任何来源"
    after = f"只放行 {'、'.join(map(str, mine.sources))}"
    if mine.rest:
        before, after = before.replace("任何来源", "不限"), f"只放行 {'、'.join(mine.opened)}"
    return Step(
        "firewall_rule",
        "firewall",
        "inbound" if mine.rest else mine.limited[0],
        before,
        after,
        mine.write(backend, owners),
        handles=mine.handles(backend, owners),
        source=backend,
        acts=(Act("daemon_reload"),),
        risk=tuple(dict.fromkeys([*item.risk, Risk.LOCKOUT, *([Risk.APP_BREAK] if mine.rest else [])])),
        note="；".join(notes),
    )


RESOURCES = (FirewallRule(),)
