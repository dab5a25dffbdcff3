"""sshd: effective values for those who come, and the file in which a value of ours wins.

fix: {resource: sshd_option, want: {PermitRootLogin: no, MaxAuthTries: 4, Ciphers: {without: "-cbc|3des"}}}

- a word: that value. A number: at most that, and at least 1. What is stricter already stays.
- a list (`a,b,c`): of what is effective only what the list names stays. `{without: REGEX}`: all that does not match.
  If nothing is left that today's clients offer, the list (or our own, `_MODERN`) takes its place, cut to what this
  sshd knows.

The first value of a keyword wins (sshd_config(5)): it is written to sshd_config.d/00-secops.conf when that is read
first, else to the head of the main file; the losers stay. What a Match block sets is somebody's decision about
somebody: it is told, not changed. What a crypto policy passes on the command line (RHEL 8) no file can change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from agent.change.contract import Facts, FixError
from agent.model.change import Act, Handle, Item, Skip, Step, Why
from agent.model.frames import Answer

_LOCKS_OUT = frozenset(
    {
        "passwordauthentication", "pubkeyauthentication", "authenticationmethods", "kbdinteractiveauthentication",
        "usepam", "allowusers", "allowgroups", "denyusers", "denygroups", "port", "listenaddress",
        "authorizedkeysfile", "hostkey", "match", "include", "allowtcpforwarding", "disableforwarding",
        "permitopen",
    }
)  # fmt: skip
"""Keywords that decide who gets in at all: a person's."""
_MODERN = {
    "ciphers": "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr",
    "macs": "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256",
    "kexalgorithms": "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
    "diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group14-sha256",
}
"""What paramiko 3 and OpenSSH since 6.5 both offer, by keyword, strongest first."""
_QUERY = {"ciphers": "cipher", "macs": "mac", "kexalgorithms": "kex"}
_COMMON = (
    "ciphers", "clientalivecountmax", "clientaliveinterval", "gatewayports", "kexalgorithms", "logingracetime", "macs",
    "maxauthtries", "permitemptypasswords", "permitrootlogin", "permittunnel", "x11forwarding",
)  # fmt: skip
"""Keywords that controls name: asked for all together, so that one answer serves every item of a host."""
_ELSE = ("secops-nobody", "192.0.2.254")
"""A stranger: what holds outside Match blocks (192.0.2.0/24 is TEST-NET-1, RFC 5737)."""
_MITIGATION = "LoginGraceTime 为 0，可能是 CVE-2024-6387 的临时缓解，先升级 OpenSSH"


_PROBE = r"""
probe() { # USER ADDR NAME...: what holds for who comes so, told by each name
  o=$(sshd_effective "$1" "$2") || exit 2
  shift 2
  printf '%%s\n' "$o" | N="$*" awk 'BEGIN{n=split(ENVIRON["N"],p," ")}
    tolower($1)~/^(%s)$/{for(i=1;i<=n;i++)printf "is\t%%s\t%%s\n",p[i],$0}'
}
sshd_read_once
set=$(sshd_lines)
t=$(printf '\t')
case $set in
  # a Match block, or a file that is read from one that is itself read: it depends on who comes
  *"$t"1"$t"* | *"${t}include${t}"*"${t}include${t}"*) each=1 ;;
  *) each= ;;
esac"""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the read told."""

    values: Mapping[tuple[str, str], str]
    """(probe, keyword) to effective value."""
    lines: tuple[tuple[str, str, str, bool, str], ...]
    """File, number, keyword, whether in a Match block, value."""
    places: Mapping[str, str]
    known: Mapping[str, tuple[str, ...]]
    options: frozenset[str]
    """Keywords on sshd's command line."""
    unit: str
    sshd: bool


def _seen(text: str) -> _Seen:
    values, lines, places, known, options, unit, sshd = {}, [], {}, {}, set(), "", False
    for line in text.splitlines():
        match line.split("\t"):
            case ["sshd"]:
                sshd = True
            case ["is", probe, told]:
                key, _, value = told.partition(" ")
                values[probe, key.lower()] = value.strip()
            case ["set", file, number, key, scope, *rest]:
                lines.append((file, number, key, scope == "1", " ".join(rest)))
            case ["place", key, file] if file.startswith("/"):
                places[key] = file
            case ["knows", key, names]:
                known[key] = tuple(names.split())
            case ["option", word]:
                options.add(word.removeprefix("-o").partition("=")[0].lower())
            case ["unit", name]:
                unit = name
    return _Seen(values, tuple(lines), places, known, frozenset(options), unit, sshd)


class SshdOption:
    """sshd_option: `want` maps keywords to a word, a number, a list or {without: REGEX}."""

    name = "sshd_option"
    library = ("sshd",)

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, dict) or not item.want:
            raise FixError("fix.want: write {PermitRootLogin: no}")
        for key, value in item.want.items():
            if not re.fullmatch(r"[A-Z][A-Za-z0-9]+", str(key)):
                raise FixError(f"fix.want: {key!r} is no keyword of sshd_config(5)")
            if key.lower() in _LOCKS_OUT:
                raise FixError(f"fix.want.{key}: decides who gets in; use resource: manual")
            if isinstance(value, dict):
                if set(value) != {"without"} or key.lower() not in _MODERN:
                    raise FixError(f"fix.want.{key}: write {{without: REGEX}}, for Ciphers, MACs, KexAlgorithms")
                _pattern(key, value["without"])
            elif not re.fullmatch(r"[A-Za-z0-9@.,:+/_-]+", str(value)):
                raise FixError(f"fix.want.{key}: {value!r} is no word, number or list")

    def read(self, item: Item, facts: Facts) -> str:
        """Lines of words between tabs; see `_seen`."""
        del facts
        keys = sorted({*_COMMON, *(str(key).lower() for key in item.want)})
        pattern = "|".join(keys)
        lines = [
            "command -v sshd >/dev/null 2>&1 || exit 0",
            "echo sshd",
            "l=${SUDO_USER:-$(id -un)}; c=$(client_address)",
            _PROBE % pattern,
            'if [ -z "$each" ]; then probe root 127.0.0.1 root else ${c:+root-from login}; else',
            f"probe root 127.0.0.1 root; probe {_ELSE[0]} {_ELSE[1]} else",
            'if [ -n "$c" ]; then probe root "$c" root-from; probe "$l" "$c" login; fi; fi',
            '[ -z "$set" ] || printf "%s\\n" "$set" | while read -r x; do printf "set\\t%s\\n" "$x"; done',
            'sshd_opts | while read -r x; do case $x in -o*) printf "option\\t%s\\n" "$x" ;; esac; done',
            'printf "unit\\t%s\\n" "$(sshd_unit)"',
        ]
        lines += [
            f"set -- {' '.join(keys)}",
            'sshd_place "$@" | while read -r p; do printf "place\\t%s\\t%s\\n" "$1" "${p#"$R"}"; shift; done',
        ]
        lines += [
            f'printf "knows\\t{key}\\t%s\\n" "$(echo $(sshd -Q {_QUERY[key]} 2>/dev/null))"'
            for key in keys
            if key in _QUERY
        ]
        return "\n".join(lines)

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a keyword that is too weak for somebody."""
        seen = _seen(answer.text)
        if not seen.sshd:
            return Skip(Why.UNSUPPORTED, "没有安装 OpenSSH 服务端")
        steps: list[Step] = []
        left: list[Skip] = []
        for key, wanted in item.want.items():
            done = self._keyword(item, str(key), wanted, seen, facts)
            if isinstance(done, Step):
                steps.append(done)
            elif done is not None:
                left.append(done)
        return tuple(steps) if steps or not left else Skip(left[0].why, "；".join(each.text for each in left))

    def _keyword(self, item: Item, key: str, wanted: Any, seen: _Seen, facts: Facts) -> Step | Skip | None:  # noqa: ANN401 - YAML
        low = key.lower()
        here = {probe: value for (probe, word), value in seen.values.items() if word == low}
        if "else" not in here:
            return Skip(Why.UNSUPPORTED, f"此版本的 sshd 没有 {key}")
        target = {probe: _target(low, wanted, value, seen.known.get(low, ())) for probe, value in here.items()}
        if all(value is None for value in target.values()):
            return None
        return _refused(item, low, seen, here["else"], facts) or self._step(item, key, here, target["else"], seen)

    def _step(self, item: Item, key: str, here: Mapping[str, str], value: str | None, seen: _Seen) -> Step | Skip:
        low = key.lower()
        inside = [line for line in seen.lines if line[2] == low and line[3]]
        where = "、".join(f"{file}:{number}" for file, number, *_ in inside)
        if value is None:
            return Skip(Why.MANUAL, f"{key} 在 Match 块内被放宽（{where or '见 Match 块'}），由定下该例外的人处理")
        if not value:
            return Skip(Why.UNSUPPORTED, f"去掉弱算法后 {key} 没有这一版 sshd 支持的算法可用，先升级 OpenSSH")
        file = seen.places.get(low, "")
        if not file:
            return Skip(Why.ERROR, "找不到 sshd 的配置文件")
        probes = [_ELSE] if inside else [_ELSE, ("root", "127.0.0.1")]
        args = " ".join(quote(word) for probe in probes for word in probe)
        first = next((line for line in seen.lines if line[2] == low and not line[3]), None)
        return Step(
            self.name,
            "sshd",
            key,
            here["else"],
            value,
            f"sshd_set {quote(file)} {quote(key)} {quote(value)} && sshd_holds {quote(key)} {quote(value)} {args}",
            handles=(Handle("file", (file,)),),
            source=f"{first[0]}:{first[1]}" if first else "默认值",
            validate="sshd_sound",
            acts=(Act("sshd", (seen.unit,)),) if seen.unit else (),
            risk=item.risk,
            note=f"Match 块内另有设置（{where}），未改" if inside else "",
        )


def _pattern(key: str, text: object) -> re.Pattern[str]:
    try:
        return re.compile(str(text))
    except re.error as error:
        raise FixError(f"fix.want.{key}.without: {error}") from None


def _target(key: str, wanted: Any, now: str, known: tuple[str, ...]) -> str | None:  # noqa: ANN401 - YAML
    """The value to set; None: what is effective is as wanted or stricter; empty: there is none."""
    if key in _MODERN:
        return _algorithms(key, wanted, now, known)
    wanted = {"prohibit-password": "without-password"}.get(str(wanted).lower(), wanted)
    if str(wanted).isdigit():
        return None if now.isdigit() and 1 <= int(now) <= int(wanted) else str(wanted)
    return None if now.lower() == str(wanted).lower() else str(wanted)


def _algorithms(key: str, wanted: Any, now: str, known: tuple[str, ...]) -> str | None:  # noqa: ANN401 - YAML
    names = [name for name in now.split(",") if name]
    if isinstance(wanted, dict):
        weak = _pattern(key, wanted["without"])
        instead = [name for name in _MODERN[key].split(",") if not weak.search(name)]
        kept = [name for name in names if not weak.search(name)]
    else:
        instead = str(wanted).split(",")
        kept = [name for name in names if name in instead]
    if not set(kept) & set(_MODERN[key].split(",")):
        kept = [name for name in instead if name in known]
    return None if kept == names else ",".join(kept)


def _refused(item: Item, key: str, seen: _Seen, now: str, facts: Facts) -> Skip | None:
    """Why this keyword must be left alone here."""
    if key == "permitrootlogin" and facts["login"] == "root":
        return Skip(Why.UNSAFE, "程序以 root 登录本机；先建有 sudo 权限的运维账户并改用它登录")
    if key in _MODERN and item.options.get("legacy"):
        return Skip(Why.UNSAFE, "本机只能以旧算法（SHA-1、CBC）登录，改后将无法进入；先升级 OpenSSH")
    if key in seen.options:
        return Skip(
            Why.MANUAL,
            "由系统 crypto-policies 在 sshd 命令行上下发，改配置文件无效；用 update-crypto-policies --set 处理",
        )
    if key == "logingracetime" and now == "0":
        return Skip(Why.UNSAFE, _MITIGATION)
    return None


RESOURCES = (SshdOption(),)
