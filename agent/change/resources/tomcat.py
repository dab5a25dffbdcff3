"""Tomcat: server.xml, web.xml and tomcat-users.xml, and applications that do not belong on a live system.

fix: {resource: tomcat_server_xml, want: {Server: {port: "-1"}, "Connector[AJP]": absent, web.xml: {listings: "false"}}}
fix: {resource: tomcat_server_xml, want: {"Realm[org.apache.catalina.realm.LockOutRealm]": {failureCount: 5}}}
fix: {resource: tomcat_server_xml, want: {tomcat-users.xml: {weak: absent}}}
fix: {resource: tomcat_webapps, want: {examples: moved, docs: moved}}

Bytes that are not changed stay as they are; what goes is commented out or moved to a folder of root's. All of it takes a
restart of Tomcat: only with `restart: true`. `location` is CATALINA_BASE.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.library import TXROOT
from agent.change.splice import Shown, shown, spliced, write
from agent.change.tomcatxml import PATTERN, Change, UneditableError, changes, ports, web_names
from agent.change.xmlscan import Element, XmlScanError, scan
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_MOVED = f"{TXROOT}/moved"
_VALUE = re.compile(r"[A-Za-z0-9_.%$&; -]+")
_APP = re.compile(r"[A-Za-z0-9_.-]+")
_NONE = "没有由系统服务运行、CATALINA_BASE 为 {} 的 Tomcat，或不止一个；请在其启动处人工处理"
_NO_RESTART = "须重启 Tomcat，本次未许可重启服务"


@dataclass(frozen=True, slots=True)
class _Seen:
    unit: str
    files: Mapping[str, tuple[Shown, Element]]
    """By name (server.xml ...)."""

    @property
    def act(self) -> tuple[Act, ...]:
        """Restart, and wait for the connectors."""
        return (Act("tomcat", (self.unit, *map(str, ports(self.files["server.xml"][1])))),)

    @property
    def confirm(self) -> str:
        """Whether it listens."""
        listening = " ".join(map(str, ports(self.files["server.xml"][1])))
        return f"mw_ear {listening}" if listening else "true"


def _seen(text: str, base: str) -> _Seen | Skip:
    lines = text.splitlines()
    unit = ""
    for line in lines:
        match line.split("\t"):
            case ["none"]:
                return Skip(Why.UNSUPPORTED, _NONE.format(base))
            case ["unit", value]:
                unit = value
    files, missing = shown(lines)
    if missing or f"{base}/conf/server.xml" not in files:
        return Skip(Why.ERROR, "；".join(missing[:3]) or "server.xml 未读到")
    try:
        parsed = {path.rpartition("/")[2]: (file, scan(file.text)) for path, file in files.items()}
    except XmlScanError as error:
        return Skip(Why.ERROR, f"XML 无法解析：{str(error)[:200]}")
    if not unit:
        return Skip(Why.UNSUPPORTED, _NONE.format(base))
    return _Seen(unit, parsed)


def _risks(item: Item) -> tuple[Risk, ...]:
    return tuple(dict.fromkeys((*item.risk, Risk.RESTART)))


class TomcatServerXml:
    """tomcat_server_xml: `want` maps elements to attributes, or to `absent`."""

    name = "tomcat_server_xml"
    library = ("splice", "mw", "tomcat")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, dict) or not item.want:
            raise FixError('fix.want: write {Server: {port: "-1"}}')
        for key, value in item.want.items():
            if not PATTERN.fullmatch(str(key)):
                raise FixError(
                    f"fix.want.{key}: Server, Host, Host/Valve[CLASS], Realm[CLASS], Connector[AJP], web.xml ..."
                )
            if key == "Connector[AJP]":
                if value != "absent":
                    raise FixError(f"fix.want.{key}: absent")
                continue
            if key == "tomcat-users.xml":
                if value != {"weak": "absent"}:
                    raise FixError(f"fix.want.{key}: {{weak: absent}}")
                continue
            if not isinstance(value, dict) or not all(
                re.fullmatch(r"[A-Za-z-]+", str(name)) and not isinstance(each, bool) and _VALUE.fullmatch(str(each))
                for name, each in value.items()
            ):
                raise FixError(f"fix.want.{key}: attributes and their values (quote true and false)")
            if key == "web.xml" and not set(value) <= web_names():
                raise FixError(f"fix.want.{key}: {', '.join(sorted(web_names()))}")

    def read(self, item: Item, facts: Facts) -> str:
        """See `tomcat.sh`: tc_read."""
        del facts
        if not item.location.startswith("/") or "#" in item.location:
            return "echo none"
        more = [name for name in ("web.xml", "tomcat-users.xml") if name in item.want]
        return f"tc_read {quote(item.location)} server.xml {' '.join(more)}"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a thing that is not as wanted."""
        del facts
        seen = _seen(answer.text, item.location)
        if isinstance(seen, Skip):
            return seen
        steps = []
        try:
            for key, wanted in item.want.items():
                name = key if key.endswith(".xml") else "server.xml"
                if key == "tomcat-users.xml" and (told := _elsewhere(seen)):
                    return told
                if name in seen.files:
                    file, root = seen.files[name]
                    steps += [
                        self._step(item, file, each, seen) for each in changes(file, root, key, wanted) if each.edits
                    ]
        except UneditableError as error:
            return Skip(Why.MANUAL, str(error))
        except (XmlScanError, ValueError) as error:
            return Skip(Why.ERROR, f"改后的 XML 不再成立：{str(error)[:200]}")
        if steps and item.options.get("restart") is not True:
            return Skip(Why.EXCLUDED, _NO_RESTART)
        return tuple(steps)

    def _step(self, item: Item, file: Shown, change: Change, seen: _Seen) -> Step:
        scan(spliced(file.text, change.edits))  # what comes of it must be XML again
        return Step(
            self.name,
            "tomcat",
            f"{item.location} {change.name}",
            "；".join(dict.fromkeys(change.before)),
            change.after,
            write(file, change.edits),
            handles=(Handle("file", (file.real,)),),
            source="、".join(f"{file.path}:{line}" for line in dict.fromkeys(change.lines)),
            acts=seen.act,
            risk=_risks(item),
            note=_NOTES.get(change.name, ""),
            confirm=seen.confirm,
        )


_NOTES = {"Server port": "此后只能由服务管理器（systemctl stop）停止，shutdown.sh 不再有效"}


def _elsewhere(seen: _Seen) -> Skip | None:
    """Users that lie in another file than the one that was read."""
    for one in seen.files["server.xml"][1].every("Resource"):
        if (
            one.get("name") == "UserDatabase"
            and one.get("pathname", "conf/tomcat-users.xml") != "conf/tomcat-users.xml"
        ):
            return Skip(Why.MANUAL, f"账户在 {one.get('pathname')[:100]}，由人处理")
    return None


class TomcatWebapps:
    """tomcat_webapps: `want` maps names of applications to `moved`."""

    name = "tomcat_webapps"
    library = ("splice", "mw", "tomcat")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if (
            not isinstance(want, dict)
            or not want
            or not all(_APP.fullmatch(str(key)) and str(key).strip(".") for key in want)
            or set(want.values()) != {"moved"}
        ):
            raise FixError("fix.want: write {examples: moved}")

    def read(self, item: Item, facts: Facts) -> str:
        """See `tomcat.sh`: tc_apps."""
        del facts
        if not item.location.startswith("/") or "#" in item.location:
            return "echo none"
        return f"tc_apps {quote(item.location)} {' '.join(quote(str(name)) for name in item.want)}"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a folder, archive or context file."""
        del facts
        seen = _seen(answer.text, item.location)
        if isinstance(seen, Skip):
            return seen
        steps = []
        for line in answer.text.splitlines():
            kind, _, path = line.partition("\t")
            if kind not in {"app", "context"} or not re.fullmatch(r"(?:/[A-Za-z0-9_.+@ -]+)+", path):
                continue
            kept = f"{_MOVED}{path}"
            steps.append(
                Step(
                    self.name,
                    "tomcat",
                    path,
                    "已部署",
                    f"移至 {kept}",
                    f"tc_move {quote(path)} {quote(kept)}",
                    handles=(Handle("moved", (path, kept)),),
                    source=item.location,
                    acts=seen.act,
                    risk=_risks(item),
                    note="移走而未删除，确认无人使用后再清理",
                    confirm=seen.confirm,
                )
            )
        if steps and item.options.get("restart") is not True:
            return Skip(Why.EXCLUDED, _NO_RESTART)
        return tuple(steps)


RESOURCES = (TomcatServerXml(), TomcatWebapps())
