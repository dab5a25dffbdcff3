"""Lines of pg_hba.conf, field by field, as the server's own scanner takes them apart (src/backend/libpq/hba.c). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from agent.change.pgread import PgRule
from agent.change.splice import Shown

WAS = "# secops was: "
"""What the comment above a changed line begins with."""
_BLANK = " \t"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost", "samehost"})
_ANY = {"0.0.0.0": 4, "::": 6}  # noqa: S104 - what is looked for

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Field:
    """Where a field stands in its line; of a list, from its first to its last member."""

    start: int
    end: int


def fields(line: str) -> list[Field] | None:
    """The fields before a comment; None for a line with an open quote."""
    found: list[Field] = []
    at, listed = 0, False
    while at < len(line):
        if line[at] in _BLANK:
            at += 1
            continue
        if line[at] == "#":
            break
        start, quoted = at, False
        while at < len(line) and (quoted or (line[at] not in _BLANK + "#" and line[at] != ",")):
            quoted ^= line[at] == '"'
            at += 1
        if quoted:
            return None
        comma = at < len(line) and line[at] == ","
        at += comma
        if listed:
            found[-1] = Field(found[-1].start, at)
        else:
            found.append(Field(start, at))
        listed = comma
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """One rule where it is written."""

    rule: PgRule
    file: Shown
    offset: int
    text: str
    kind: Field
    address: Field | None
    """With its mask."""
    method: Field

    @property
    def was(self) -> str:
        """The comment above that says already what it was; empty where there is none."""
        above = self.file.text[: self.offset].split("\n")[-2:-1]
        return above[0] if above and above[0].startswith(WAS) else ""

    def became(self, kind: str | None = None, address: str | None = None, method: str | None = None) -> str:
        """The line with these fields in their places, all else as it is."""
        text = self.text
        changes = [(self.method, method), (self.address, address), (self.kind, kind)]
        for place, new in changes:  # from its end to its beginning, so that places stay what they are
            if place and new is not None:
                text = text[: place.start] + new + text[place.end :]
        return text


def located(rule: PgRule, file: Shown | None) -> Line | str:
    """Where a rule is written; or in words why it must not be touched by a program."""
    lines = file.text.split("\n") if file else []
    if file is None or not 1 <= rule.line <= len(lines):
        return "未读到此行"
    text = lines[rule.line - 1]
    before = lines[rule.line - 2] if rule.line > 1 else ""
    if text.endswith("\\") or (before.endswith("\\") and not before.lstrip(_BLANK).startswith("#")):
        return "此行跨多行书写"
    found = fields(text)
    plain = all((" " <= char <= "\xff" and char != "\x7f") or char == "\t" for char in text)
    if not found or not plain:
        return "此行含控制字符、未闭合的引号，或可能含口令"
    words = [text[each.start : each.end].strip('"').lower() for each in found]
    local = rule.kind == "local"
    at = 3 if local else 4
    masked = not local and len(words) > at + 1 and words[at] != rule.method and "/" not in words[3]
    at += masked
    if len(words) <= at or words[0] != rule.kind or words[at] != rule.method:
        return "此行与服务端读到的不一致"
    offset = sum(len(each) + 1 for each in lines[: rule.line - 1])
    address = None if local else Field(found[3].start, found[at - 1].end)
    return Line(rule, file, offset, text, found[0], address, found[at])


def loopback(rule: PgRule) -> bool:
    """Whether the control leaves it alone as one of the host itself."""
    return rule.address in _LOOPBACK


def wide(rule: PgRule) -> tuple[int, ...]:
    """The families (4, 6) of which it lets in every address; none where it does not."""
    if rule.address == "all":
        return (4, 6)
    return (_ANY[rule.mask],) if rule.mask in _ANY else ()


def network(rule: PgRule) -> Network | None:
    """Its addresses; None for a name or a keyword."""
    try:
        return ip_network(f"{rule.address}/{_bits(rule.mask)}", strict=False)
    except ValueError:
        return None


def _bits(mask: str) -> str:
    if ":" not in mask:
        return mask
    whole = int.from_bytes(ip_network(mask).network_address.packed)
    return str(whole.bit_count())


def lets_in(rule: PgRule, role: str, groups: frozenset[str]) -> bool:
    """Whether a role is meant; a pattern (since 16) and anything unknown counts as yes."""
    for user in rule.users:
        if user in {"all", role} or user.startswith(("/", "@")):
            return True
        if user.startswith("+") and (user[1:] in groups or user[1:] == role):
            return True
    return False
