"""nginx: directives at every level at which they are too weak; nothing else of a file changes.

fix: {resource: nginx_directive, want: {server_tokens: "off", ssl_protocols: TLSv1.2 TLSv1.3}}
fix: {resource: nginx_directive, want: {user: [nginx, www-data]}}
fix: {resource: nginx_directive, want: {add_header: Strict-Transport-Security max-age=31536000 always}}

A weak value gets the wanted one where it stands. Where the default is weak and nothing is set at http level, a line is put
at the start of `http`. `access_log off` below http is commented out: what is set further out then counts.
Afterwards `nginx -t` must take it, and new workers must come up. The files are read on the target by `nginx.sh`, which
covers all that is not needed, so no secret of a configuration is seen or sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.nginxconf import Configuration, Directive, NginxSyntaxError, Node
from agent.change.nginxhsts import HSTS, Sites
from agent.change.splice import Edit, Shown, shown, write
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

WEAK_CIPHERS = (
    r"(?i)(?:^|[: ,])\+?(?:RC4|RC2|DES|3DES|MD5|aNULL|eNULL|NULL|ADH|AECDH|EXP|EXPORT|LOW|IDEA|SEED)(?:[-+:, ]|$)"
    r"|(?:^|[: ,])[A-Z0-9-]*(?:DES-CBC3?|RC4)-(?:SHA|MD5)|@SECLEVEL=0"
)
"""As control NGX-IA-C-02 has it; a test holds the two together."""
_VALUE = re.compile(r"[A-Za-z0-9@:!+./_=, -]+")
_OLD_TLS = (1, 13)
"""Older ones do not know the word TLSv1.3 (nginx's CHANGES)."""


def _first(*words: str) -> Callable[[Sequence[str], str], bool]:
    return lambda args, _: bool(args) and args[0].lower() in words


@dataclass(frozen=True, slots=True)
class _Rule:
    """When a directive's arguments are weak, and what follows when there are none."""

    weak: Callable[[Sequence[str], str], bool]
    """Of arguments and the wanted value."""
    insert: bool = False
    """The default is weak: it has to be set at http level."""
    inherit: bool = False
    """Below http it is commented out."""


_RULES = {
    "server_tokens": _Rule(lambda args, _: list(args) != ["off"], insert=True),
    "ssl_protocols": _Rule(lambda args, want: not set(args) <= set(want.split()), insert=True),
    "ssl_ciphers": _Rule(lambda args, _: bool(re.search(WEAK_CIPHERS, " ".join(args)))),
    "ssl_prefer_server_ciphers": _Rule(_first("off"), insert=True),
    "autoindex": _Rule(_first("on")),
    "access_log": _Rule(_first("off"), inherit=True),
    "error_log": _Rule(_first("/dev/null")),
    "client_max_body_size": _Rule(lambda args, _: bool(args) and not args[0].strip("0kKmMgG")),
    "user": _Rule(_first("root")),
}


@dataclass(frozen=True, slots=True)
class _Seen:
    unit: str
    version: tuple[int, ...]
    workers: tuple[str, ...]
    accounts: tuple[str, ...]
    closed: frozenset[tuple[str, str]]
    """Account, and a folder of a site that it cannot read."""
    nodes: tuple[Node, ...]


def _seen(text: str, conf: str) -> _Seen | Skip:
    """What the target told; or why that is not enough."""
    words: dict[str, list[str]] = {}
    includes: dict[str, dict[str, None]] = {}
    closed = set()
    lines = text.splitlines()
    for line in lines:
        match line.split("\t"):
            case ["none"]:
                return Skip(Why.UNSUPPORTED, f"没有以 {conf} 运行、由 root 启动的 nginx 主进程，或不止一个")
            case ["include", pattern, path]:
                includes.setdefault(pattern, {})[path] = None
            case ["closed", account, path]:
                closed.add((account, path))
            case [("unit" | "version" | "worker" | "account") as key, value, *_]:
                words.setdefault(key, []).append(value)
    files, missing = shown(lines)
    if missing or conf not in files:
        return Skip(Why.ERROR, "；".join(missing[:3]) or f"{conf} 未读到")
    try:
        nodes = Configuration(files, {key: tuple(paths) for key, paths in includes.items()}, conf).nodes()
    except (NginxSyntaxError, KeyError, RecursionError) as error:
        return Skip(Why.ERROR, f"配置无法解析：{str(error)[:200]}")
    version = tuple(int(part) for part in words.get("version", [""])[0].split(".") if part.isdecimal())
    unit = words.get("unit", [""])[0]
    return _Seen(
        unit, version, tuple(words.get("worker", ())), tuple(words.get("account", ())), frozenset(closed), tuple(nodes)
    )


class NginxDirective:
    """nginx_directive: `want` maps directives to their value."""

    name = "nginx_directive"
    library = ("splice", "mw", "nginx")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, dict) or not item.want:
            raise FixError('fix.want: write {server_tokens: "off"}')
        for key, value in item.want.items():
            if key not in _RULES and key != "add_header":
                raise FixError(f"fix.want.{key}: known directives: {', '.join([*_RULES, 'add_header'])}")
            values = value if key == "user" and isinstance(value, list) else [value]
            if not values or not all(isinstance(each, str) and _VALUE.fullmatch(each) for each in values):
                raise FixError(f"fix.want.{key}: {value!r} is no value of a directive (quote off and on)")
            if key == "add_header" and not value.lower().startswith(f"{HSTS} "):
                raise FixError("fix.want.add_header: Strict-Transport-Security alone is set")

    def read(self, item: Item, facts: Facts) -> str:
        """See `nginx.sh`: ngx_read."""
        del facts
        if "#" in item.location or not item.location.startswith("/"):
            return "echo none"
        reach = f"; ngx_reach {quote(item.location)}" if "user" in item.want else ""
        return f"ngx_read {quote(item.location)}{reach}"

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a directive that is weak somewhere."""
        del facts
        seen = _seen(answer.text, item.location)
        if isinstance(seen, Skip):
            return seen
        steps: list[Step] = []
        left: list[Skip] = []
        for name, wanted in item.want.items():
            done = self._user(item, wanted, seen) if name == "user" else self._one(item, name, str(wanted), seen)
            if isinstance(done, Step):
                steps.append(done)
            elif done:
                left.append(done)
        return tuple(steps) if steps or not left else Skip(left[0].why, "；".join(each.text for each in left))

    def _one(self, item: Item, name: str, wanted: str, seen: _Seen) -> Step | Skip | None:
        if name == "add_header":
            return self._hsts(item, wanted, seen)
        rule = _RULES[name]
        if name == "ssl_protocols" and seen.version and seen.version < _OLD_TLS:
            wanted = " ".join(word for word in wanted.split() if word != "TLSv1.3") or wanted
        mine = [node for node in seen.nodes if node.directive.name == name]
        weak = [node for node in mine if rule.weak(node.directive.args, wanted)]
        edits = [_edit(node, wanted, commented=rule.inherit and len(node.around) > 1) for node in weak]
        missing = rule.insert and not any(node.level == "http" for node in mine)
        if missing:
            http = next((node for node in seen.nodes if node.level == "main" and node.directive.name == "http"), None)
            if http is None:
                return Skip(Why.UNSUPPORTED, "配置中没有 http 块")
            edits.append((http.file, _at_start(http, f"{name} {wanted};")))
        if not edits:
            return None
        before = [f"{_words(node.directive)}（{_where(node)}）" for node in weak] + ["未设置（http）"] * missing
        source = "、".join(dict.fromkeys(node.place for node in weak)) or "默认值"
        return self._step(item, name, "；".join(dict.fromkeys(before)), wanted, edits, seen, source)

    def _user(self, item: Item, wanted: object, seen: _Seen) -> Step | Skip | None:
        if "0" not in seen.workers and not any(
            node.directive.name == "user" and node.directive.args[:1] == ("root",) for node in seen.nodes
        ):
            return None
        names = [str(each) for each in wanted] if isinstance(wanted, list) else [str(wanted)]
        account = next((name for name in names if name in seen.accounts), "")
        if not account:
            return Skip(Why.MANUAL, f"本机没有账户 {'、'.join(names)}，先建专用账户")
        if shut := sorted(path for name, path in seen.closed if name == account):
            return Skip(Why.UNSAFE, f"{account} 读不到站点目录 {'、'.join(shut[:3])}，换用它后网站将无法访问")
        step = self._one(item, "user", account, seen)
        return step or Skip(Why.MANUAL, "配置未写 user 而工作进程为 root，nginx 的编译默认值如此，由人处理")

    def _hsts(self, item: Item, wanted: str, seen: _Seen) -> Step | Skip | None:
        sites = Sites(seen.nodes)
        if plain := sites.plain():
            return Skip(
                Why.UNSAFE,
                f"仍有以明文 HTTP 提供内容的站点（{plain.place}）：浏览器记住 HSTS 后将打不开它，"
                "撤回配置也收不回；先全站改为 HTTPS、HTTP 仅作跳转",
            )
        name, first, *rest = wanted.split()
        line = " ".join(["add_header", name, f'"{first}"', *rest]) + ";"
        blocks = sites.without()
        if not blocks:
            return None
        edits = [(block.file, _at_start(block, line)) for block in blocks]
        where = "；".join(dict.fromkeys(map(_where, blocks)))
        source = "、".join(dict.fromkeys(block.place for block in blocks))
        return self._step(item, "add_header", f"未发送 {name}（{where}）", wanted, edits, seen, source)

    def _step(
        self,
        item: Item,
        name: str,
        before: str,
        after: str,
        edits: Sequence[tuple[Shown, Edit]],
        seen: _Seen,
        source: str,
    ) -> Step:
        conf = quote(item.location)
        files: dict[str, tuple[Shown, dict[Edit, None]]] = {}
        for file, edit in edits:
            files.setdefault(file.real, (file, {}))[1][edit] = None
        return Step(
            self.name,
            "nginx",
            name,
            before,
            after,
            " &&\n".join(write(file, list(mine)) for file, mine in files.values()),
            handles=tuple(Handle("file", (real,)) for real in files),
            source=source,
            validate=f"ngx_test {conf}",
            acts=(Act("nginx", (seen.unit or "nginx.service", item.location)),),
            risk=tuple(risk for risk in item.risk if risk is not Risk.RESTART),
            confirm=f"ngx_master {conf} >/dev/null",
        )


def _where(node: Node) -> str:
    """File and level, without the line: what is approved must read the same after another change of the file."""
    outer = node.around[-1].directive if node.around else None
    level = " ".join([outer.name, *outer.args])[:80] if outer else "main"
    own = node.directive.name if node.directive.opened else ""
    return f"{node.file.path} {level}{'/' if own else ''}{own}"


def _words(directive: Directive) -> str:
    return " ".join(directive.args) or "（无参数）"


def _edit(node: Node, wanted: str, *, commented: bool) -> tuple[Shown, Edit]:
    """The wanted value in place of the arguments; or the directive commented out, where it has its line for itself."""
    one, text = node.directive, node.file.text
    line = text.rfind("\n", 0, one.start) + 1
    stop = text.find("\n", one.end)
    rest = text[one.end : stop if stop >= 0 else len(text)].strip()
    whole = text[line : one.start].strip() == "" and (not rest or rest.startswith("#"))
    if commented and whole and "\n" not in text[one.start : one.end]:
        return node.file, Edit(one.start, 0, "# ")
    gap = "" if one.args else " "
    return node.file, Edit(one.args_start, one.args_end - one.args_start, gap + wanted)


def _at_start(block: Node, line: str) -> Edit:
    """A line of its own just behind the block's `{`, indented as what follows."""
    text, opened = block.file.text, block.directive.opened
    hit = re.compile(r"[^\n]*\n([ \t]*)[^ \t\r\n}]").match(text, opened)
    first = block.directive.inside[0].start if block.directive.inside else -1
    own = text[text.rfind("\n", 0, block.directive.start) + 1 : block.directive.start]
    indent = hit[1] if hit and first > hit.end(1) - 1 else (own if not own.strip() else "") + "    "
    return Edit(opened, 0, f"\n{indent}{line}")


RESOURCES = (NginxDirective(),)
