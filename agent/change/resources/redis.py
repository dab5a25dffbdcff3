"""Redis: directives in its file, and in the server that runs.

fix: {resource: redis_directive, want: {timeout: 900}}
fix: {resource: redis_directive, want: {bind: own, protected-mode: "yes"}}

What CONFIG SET can set is set so, and written where it counts at the next start. The rest (`logfile`, `enable-*`) takes a
restart: only with `restart: true`, and only where a restart loses no data. A number means at most that, and at least 1.
`bind: own` stands for the loopback and the host's one address. Passwords are nobody's want here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.redisconf import RedisConf
from agent.change.splice import shown, write
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_LIVE = frozenset({"timeout", "tcp-keepalive", "protected-mode", "appendonly"})
_LIVE_7 = frozenset({"bind"})
"""Since 7.0 (its release notes)."""
_RESTART = frozenset(
    {"logfile", "syslog-enabled", "enable-debug-command", "enable-protected-configs", "enable-module-command"}
)
_DEFAULTS = {
    "timeout": "0", "tcp-keepalive": "300", "protected-mode": "yes", "appendonly": "no", "logfile": "",
    "syslog-enabled": "no", "bind": "*", "enable-debug-command": "no", "enable-protected-configs": "no",
    "enable-module-command": "no",
}  # fmt: skip
_WIDE = frozenset({"*", "0.0.0.0", "::", "-*", "-::*", "-::", "-0.0.0.0"})  # noqa: S104 - what is looked for
_VALUE = re.compile(r"[A-Za-z0-9./:_-]+")
_SEVEN = (7,)
_ROOM = 3
"""Times the memory in use that must be free for an append-only file and its rewriting."""


@dataclass(frozen=True, slots=True)
class _Seen:
    words: Mapping[str, str]
    running: Mapping[str, str]
    info: Mapping[str, str]
    options: frozenset[str]
    addresses: tuple[str, ...]
    writable: frozenset[str]
    conf: RedisConf

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.words.get("version", "").split(".") if part.isdecimal())

    @property
    def asked(self) -> bool:
        """Whether the server answers us."""
        return self.words.get("ping") == "PONG"


def _seen(text: str, conf: str) -> _Seen | Skip:
    words: dict[str, str] = {}
    keyed: dict[str, dict[str, str]] = {"running": {}, "info": {}}
    includes: dict[str, dict[str, None]] = {}
    options, addresses, writable = set(), [], set()
    lines = text.splitlines()
    for line in lines:
        match line.split("\t"):
            case ["none"]:
                return Skip(Why.UNSUPPORTED, f"没有由系统服务以 {conf} 启动的 Redis，请在其启动处人工处理")
            case [("running" | "info") as kind, key, value]:
                keyed[kind][key] = value
            case ["include", pattern, path]:
                includes.setdefault(pattern, {})[path] = None
            case ["option", name]:
                options.add(name)
            case ["address", value]:
                addresses.append(value)
            case ["writable", value]:
                writable.add(value)
            case [("unit" | "uid" | "gid" | "version" | "ping" | "password" | "keys" | "room") as key, value]:
                words[key] = value
    files, missing = shown(lines)
    if missing or conf not in files:
        return Skip(Why.ERROR, "；".join(missing[:3]) or f"{conf} 未读到")
    parsed = RedisConf(files, {key: tuple(paths) for key, paths in includes.items()}, conf)
    return _Seen(
        words, keyed["running"], keyed["info"], frozenset(options), tuple(addresses), frozenset(writable), parsed
    )


class RedisDirective:
    """redis_directive: `want` maps directives to a word or a number."""

    name = "redis_directive"
    library = ("splice", "mw", "redis")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, dict) or not item.want:
            raise FixError("fix.want: write {timeout: 900}")
        known = sorted(_LIVE | _LIVE_7 | _RESTART)
        for key, value in item.want.items():
            if key not in known:
                raise FixError(f"fix.want.{key}: known directives: {', '.join(known)}")
            if isinstance(value, bool) or not _VALUE.fullmatch(str(value)):
                raise FixError(f"fix.want.{key}: {value!r} is no value (quote yes and no)")

    def read(self, item: Item, facts: Facts) -> str:
        """See `redis.sh`: rd_read."""
        del facts
        if "#" in item.location or not item.location.startswith("/"):
            return "echo none"
        conf = quote(item.location)
        lines = [f"rd_read {conf} {' '.join(map(quote, item.want))}"]
        if "logfile" in item.want:
            lines.append(f"rd_dir {conf} {quote(str(item.want['logfile']).rpartition('/')[0])}")
        return "\n".join(lines)

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a directive that is not as wanted in the file or in the server."""
        del facts
        seen = _seen(answer.text, item.location)
        if isinstance(seen, Skip):
            return seen
        steps: list[Step] = []
        for key, wanted in item.want.items():
            done = self._one(item, key, str(wanted), seen)
            if isinstance(done, Skip):
                return done  # what only holds together (bind, protected-mode) is not done by halves
            if done:
                steps.append(done)
        return tuple(steps)

    def _one(self, item: Item, key: str, wanted: str, seen: _Seen) -> Step | Skip | None:
        setting = seen.conf.last(key)
        inside = setting.value if setting else _DEFAULTS[key]
        running = seen.running.get(key)
        value = _value(key, wanted, seen)
        if isinstance(value, Skip):
            return None if _good(key, inside, wanted) and _good(key, running, wanted) else value
        in_file, in_server = _good(key, inside, value), _good(key, running, value)
        if in_file and (in_server or running is None):
            return None
        if key in seen.options:
            return Skip(Why.MANUAL, f"{key} 由服务单元的命令行给出，配置文件不起作用；改服务单元 {seen.words['unit']}")
        live = key in _LIVE or (key in _LIVE_7 and seen.version >= _SEVEN)
        refused = _refused(key, value, seen) or (None if live else _restart(item, seen))
        if refused:
            return refused
        write_, handles = [], []
        if not in_file:
            file, edit = seen.conf.edit(key, value)
            write_.append(write(file, [edit]))
            handles.append(Handle("file", (file.real,)))
        if live:
            write_.append(f"rd_set {quote(item.location)} {key} {quote(value)}")
            handles.append(Handle("redisconf", (key, item.location)))
        if key == "appendonly":
            write_.append(f"rd_saved {quote(item.location)}")
            handles.append(Handle("redisaof", (item.location,)))
        own = tuple(risk for risk in item.risk if risk is not Risk.RESTART)
        return Step(
            self.name,
            "redis",
            f"{item.location} {key}",
            f"{running if running is not None else inside}" or "（空）",
            value,
            " &&\n".join(write_),
            handles=tuple(handles),
            source=setting.file.at(setting.start) if setting else "默认值",
            acts=() if live else (Act("redis", (seen.words["unit"], item.location)),),
            risk=own if live else (*own, Risk.RESTART),
            note="" if in_file or running in {None, inside} else f"运行值与配置文件（{inside}）不同",
            confirm=f"rd_up {quote(item.location)}",
        )


def _good(key: str, now: str | None, wanted: str) -> bool:
    """Whether a value will do. A number: at least 1, at most that."""
    if now is None:
        return False
    if wanted.isdigit():
        return now.isdigit() and 1 <= int(now) <= int(wanted)
    if key == "bind":
        return bool(now) and not set(now.split()) & _WIDE
    if key == "logfile":
        return bool(now) and now != "/dev/null"
    return now.lower() == wanted.lower()


def _value(key: str, wanted: str, seen: _Seen) -> str | Skip:
    """The value to set on this host."""
    if key == "logfile":
        port = seen.conf.last("port")
        if port and port.value != "6379":  # two servers must not write one file
            stem, dot, end = wanted.rpartition(".")
            wanted = f"{stem}-{port.value}{dot}{end}" if port.value.isdigit() and "/" not in end else wanted
        return wanted
    if key != "bind" or wanted != "own":
        return wanted
    found: dict[int, list[str]] = {4: [], 6: []}
    for text in seen.addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        found[address.version].append(str(address))
    if len(found[4]) != 1:
        return Skip(Why.MANUAL, f"本机有 {len(found[4])} 个地址，客户端用哪一个须由人定：bind 127.0.0.1 与业务地址")
    return " ".join(["127.0.0.1", *found[4], *found[6]])


def _refused(key: str, value: str, seen: _Seen) -> Skip | None:
    """Why this directive must be left alone here."""
    if not seen.asked:
        return Skip(
            Why.UNSUPPORTED,
            "Redis 不接受本机查询（口令不在配置文件中、已启用 ACL 或只听 TLS），无法核对运行值，请人工处理",
        )
    if seen.running.get("save") is None:
        return Skip(Why.UNSUPPORTED, "CONFIG 命令已停用，无法核对运行值，请人工处理")
    if key in {"bind", "protected-mode"} and "password" not in seen.words:
        return Skip(Why.UNSAFE, "尚无口令：开启保护模式后本机以外的客户端会全部断开；先设口令（RDS-IA-A-01）")
    if key == "logfile" and value.rpartition("/")[0] not in seen.writable:
        return Skip(Why.UNSAFE, f"Redis 的运行账户不能写 {value.rpartition('/')[0]}，改后将无法启动")
    if key == "appendonly":
        used, room = seen.info.get("used_memory", ""), seen.words.get("room", "")
        if not used.isdigit() or not room.isdigit() or int(room) * 1024 < int(used) * _ROOM:
            return Skip(Why.UNSAFE, "数据目录的剩余空间不足内存用量的三倍，开启 AOF 可能写满磁盘")
    return None


def _restart(item: Item, seen: _Seen) -> Skip | None:
    """Why Redis may not be restarted."""
    if item.options.get("restart") is not True:
        return Skip(Why.EXCLUDED, "须重启 Redis，本次未许可重启服务")
    if seen.words.get("keys", "1") != "0" and not seen.running.get("save") and seen.running.get("appendonly") != "yes":
        return Skip(Why.UNSAFE, "Redis 有数据而未持久化，重启会丢失；先开启持久化（RDS-BK-A-01）")
    if seen.info.get("redis_mode", "standalone") != "standalone" or (
        seen.info.get("role") == "master" and seen.info.get("connected_slaves", "0") != "0"
    ):
        return Skip(Why.MANUAL, "Redis 为集群或有从节点的主节点，重启会触发切换，由人安排")
    return None


RESOURCES = (RedisDirective(),)
