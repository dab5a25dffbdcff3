"""nginx's configuration, parsed so that every directive is known by its place in the file. Pure; any text may come.

The grammar is ngx_conf_read_token's: words end at white space, `;` and `{`; quotes and `#` count at the start of a word
only; a backslash escapes one character; `${` opens no block; `}` closes one at the start of a word only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from agent.change.splice import Shown

_SPACE = " \t\r\n"
_DEPTH = 60
"""Blocks and includes within one another; nginx itself has no use for more."""
_MOST = 50_000
"""Directives of one nginx: files that include one another come to an end here."""
_DATA = frozenset({"map", "types", "geo", "split_clients", "charset_map", "match"})
"""Blocks whose entries are data, no directives."""


class NginxSyntaxError(ValueError):
    """This is no configuration that nginx would take. Its text names the line."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text. All tokens one after the other are the text."""

    kind: str
    """`space`, `comment`, `word`, `;`, `{` or `}`."""
    start: int
    end: int
    value: str = ""
    """Of a word: quotes and escapes taken off."""


@dataclass(slots=True)
class Directive:
    """A directive, with or without a block."""

    name: str
    args: tuple[str, ...]
    start: int
    """Offset of its name."""
    args_start: int
    args_end: int
    """Of what stands between name and `;` or `{`; equal when there is nothing."""
    end: int = 0
    """Just behind its `;` or `}`."""
    opened: int = 0
    """Just behind its `{`; 0 without a block."""
    inside: list[Directive] = field(default_factory=list)


def tokens(text: str) -> Iterator[Token]:
    """Cut the text. Raises NginxSyntaxError where a quote is not closed, or something follows a closed one."""
    at = 0
    while at < len(text):
        start, char = at, text[at]
        if char in _SPACE:
            while at < len(text) and text[at] in _SPACE:
                at += 1
            yield Token("space", start, at)
        elif char == "#":
            at = text.find("\n", at)
            at = len(text) if at < 0 else at
            yield Token("comment", start, at)
        elif char in ";{}":
            at += 1
            yield Token(char, start, at)
        elif char in "\"'":
            at, value = _quoted(text, at)
            if at < len(text) and text[at] not in f"{_SPACE};{{)":
                raise NginxSyntaxError(f"line {_line(text, at)}: {text[at]!r} follows a closed quote")
            yield Token("word", start, at, value)
        else:
            at, value = _bare(text, at)
            yield Token("word", start, at, value)


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _quoted(text: str, start: int) -> tuple[int, str]:
    value, at = [], start + 1
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            value.append(_escaped(text[at + 1]))
            at += 2
        elif text[at] == text[start]:
            return at + 1, "".join(value)
        else:
            value.append(text[at])
            at += 1
    raise NginxSyntaxError(f"line {_line(text, start)}: a quote is not closed")


def _bare(text: str, start: int) -> tuple[int, str]:
    value, at, dollar = [], start, False
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            value.append(_escaped(text[at + 1]))
            at, dollar = at + 2, False
            continue
        if char in _SPACE or char == ";" or (char == "{" and not dollar):
            break
        value.append(char)
        at, dollar = at + 1, char == "$"
    return at, "".join(value)


def _escaped(char: str) -> str:
    """What stands for a backslash and a character: a quote, a backslash, t, r, n; else both are kept."""
    return {"t": "\t", "r": "\r", "n": "\n"}.get(char, char if char in "\"'\\" else f"\\{char}")


def parse(text: str) -> list[Directive]:
    """Directives of the outermost level. Raises NginxSyntaxError."""
    top: list[Directive] = []
    open_: list[Directive] = []
    words: list[Token] = []
    for token in tokens(text):
        if token.kind == "word":
            words.append(token)
        elif token.kind in {";", "{"}:
            if not words:
                raise NginxSyntaxError(f"line {_line(text, token.start)}: unexpected {token.kind!r}")
            made = _directive(words, token)
            (open_[-1].inside if open_ else top).append(made)
            words = []
            if token.kind == "{":
                made.opened = token.end
                open_.append(made)
                if len(open_) > _DEPTH:
                    raise NginxSyntaxError(f"line {_line(text, token.start)}: too many blocks in one another")
        elif token.kind == "}":
            if words or not open_:
                raise NginxSyntaxError(f"line {_line(text, token.start)}: unexpected '}}'")
            open_.pop().end = token.end
    if words or open_:
        raise NginxSyntaxError("the end of the file is not expected there")
    return top


def _directive(words: list[Token], stop: Token) -> Directive:
    args = words[1:]
    first, last = (args[0].start, args[-1].end) if args else (words[0].end, words[0].end)
    return Directive(words[0].value, tuple(word.value for word in args), words[0].start, first, last, stop.end)


@dataclass(frozen=True, slots=True)
class Node:
    """A directive where it takes effect: includes stand for what they include."""

    file: Shown
    directive: Directive
    around: tuple[Node, ...]
    """The blocks around it, outermost first."""

    @property
    def level(self) -> str:
        """`main`, `http`, `http/server`, `http/server/location` ..."""
        return "/".join(each.directive.name for each in self.around) or "main"

    @property
    def place(self) -> str:
        """`file:line`."""
        return self.file.at(self.directive.start)


@dataclass(frozen=True, slots=True)
class Configuration:
    """All files of one nginx."""

    files: Mapping[str, Shown]
    includes: Mapping[str, tuple[str, ...]]
    """Pattern, as it is written, to paths."""
    main: str

    def nodes(self) -> list[Node]:
        """Every directive in its order. Raises NginxSyntaxError; KeyError, for a file that was not shown."""
        trees = {path: parse(file.text) for path, file in self.files.items()}
        found: list[Node] = []

        def walk(path: str, inside: list[Directive], around: tuple[Node, ...], depth: int) -> None:
            if depth > _DEPTH or len(found) > _MOST:
                raise NginxSyntaxError("includes go round in a circle")
            for directive in inside:
                node = Node(self.files[path], directive, around)
                if directive.name == "include" and len(directive.args) == 1:
                    for each in self.includes.get(directive.args[0], ()):
                        walk(each, trees[each], around, depth + 1)
                    continue
                found.append(node)
                if directive.opened and directive.name not in _DATA and not directive.name.endswith("_by_lua_block"):
                    walk(path, directive.inside, (*around, node), depth + 1)

        walk(self.main, trees[self.main], (), 0)
        return found
