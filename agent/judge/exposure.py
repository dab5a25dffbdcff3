"""What a host shows to the network: listeners that nobody declared, weak protocols, views that disagree.

Locations are `tcp/8081`: no address, process or version is in them, so that a finding
keeps its key over restarts.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.judge import weak
from agent.model.asset import Layer
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.severity import Severity
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from agent.model.asset import Host
    from agent.model.facts import HostFacts, Listener, NetworkFacts, Port

EPHEMERAL = 32768
"""UDP sockets from here on are mostly clients' own: their numbers change, so they are not judged."""
_CLEAR: Mapping[str, tuple[str, str, Severity, str]] = {
    "tcp/21": ("FTP", r"ftp", Severity.MEDIUM, "改用 SFTP 或 FTPS"),
    "tcp/23": ("Telnet", r"telnet", Severity.HIGH, "停用 Telnet，改用 SSH"),
    "tcp/512": ("rexec", r"rexec|^exec", Severity.HIGH, "停用 r 系列服务，改用 SSH"),
    "tcp/513": ("rlogin", r"rlogin|^login", Severity.HIGH, "停用 r 系列服务，改用 SSH"),
    "tcp/514": ("rsh", r"rsh|^shell", Severity.HIGH, "停用 r 系列服务，改用 SSH"),
    "udp/69": ("TFTP", r"tftp", Severity.MEDIUM, "停用 TFTP"),
}
"""Clear-text services by their port: name, what the program or service calls itself, severity, remedy."""
_SUPER = re.compile(r"^(?:$|systemd$|x?inetd|inetutils-inetd|busybox)")
"""Programs that hold a port for another: here the port's number decides."""
_OPEN = "open"
_SSH_REMEDY = (
    "在 sshd_config 的 Ciphers、MACs、KexAlgorithms、HostKeyAlgorithms 中去除上述算法，校验后重载 sshd；"
    "保留 curve25519-sha256@libssh.org 与 AES-GCM/CTR"
)


class _Views:
    """Both views of one host: what it says itself, and what was seen from the ops location."""

    def __init__(self, host: Host, facts: HostFacts | None, network: NetworkFacts | None) -> None:
        self.host = host
        told = facts is not None and "ss" not in facts.unseen and "base" not in facts.unseen
        self.listeners: dict[str, list[Listener]] | None = {} if told else None
        if facts is not None and self.listeners is not None:
            for one in facts.listeners:
                if not one.loopback and (one.proto == "tcp" or one.port < EPHEMERAL):
                    self.listeners.setdefault(f"{one.proto}/{one.port}", []).append(one)
        usable = network is not None and network.up
        self.ports: dict[str, Port] | None = {} if usable else None
        self.whole = usable and network is not None and not network.timed_out
        if network is not None and self.ports is not None:
            self.ports = {f"{port.proto}/{port.port}": port for port in network.ports}
        self.scanned = _ranges(network.scanned) if network is not None else ()

    def seen_open(self) -> dict[str, Port]:
        return {name: port for name, port in (self.ports or {}).items() if port.state == _OPEN}

    def was_asked(self, name: str) -> bool:
        """Whether nmap looked at that port at all."""
        proto, _, number = name.partition("/")
        return proto == "tcp" and any(low <= int(number) <= high for low, high in self.scanned)


def _ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Port ranges of nmap's `services` attribute; of `T:` and `U:` parts those of TCP."""
    part = text.partition("U:")[0].replace("T:", "")
    hits = re.finditer(r"(\d{1,5})(?:-(\d{1,5}))?", part)
    return tuple((int(hit[1]), int(hit[2] or hit[1])) for hit in hits)


def _order(name: str) -> tuple[str, int]:
    proto, _, number = name.partition("/")
    return proto, int(number) if number.isdecimal() else 0


def _who(listeners: list[Listener] | None, port: Port | None) -> str:
    words = [f"{one.address} {one.process}".strip() for one in listeners or ()]
    said = "主机：" + "、".join(dict.fromkeys(words)) if words else ""
    service = " ".join(filter(None, (port.service, port.product, port.version))) if port else ""
    seen = f"网络：{port.state}{' ' + service if service else ''}" if port else ""
    return one_line("；".join(filter(None, (said, seen))))


def _finding(
    views: _Views, check: str, location: str, title: str, severity: Severity, words: tuple[str, str, str]
) -> Finding:
    """`words`: what was seen, what is wanted, what to do."""
    actual, expected, remedy = words
    return Finding(
        target=views.host.name,
        layer=Layer.NETWORK,
        kind=FindingKind.EXPOSURE,
        check=check,
        location=location,
        title=title,
        severity=severity,
        state=FindingState.OPEN,
        actual=one_line(actual),
        expected=expected,
        remedy=remedy,
        clause="8.1.4.4-b",
    )


def _declared(views: _Views) -> list[Finding]:
    """Listeners against what the inventory declares; nothing when it declares nothing."""
    if not views.host.listeners:
        return []
    wanted = set(views.host.listeners)
    seen = {*(views.listeners or ()), *views.seen_open()}
    found = []
    for name in sorted(seen - wanted, key=_order):
        words = (
            _who((views.listeners or {}).get(name), (views.ports or {}).get(name)),
            "清单未登记的端口不监听",
            f"确认 {name} 是否必需：不必需的停用其服务，必需的登记到清单 hosts.yaml 的 listeners",
        )
        found.append(_finding(views, "EXP-LISTENER", name, f"监听了清单未登记的端口 {name}", Severity.MEDIUM, words))
    if views.listeners is None:
        return found
    for name in sorted(wanted - seen, key=_order):
        words = ("未监听", "按清单登记监听", f"确认 {name} 的服务是否应运行：恢复服务，或从清单中删除该登记")
        found.append(_finding(views, "EXP-ABSENT", name, f"清单登记的端口 {name} 未监听", Severity.LOW, words))
    return found


def _mismatch(views: _Views) -> list[Finding]:
    """Ports on which the host's own word and the network's view disagree."""
    if views.listeners is None or views.ports is None:
        return []
    found = []
    check = "EXP-MISMATCH"
    for name, port in sorted(views.seen_open().items(), key=lambda item: _order(item[0])):
        if name in views.listeners or _order(name)[0] != "tcp":
            continue
        words = (
            f"网络侧 {_who(None, port)}，主机自报未监听",
            "主机自报与网络所见一致",
            "排查端口转发、容器端口映射、地址冲突或主机被植入隐藏进程的可能",
        )
        title = f"网络可达端口 {name}，主机自报未监听"
        found.append(_finding(views, check, name, title, Severity.HIGH, words))
    for name, listeners in sorted(views.listeners.items(), key=lambda item: _order(item[0])):
        wide = any(one.address in {"0.0.0.0", "::"} for one in listeners)  # noqa: S104 - compared, nothing is bound
        answer = views.ports.get(name)
        state = answer.state if answer else "closed" if views.whole else ""
        if not wide or not views.was_asked(name) or state in {_OPEN, ""}:
            continue
        filtered = "filtered" in state
        words = (
            f"{_who(listeners, None)}；网络侧为 {one_line(state, 40)}",
            "主机自报与网络所见一致",
            "确认中间设备或主机防火墙的过滤规则是否为有意设置" if filtered else "复扫确认；核对地址与网络路径是否正确",
        )
        title = f"端口 {name} 主机自报对外监听，网络侧{'被过滤' if filtered else '未开放'}"
        found.append(_finding(views, check, name, title, Severity.INFO if filtered else Severity.LOW, words))
    return found


def _clear_text(views: _Views) -> list[Finding]:
    """Telnet, FTP, the r-services and TFTP, by their port or by what nmap recognised on another."""
    found = []
    names = {*(views.listeners or ()), *views.seen_open()}
    for name in sorted(names, key=_order):
        listeners, port = (views.listeners or {}).get(name), views.seen_open().get(name)
        called = [one.process for one in listeners or ()] + ([port.service] if port else [])
        for known, (title, pattern, severity, remedy) in _CLEAR.items():
            wrapped = port is not None and "ssl" in port.service
            speaks = not wrapped and any(re.search(pattern, word) for word in called if word)
            silent = all(_SUPER.match(word) or word in {"unknown", "tcpwrapped"} for word in called)
            if known.partition("/")[0] != name.partition("/")[0] or not (speaks or (known == name and silent)):
                continue
            words = (_who(listeners, port), "不提供明文的远程管理与传输服务", remedy)
            found.append(
                _finding(views, "EXP-CLEARTEXT", name, f"明文服务 {title} 对外监听（{name}）", severity, words)
            )
            break
    return found


def _weak(views: _Views, now: datetime | None) -> list[Finding]:
    """Weak SSH and TLS as the scripts of nmap saw them."""
    found = []
    for name, port in sorted(views.seen_open().items(), key=lambda item: _order(item[0])):
        bad = weak.ssh(port.scripts.get("ssh2-enum-algos", ""))
        if bad:
            words = (f"服务端接受：{', '.join(bad)}", "只提供强算法", _SSH_REMEDY)
            found.append(_finding(views, "EXP-SSH-WEAK", name, f"SSH 服务提供弱算法（{name}）", Severity.MEDIUM, words))
        protocols, suites = weak.tls(port.scripts.get("ssl-enum-ciphers", ""))
        if protocols or suites:
            seen = "；".join(
                f"{name} {'、'.join(bad[:8])}" for name, bad in (("协议", protocols), ("套件", suites)) if bad
            )
            severity = Severity.HIGH if {"SSLv2", "SSLv3"} & set(protocols) else Severity.MEDIUM
            words = (seen, "只提供 TLSv1.2 及以上与强套件", "在服务配置中停用上述协议与套件并重载")
            found.append(
                _finding(views, "EXP-TLS-WEAK", name, f"TLS 服务提供弱协议或弱套件（{name}）", severity, words)
            )
        expires = weak.expiry(port.scripts.get("ssl-cert", ""))
        if expires is not None and now is not None and expires < now:
            words = (f"证书已于 {expires:%Y-%m-%d} 过期", "证书在有效期内", "更换证书并重载服务")
            found.append(_finding(views, "EXP-TLS-CERT", name, f"TLS 证书已过期（{name}）", Severity.MEDIUM, words))
    return found


def judge(
    host: Host,
    facts: HostFacts | None,
    network: NetworkFacts | None,
    evidence: tuple[int, ...],
    now: datetime | None = None,
) -> list[Finding]:
    """Findings on what one host shows to the network.

    Args:
        host: as declared; `listeners` empty means that none were declared and none are judged unexpected.
        facts: the host's own word, or None when it was not reached.
        network: nmap's view, or None when it was not scanned.
        evidence: ledger numbers of both.
        now: aware UTC, for certificates; None leaves their expiry unjudged.
    """
    views = _Views(host, facts, network)
    found = [*_declared(views), *_mismatch(views), *_clear_text(views), *_weak(views, now)]
    return [replace(one, evidence=evidence) for one in found]
