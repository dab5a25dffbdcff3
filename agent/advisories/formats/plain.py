"""Advisories that a customer or operator writes down (Kylin's KYSA and the like): a table as CSV, YAML or JSON lines.

One row says that an advisory fixes a package of a system in a version; rows of one advisory become one. The columns
are explained in docs/feeds.md. A column that is not known is refused, so that no misspelt one is silently lost; only
`first_seen`, which dumps of scan reports carry, is left out. JSON lines whose `os` is null, as such dumps have for
images of an unknown system, match nothing and are left out, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypeVar

from agent.advisories import fields
from agent.advisories.formats import plaintable
from agent.advisories.source import FeedError, Source
from agent.model import streams
from agent.model.advisory import Advisory, Affected, Authority, Header, Record, Scheme, Status

T = TypeVar("T")
MAX_ROWS = 200_000
COLUMNS = {
    "os": ("操作系统", "系统", "系统版本", "操作系统版本"),
    "advisory": ("公告", "公告编号", "公告号", "安全公告", "安全公告编号"),
    "package": ("软件包", "软件包名", "软件包名称", "包名"),
    "fixed": ("修复版本", "已修复版本", "fixed_version"),
    "source": ("源码包", "是否源码包"),
    "by": ("匹配方式",),
    "introduced": ("引入版本", "起始版本"),
    "severity": ("严重程度", "严重级别", "严重等级", "危害等级", "漏洞等级", "级别"),
    "cves": ("cve", "cve编号", "漏洞编号"),
    "title": ("标题", "公告标题", "摘要"),
    "url": ("链接", "网址", "参考链接"),
    "date": ("日期", "发布日期", "发布时间"),
    "status": ("状态", "修复状态"),
    "cnnvd": ("cnnvd编号",),
    "arch": ("架构", "arches"),
    "module": ("模块", "模块流", "modules"),
    "reboot": ("重启", "是否重启", "需要重启"),
    "scheme": ("版本规则",),
}
"""Column to its other names; case does not matter."""
_NEEDED = ("os", "advisory", "package", "fixed")
_NAMES = {other: name for name, others in COLUMNS.items() for other in (name, *others)}
_IGNORED = {"first_seen"}
_FLAGS = dict.fromkeys(("yes", "true", "y", "1", "是", "需要"), True) | dict.fromkeys(
    ("", "no", "false", "n", "0", "否", "不需要"), False
)
_BY = {word: word for word in ("", "binary", "source", "product")}
_STATUSES: dict[str, Status | None] = {"": None} | {one.value: one for one in Status} | {
    "已修复": Status.FIXED, "已有修复": Status.FIXED, "未修复": Status.AFFECTED, "受影响": Status.AFFECTED,
    "推迟修复": Status.DEFERRED, "不予修复": Status.WILL_NOT_FIX, "不修复": Status.WILL_NOT_FIX,
    "调查中": Status.UNDER_INVESTIGATION, "停止支持": Status.END_OF_LIFE, "不受影响": Status.NOT_AFFECTED,
}  # fmt: skip
_SCHEMES: dict[str, Scheme | None] = {"": None, "deb": Scheme.DPKG} | {one.value: one for one in Scheme}
_LANGUAGES = {"cpe", "maven", "npm", "pypi", "go", "nuget", "packagist", "rubygems", "crates.io"}
_JSON_KEY = re.compile(r'"([^"\s]{1,40})"\s*:')
_YAML_KEY = re.compile(r"^[\s-]*[\"']?([^\s:\"'#]{1,40})[\"']?\s*:(?:\s|$)", re.MULTILINE)
_SPLIT = re.compile(r"[\s,;，；、|]+")
_CVE = re.compile(r"CVE-\d{4}-\d{1,12}", re.IGNORECASE)
_CNNVD = re.compile(r"CNNVD-\d{6}-\d{3,6}", re.IGNORECASE)


class Plain:
    """Feed `plain/FILE`, a snapshot: a row that is taken out of the file is taken out of the store."""

    name = "plain"

    def recognise(self, head: bytes, name: str) -> bool:  # noqa: ARG002 - the content says enough
        """By three of the four needed columns; a file that lacks one is read, so that the error can say which."""
        return _shape(plaintable.decoded(head)) != ""

    def read(self, source: Source) -> Iterator[Header | Record]:
        """A header and an `Advisory` for each advisory's name. Raises FeedError with line, column and remedy."""
        content = plaintable.text(source)
        shape = _shape(content[: 1 << 16])
        read = {"csv": plaintable.from_csv, "yaml": plaintable.from_yaml, "lines": plaintable.from_lines}.get(shape)
        if read is None:
            raise source.error("no table of advisories", remedy=f"give it the columns {', '.join(_NEEDED)}")
        drafts: dict[str, _Draft] = {}
        for count, (line, row) in enumerate(read(source, content), 1):
            if count > MAX_ROWS:
                raise source.error(f"more than {MAX_ROWS} rows", f"line {line}", "split the file")
            taken = _Row(source, line, _known(source, line, row))
            if shape != "lines" or taken.values.get("os"):
                taken.into(drafts)
        found = [draft.advisory() for draft in drafts.values()]
        names = sorted({row.stream.partition(":")[0] for one in found for row in one.affected})
        yield Header(
            feed=f"plain/{_stem(source.base)}",
            scope="*",
            ecosystem=", ".join(names) or "plain",
            authority=Authority.CUSTOMER,
            snapshot=True,
        )
        yield from found


def _shape(head: str) -> str:
    """`csv`, `lines`, `yaml` (which a JSON array is, too), or empty for what is no table of advisories."""
    first = plaintable.first_line(head)
    if first.startswith(("{", "[")):
        if re.match(r'\[|\{\s*("advisories"|$)', first):
            return "yaml" if _is_table(_JSON_KEY.findall(head)) else ""
        return "lines" if _is_table(_JSON_KEY.findall(first)) else ""
    if first.startswith("<"):
        return ""
    if _is_table(plaintable.cells(first)):
        return "csv"
    return "yaml" if _is_table(_YAML_KEY.findall(head)) else ""


def _is_table(names: list[str]) -> bool:
    found = {_NAMES.get(name.lower()) for name in names}
    return sum(name in found for name in _NEEDED) >= len(_NEEDED) - 1


def _stem(base: str) -> str:
    name = PurePosixPath(base).name
    while (
        shorter := re.sub(r"\.(csv|tsv|txt|ya?ml|jsonl?|ndjson|gz|xz|bz2|zst)$", "", name, flags=re.IGNORECASE)
    ) != name:
        name = shorter
    return re.sub(r"[^\w.-]+", "-", name).strip("-")[:60] or "unnamed"


def _known(source: Source, line: int, row: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for written, value in row.items():
        name = _NAMES.get(written.strip().lower())
        if name is None:
            if written in _IGNORED:
                continue
            raise source.error(
                f"column {fields.line(written)[:60]!r} is not known",
                f"line {line}",
                f"rename or remove it; known are {', '.join(COLUMNS)}",
            )
        if name in found:
            raise source.error(f"column {name} stands twice", f"line {line}", "keep one of the two names")
        found[name] = value
    return found


@dataclass(slots=True)
class _Draft:
    """An advisory that rows are added to; what is said of it as a whole counts where it is said first."""

    identifier: str
    said: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, None] = field(default_factory=dict)
    rows: list[Affected] = field(default_factory=list)

    def advisory(self) -> Advisory:
        return Advisory(
            id=self.identifier,
            title=self.said.get("title") or self.identifier,
            severity=self.said.get("severity", ""),
            cves=fields.cves(cve for row in self.rows for cve in row.cves),
            aliases=tuple(self.aliases),
            published=self.said.get("date", ""),
            url=self.said.get("url", ""),
            affected=tuple(self.rows),
        )


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the table, and where it stands."""

    source: Source
    line: int
    values: dict[str, str]

    def error(self, column: str, message: str, remedy: str) -> FeedError:
        return self.source.error(message, f"line {self.line}, column {column}", remedy)

    def word(self, column: str, needed: bool = False) -> str:
        """A name or version. Raises FeedError when it is needed and missing, or cannot be seen."""
        try:
            found = fields.word(self.values.get(column, ""), column)
        except ValueError as error:
            raise self.error(column, str(error), "remove the invisible characters") from error
        if needed and not found:
            raise self.error(column, "is empty", "fill it in")
        return found

    def choice(self, column: str, known: Mapping[str, T]) -> T:
        """A value out of a few. Raises FeedError that lists them."""
        written = self.word(column).lower()
        if written not in known:
            raise self.error(column, f"{written!r} is not known", f"write one of {', '.join(filter(None, known))}")
        return known[written]

    def several(self, column: str, pattern: re.Pattern[str] | None = None, example: str = "") -> tuple[str, ...]:
        """Values between commas, semicolons or blanks. Raises FeedError for one that is not of the pattern."""
        found = tuple(dict.fromkeys(filter(None, _SPLIT.split(self.word_list(column)))))
        for one in found:
            if pattern and not pattern.fullmatch(one):
                raise self.error(column, f"{one[:60]!r} is none", f"write it as {example}")
        return found

    def word_list(self, column: str) -> str:
        """The text of a column that holds several values."""
        written = self.values.get(column, "")
        if not written.replace("\n", " ").replace("\t", " ").isprintable():
            raise self.error(column, "holds invisible characters", "remove them")
        return written

    def flag(self, column: str) -> bool:
        """Yes or no, in English, Chinese or as 1 and 0."""
        return self.choice(column, _FLAGS)

    def stream(self) -> str:
        """The stream that the system's name stands for."""
        written = self.word("os", needed=True)
        lower = written.lower()
        if lower in _LANGUAGES:
            return lower
        found = streams.of_name(written)
        if not found and lower.startswith("windows "):
            found = f"windows:{written}"
        if not found and (hit := re.fullmatch(r"([^\d:]+?)(?:[\s:_-]+|(?=\d))(.*\d.*)", written)):
            found = streams.join(hit[1], hit[2])
        if not found:
            raise self.error(
                "os", f"{written[:60]!r} is no system", "write ID and version: `kylin:v10-sp3`, `uos 20-1060`"
            )
        return found

    def by(self, scheme: Scheme) -> str:
        """What the package's name is: as said, else as the system's advisories have it (rule 1)."""
        said = self.choice("by", _BY)
        if not said and self.word("source"):
            said = "source" if self.flag("source") else "binary"
        return said or {Scheme.DPKG: "source", Scheme.RPM: "binary"}.get(scheme, "product")

    def affected(self) -> Affected:
        """The statement that this row makes."""
        stream = self.stream()
        status = self.choice("status", _STATUSES)
        fixed = self.word("fixed", needed=status in {None, Status.FIXED})
        scheme = self.choice("scheme", _SCHEMES) or _scheme(stream)
        cves = fields.cves(self.several("cves", _CVE, "CVE-2024-12345"))
        return Affected(
            stream=stream,
            package=self.word("package", needed=True),
            scheme=scheme,
            by=self.by(scheme),
            introduced=self.word("introduced"),
            fixed=fixed.removeprefix("0:") if scheme is Scheme.RPM else fixed,
            status=status or Status.FIXED,
            cves=cves,
            modules=self.several("module", re.compile(r"[^:\s]+:[^:\s]+"), "nodejs:18"),
            modular=bool(self.values.get("module", "").strip()) or (scheme is Scheme.RPM and ".module" in fixed),
            arches=self.several("arch"),
            reboot=self.flag("reboot"),
        )

    def into(self, drafts: dict[str, _Draft]) -> None:
        """Add the row to its advisory."""
        identifier = self.word("advisory", needed=True)
        draft = drafts.setdefault(identifier, _Draft(identifier))
        draft.rows.append(self.affected())
        draft.aliases |= dict.fromkeys(one.upper() for one in self.several("cnnvd", _CNNVD, "CNNVD-202401-1234"))
        try:
            said = {"date": fields.utc(self.values.get("date", ""))}
        except ValueError as error:
            raise self.error("date", str(error), "write it as 2024-07-09") from error
        said["url"] = fields.link(self.values.get("url", ""))
        if self.values.get("url", "").strip() and not said["url"]:
            raise self.error("url", "is no link", "begin it with https://")
        said |= {name: fields.line(self.values.get(name, "")) for name in ("title", "severity")}
        for name, value in said.items():
            if value:
                draft.said.setdefault(name, value)


def _scheme(stream: str) -> Scheme:
    name = stream.partition(":")[0]
    if name in _LANGUAGES:
        return Scheme.GENERIC
    known = {"debian": Scheme.DPKG, "ubuntu": Scheme.DPKG, "ubuntu-pro": Scheme.DPKG, "windows": Scheme.WINDOWS}
    return known.get(name, Scheme.RPM)


FORMATS = (Plain(),)
