"""What is to be changed in Tomcat's server.xml, web.xml and tomcat-users.xml, as edits by offset. Pure.

Elements are as in the Tomcat 9 to 11 configuration reference: a Host holds Valves, a Realm stands in an Engine, Host or
Context, LockOutRealm is a CombinedRealm that guards those within it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import quoteattr

from agent.change.splice import Edit, Shown
from agent.change.xmlscan import Element

PATTERN = re.compile(r"Server|Host|Connector\[AJP\]|(?:Host/Valve|Realm)\[[A-Za-z0-9_.]+\]|web\.xml|tomcat-users\.xml")
"""What a `want` may name."""
_DEFAULTS = {
    "port": "8005", "autoDeploy": "true", "showReport": "true", "showServerInfo": "true",
    "failureCount": "5", "lockOutTime": "300",
}  # fmt: skip
_WEB = {"listings": "false", "readonly": "true", "session-timeout": "30"}
"""Defaults of what web.xml may set."""
_SHORT = 8
"""A password below that is weak, as the scan has it."""
_AT_MOST, _AT_LEAST = frozenset({"failureCount", "session-timeout"}), frozenset({"lockOutTime"})
_ENOUGH = frozenset({"AccessLogValve"})
"""Valves that may be as somebody set them, on the Engine too: what counts is that there is one."""


class UneditableError(ValueError):
    """It cannot be changed without a person; the text says why, in Chinese."""


@dataclass(slots=True)
class Change:
    """One thing that changes in one file."""

    name: str
    after: str
    before: list[str] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def changes(file: Shown, root: Element, selector: str, wanted: Mapping[str, object] | str) -> Iterator[Change]:
    """What `selector` makes of a file. Raises UneditableError."""
    if selector == "web.xml":
        yield from _web(file, root, wanted if isinstance(wanted, Mapping) else {})
    elif selector == "tomcat-users.xml":
        yield from _users(file, root)
    elif selector == "Connector[AJP]":
        yield from _ajp(file, root)
    elif selector.startswith("Host/Valve["):
        yield from _valve(file, root, selector[11:-1], _texts(wanted))
    elif selector.startswith("Realm["):
        yield from _realm(file, root, selector[6:-1], _texts(wanted))
    else:
        for name, value in _texts(wanted).items():
            change = Change(f"{selector} {name}", value)
            for one in root.every(selector):
                _attribute(file, one, name, value, change)
            yield change


def _texts(wanted: object) -> dict[str, str]:
    return {str(key): str(value) for key, value in wanted.items()} if isinstance(wanted, Mapping) else {}


def will_do(name: str, now: str, wanted: str) -> bool:
    """Whether a value is as wanted or stricter."""
    if name in _AT_MOST | _AT_LEAST:
        if not now.strip().isdigit():
            return False
        return 1 <= int(now) <= int(wanted) if name in _AT_MOST else int(now) >= int(wanted)
    return now.strip().lower() == wanted.lower()


def _attribute(file: Shown, one: Element, name: str, value: str, change: Change) -> None:
    now = one.get(name, _DEFAULTS.get(name, ""))
    if will_do(name, now, value):
        return
    there = one.attributes.get(name)
    change.before.append(now if there else f"{now or '未设置'}（默认）")
    change.lines.append(file.line(one.start))
    if there:
        change.edits.append(Edit(there.start, there.end - there.start, value))
    else:
        change.edits.append(Edit(one.last, 0, f" {name}={quoteattr(value)}"))


def _indent(file: Shown, one: Element) -> str:
    before = file.text[file.text.rfind("\n", 0, one.start) + 1 : one.start]
    return before if not before.strip() else ""


def _tag(tag: str, name: str, attributes: Mapping[str, str]) -> str:
    return " ".join([f"<{tag} className={quoteattr(name)}", *(f"{k}={quoteattr(v)}" for k, v in attributes.items())])


def _valve(file: Shown, root: Element, name: str, attributes: Mapping[str, str]) -> Iterator[Change]:
    kind = name.rpartition(".")[2]
    change = Change(kind, " ".join(f"{key}={value}" for key, value in attributes.items()) or "启用")
    for host in root.every("Host"):
        near = host.children + (host.parent.children if host.parent and kind in _ENOUGH else [])
        mine = [one for one in near if one.tag == "Valve" and one.kind == kind]
        if mine and kind in _ENOUGH:
            continue
        for one in mine:
            for key, value in attributes.items():
                _attribute(file, one, key, value, change)
        if not mine:
            change.before.append("未设置")
            change.lines.append(file.line(host.start))
            indent = _indent(file, host)
            line = f"\n{indent}  {_tag('Valve', name, attributes)} />"
            if host.bare:  # `/` and `>` become the start tag's end and an end tag: further valves may come in between
                slash = host.opened - 2
                change.edits += [
                    Edit(slash, 1, ">"),
                    Edit(slash + 1, 0, line),
                    Edit(slash + 1, 1, f"\n{indent}</Host>"),
                ]
            else:
                change.edits.append(Edit(host.opened, 0, line))
    yield change


def _realm(file: Shown, root: Element, name: str, attributes: Mapping[str, str]) -> Iterator[Change]:
    kind = name.rpartition(".")[2]
    change = Change(kind, " ".join(f"{key}={value}" for key, value in attributes.items()))
    mine = [one for one in root.every("Realm") if one.kind == kind]
    for one in mine:
        for key, value in attributes.items():
            _attribute(file, one, key, value, change)
    outer = [
        one
        for one in root.every("Realm")
        if one.parent
        and one.parent.tag in {"Engine", "Host"}
        and not any(each.kind == kind for each in one.every("Realm"))
    ]
    if not mine and not outer:
        raise UneditableError(f"server.xml 没有可由 {kind} 保护的 Realm，由人配置")
    for one in outer:
        indent = _indent(file, one)
        change.before.append(f"{one.kind} 未受保护")
        change.lines.append(file.line(one.start))
        change.edits.append(Edit(one.start, 0, f"{_tag('Realm', name, attributes)}>\n{indent}"))
        change.edits.append(Edit(one.end, 0, f"\n{indent}</Realm>"))
    yield change


def _commented(file: Shown, one: Element) -> list[Edit]:
    """Raises UneditableError where a comment could not hold it."""
    if "--" in file.text[one.start : one.end]:
        raise UneditableError(f"{file.at(one.start)} 的 <{one.tag}> 内有注释或连字符，不能整体注释，由人处理")
    return [Edit(one.start, 0, "<!-- secops: "), Edit(one.end, 0, " -->")]


def _ajp(file: Shown, root: Element) -> Iterator[Change]:
    change = Change("AJP Connector", "已注释")
    for one in root.every("Connector"):
        if "ajp" in one.get("protocol").lower():
            change.before.append(f"端口 {one.get('port', '8009')}")
            change.lines.append(file.line(one.start))
            change.edits += _commented(file, one)
    yield change


def _users(file: Shown, root: Element) -> Iterator[Change]:
    """Accounts with a default or guessable password; the target covered such a one with w, one with -- by hyphens."""
    change = Change("tomcat-users.xml", "已注释")
    for one in root.every("user"):
        password = one.get("password")
        if password and not password.strip("-") and len(password) < _SHORT:
            raise UneditableError(f"{file.at(one.start)} 的账户口令含连字符，不能注释，由人处理")
        if "password" not in one.attributes or password.strip("w \t\r\n"):
            continue
        change.before.append(f"{(one.get('username') or one.get('name'))[:60]}（弱口令）")
        change.lines.append(file.line(one.start))
        change.edits += _commented(file, one)
    yield change


def _web(file: Shown, root: Element, wanted: Mapping[str, object]) -> Iterator[Change]:
    for name, value in wanted.items():
        change = Change(f"web.xml {name}", str(value))
        for one, now in _settings(file, root, name):
            if not will_do(name, now.strip(), str(value)):
                change.before.append(now.strip() or "（空）")
                change.lines.append(file.line(one.start))
                start = one.opened + len(now) - len(now.lstrip())
                change.edits.append(Edit(start, len(now.strip()), str(value)))
        yield change


def _settings(file: Shown, root: Element, name: str) -> Iterator[tuple[Element, str]]:
    """The elements whose text is that setting."""
    if name == "session-timeout":
        found = root.every(name)
    else:
        found = [
            value
            for block in root.every("init-param")
            for value in block.children
            if value.tag == "param-value"
            and any(
                each.tag == "param-name" and file.text[each.opened : each.inner_end].strip() == name
                for each in block.children
            )
        ]
    for one in found:
        if one.children or one.bare or "<" in file.text[one.opened : one.inner_end]:
            raise UneditableError(f"{file.at(one.start)} 的写法不能自动修改，由人处理")
        yield one, file.text[one.opened : one.inner_end]


def web_names() -> frozenset[str]:
    """What can be set in web.xml."""
    return frozenset(_WEB)


def ports(root: Element) -> tuple[int, ...]:
    """TCP ports on which HTTP connectors listen."""
    found = []
    for one in root.every("Connector"):
        text = one.get("port", "8080")
        if "ajp" not in one.get("protocol").lower() and text.isdigit() and 0 < int(text) < 65536:  # noqa: PLR2004 - TCP
            found.append(int(text))
    return tuple(dict.fromkeys(found))
