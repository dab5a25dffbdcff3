"""A system's packages as somebody brought them: the output of rpm or dpkg in any of its forms, or Windows' KBs. Pure.

The form is told by the content. A line that is not understood is kept with its number, never
silently dropped; a text that is mostly not understood is refused, for a list with half of its
packages would be judged as clean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from agent.model.advisory import Listing
from agent.model.errors import AgentError
from agent.model.facts import Package
from agent.model.text import decode, one_line
from agent.observe import debian_sources
from agent.observe.host import debian, rpm

RPM_QUERY = "%{NAME} %{EPOCHNUM} %{VERSION} %{RELEASE} %{ARCH} %{SOURCERPM} %{MODULARITYLABEL}\\n"
DPKG_QUERY = "${binary:Package},${db:Status-Abbrev},${Version},${source:Package},${source:Version}\\n"
REMEDY = (
    f"give the output of one of: rpm -qa --queryformat '{RPM_QUERY}' | rpm -qa | dpkg-query -W -f='{DPKG_QUERY}' | "
    "dpkg -l | the file /var/lib/dpkg/status"
)
LIMIT = 64 * 1024 * 1024
"""Most bytes of a list; a desktop's dpkg status has 5 MiB."""
KEPT = 200
"""Most lines that are listed as not understood; the rest is counted."""
_LONGEST = 4096
_SAMPLE = 300
_ARCHES = frozenset({
    "noarch", "all", "any", "src", "nosrc", "x86_64", "amd64", "ia32e", "i386", "i486", "i586", "i686", "athlon",
    "ia64", "aarch64", "arm64", "armhf", "armel", "armv5tel", "armv6hl", "armv7hl", "armv7hnl", "armv8l", "ppc",
    "ppc64", "ppc64le", "ppc64el", "powerpc", "s390", "s390x", "sparc", "sparc64", "alpha", "hppa", "m68k", "mips",
    "mipsel", "mips64", "mips64el", "mips64r6el", "loongarch64", "loong64", "riscv64", "sw_64", "sh4",
})  # fmt: skip
_DPKG = frozenset({"debian", "ubuntu", "deepin", "linuxmint", "raspbian"})
_RPM = frozenset({
    "rhel", "centos", "almalinux", "rocky", "ol", "oracle", "anolis", "openeuler", "fedora", "euleros", "amzn", "sles",
})  # fmt: skip
"""Distributions that live by one manager; Kylin and UOS have editions of either kind."""
_STATUS = re.compile(r"[uihrp][ncHUFWti][ R]?")
_EPOCH = re.compile(r"[0-9]{0,9}")
_PLAIN = re.compile(r"[A-Za-z0-9_:+~^.-]*")

Said = Package | str | None
"""What a line says: a package, that nothing of it is installed (None), or why it is not understood."""
_NO = "is no line of this form"


def _cells(line: str) -> list[str]:
    if "|" in line:
        return [cell.strip() for cell in line.split("|")]
    return [cell.strip() for cell in line.split("\t")] if "\t" in line else line.split()


def _rpm_row(line: str) -> Said:
    """NAME EPOCH VERSION RELEASE ARCH [SOURCERPM [MODULARITYLABEL]], between blanks, tabs or bars."""
    row = _cells(line)
    if not 5 <= len(row) <= 7:  # noqa: PLR2004 - with and without source and module
        return _NO
    name, epoch, version, release, arch, built_from, module = (*row, "", "")[:7]
    if "(none)" in line:
        epoch, arch, built_from, module = ("" if it == "(none)" else it for it in (epoch, arch, built_from, module))
    if not (_EPOCH.fullmatch(epoch) and _PLAIN.fullmatch(arch + module)) or (
        built_from and not built_from.endswith(".rpm")
    ):
        return _NO
    if name == "gpg-pubkey":
        return None
    epoch = epoch.lstrip("0")
    return rpm.package(name, epoch, version, release, arch, built_from, module) or "no name, version or release of rpm"


def _rpm_plain(line: str) -> Said:
    """NAME-VERSION-RELEASE.ARCH, as bare `rpm -qa` prints it; very old rpm leave the architecture out."""
    base, _, arch = line.strip().rpartition(".")
    if arch == "(none)":
        arch = ""
    elif arch not in _ARCHES:
        base, arch = line.strip(), ""
    parts = base.rsplit("-", 2)
    if len(parts) != 3 or not re.search(r"\d", parts[1] + parts[2]):  # noqa: PLR2004 - name, version, release
        return _NO
    if parts[0] == "gpg-pubkey":
        return None
    epoch, colon, version = parts[1].rpartition(":")
    if colon and not re.fullmatch(r"[0-9]{1,9}", epoch):
        return _NO
    epoch = epoch.lstrip("0")
    return rpm.package(parts[0], epoch, version, parts[2], arch, "", "") or "no name, version or release of rpm"


def _dpkg(row: list[str], status: str) -> Said:
    """name, version, architecture, source, source version."""
    if not debian.is_installed(status):
        return None
    name, arch = row[0], row[2] or row[0].partition(":")[2]
    if not (_PLAIN.fullmatch(arch) and _PLAIN.fullmatch(row[3]) and _PLAIN.fullmatch(row[4])):
        return _NO
    return debian.package(name, row[1], arch, row[3], row[4]) or "no name or version of dpkg"


def _dpkg_row(line: str) -> Said:
    """Name, status, version, source and its version between commas; or our collector's six columns between tabs."""
    row = [cell.strip() for cell in line.split("," if "," in line else "\t")]
    if len(row) not in {5, 6} or not _STATUS.fullmatch(row[1]):
        return _NO
    arch = row.pop(3) if len(row) == 6 else ""  # noqa: PLR2004 - ours tells the architecture
    return _dpkg([row[0], row[2], arch, row[3], row[4]], row[1])


def _dpkg_table(line: str) -> Said:
    """`ii  name:arch  version  arch  description`; dpkg of 2010 has no column of architectures."""
    row = [*line.split(None, 4), "", "", ""]
    if not _STATUS.fullmatch(row[0]) or not row[2]:
        return _NO
    arch = row[3] if row[3] in _ARCHES else ""
    # Rebuilt binaries (+b1) come of the source without that suffix.
    return _dpkg([row[1], row[2], arch, "", re.sub(r"\+b\d+$", "", row[2])], row[0])


def _stanza(text: str) -> Said:
    """One stanza of a dpkg status file."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon and not line[:1].isspace():
            fields.setdefault(key.lower(), value.strip())
    if not {"package", "status"} <= fields.keys():
        return "a stanza without Package and Status"
    if fields["status"].rpartition(" ")[2] in {"config-files", "not-installed"}:
        return None
    source = re.fullmatch(r"(\S+)(?:\s+\((\S+)\))?", fields.get("source", ""))
    origin, version = (source[1], source[2] or "") if source else ("", "")
    return _dpkg([fields["package"], fields.get("version", ""), fields.get("architecture", ""), origin, version], "ii")


@dataclass(frozen=True, slots=True)
class _Form:
    read: Callable[[str], Said]
    sources: bool = True
    header: bool = False
    """It has a table's head, which is no line of packages."""


_FORMS = (
    _Form(_rpm_row),
    _Form(_dpkg_row),
    _Form(_dpkg_table, sources=False, header=True),
    _Form(_rpm_plain, sources=False),
)
_STANZAS = _Form(_stanza)


def _text(raw: bytes | str, where: str) -> str:
    """Decode; PowerShell redirects in UTF-16."""
    if len(raw) > LIMIT:
        raise AgentError(f"more than {LIMIT >> 20} MiB", where=where, remedy=REMEDY)
    if isinstance(raw, bytes):
        utf16 = raw[:2] in {b"\xff\xfe", b"\xfe\xff"}
        raw = raw.decode("utf-16", "replace") if utf16 else decode(raw)
    return raw.removeprefix("\ufeff").replace("\r\n", "\n")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        begun = line.lstrip()
        if begun and begun[0] != "#":
            yield number, line


def _stanzas(text: str) -> Iterator[tuple[int, str]]:
    number = 1
    for stanza in re.split(r"\n[ \t]*(?=\n)", text):
        lead = len(stanza) - len(stanza.lstrip("\n"))
        if stanza.strip():
            yield number + lead, stanza.strip("\n")
        number += stanza.count("\n") + 1


def _sample(lines: list[tuple[int, str]]) -> list[str]:
    """Some hundred lines from all over the list."""
    return [line for _, line in islice(lines, 0, None, max(1, len(lines) // _SAMPLE)) if len(line) <= _LONGEST]


def _recognise(lines: list[tuple[int, str]]) -> _Form:
    """The form in which most lines of a sample are understood; the first of equals."""
    sample = _sample(lines)
    return max(_FORMS, key=lambda form: sum(not isinstance(form.read(line), str) for line in sample))


def _headless(lines: list[tuple[int, str]]) -> tuple[list[tuple[int, str]], tuple[int, ...]]:
    """A table without its head, in whatever language; and the widths of name and version where dpkg cut to a width."""
    at = next((i for i, (_, line) in enumerate(lines[:_SAMPLE]) if line.startswith("+++-")), None)
    if at is None:
        return lines, ()
    widths = tuple(map(len, lines[at][1].rstrip().split("-")[1:]))
    # Bound to a terminal's width, dpkg widens name and version alike; unbound, each to its longest.
    bound = len(widths) > 3 and widths[0] - 14 == widths[1] - 12 and len(lines) > _SAMPLE // 10  # noqa: PLR2004
    return [one for i, one in enumerate(lines) if i > at or _STATUS.match(one[1])], widths[:2] if bound else ()


def _cut(line: str, widths: tuple[int, ...]) -> bool:
    """Whether a cell fills its column: then nobody knows what dpkg cut off."""
    row = line.split(None, 3)
    return any(len(cell) >= width for cell, width in zip(row[1:3], widths, strict=False))


def _read(
    lines: Iterable[tuple[int, str]], form: _Form, widths: tuple[int, ...]
) -> tuple[list[Package], list[tuple[int, str]]]:
    """Packages, and the lines that are not understood with the reason."""
    found: list[Package] = []
    odd = []
    for number, line in lines:
        said = form.read(line) if len(line) <= _LONGEST or form is _STANZAS else "too long for a package"
        if isinstance(said, Package) and widths and _cut(line, widths):
            said = "name or version may be cut to the table's width; take it with COLUMNS=500 dpkg -l"
        if isinstance(said, Package):
            found.append(said)
        elif said:
            odd.append((number, f"{said}: {one_line(line, 80)}"))
    return found, odd


def parse(
    text: bytes | str,
    *,
    os_id: str,
    os_version: str,
    os_name: str = "",
    kernel: str = "",
    where: str = "the package list",
) -> Listing:
    """Read a list of packages of a Linux system, or one of Windows' installed KBs.

    Args:
        text: as it came; UTF-8, GB 18030 or UTF-16.
        os_id: ID of os-release, or `windows`.
        os_version: VERSION_ID, or Windows' build.
        os_name: PRETTY_NAME, or Windows' product.
        kernel: release of the running kernel, if it is known.
        where: the list's name, for errors.

    Raises:
        AgentError: in no form that is known, mostly not understood, or another family's.
    """
    plain = _text(text, where)
    if os_id.lower() == "windows":
        patches = tuple(dict.fromkeys(f"KB{number}" for number in re.findall(r"(?i)\bKB([0-9]{5,8})\b", plain)))
        if not patches:
            remedy = "give the output of: wmic qfe list | Get-HotFix | systeminfo"
            raise AgentError("no KB number in it", where=where, remedy=remedy)
        return Listing(os_id, os_version, os_name, kernel, patches=patches)
    widths: tuple[int, ...] = ()
    if re.search(r"^Package:[ \t]*\S", plain, re.MULTILINE) and re.search(r"^Status:[ \t]*\S", plain, re.MULTILINE):
        form, lines = _STANZAS, list(_stanzas(plain))
    else:
        lines = list(_lines(plain))
        form = _recognise(lines)
        if form.header:
            lines, widths = _headless(lines)
    packages, odd = _read(lines, form, widths)
    _refuse(packages, odd, len(lines), where)
    _refuse_stranger(packages[0].manager, os_id.lower(), where)
    rows = [line.rstrip() for line in _sample(lines) if isinstance(form.read(line), Package)]
    columns = max(map(len, map(_cells, rows)), default=0) if form.read is _rpm_row else 0
    is_rpm = packages[0].manager == "rpm"
    if not form.sources and not is_rpm:
        packages = [replace(one, source=debian_sources.source(one.name)) for one in packages]
    return Listing(
        os_id,
        os_version,
        os_name,
        kernel,
        packages=tuple(packages),
        # A query that tells epochs (NEVRA) tells some on every system; bare `rpm -qa` never does.
        epochs=form.read is not _rpm_plain or any(":" in one.version for one in packages),
        sources=form.sources and columns != 5,  # noqa: PLR2004 - up to ARCH
        modules=not is_rpm or columns >= 7,  # noqa: PLR2004 - MODULARITYLABEL is the seventh
        skipped=_told(odd),
    )


def _told(odd: list[tuple[int, str]]) -> tuple[str, ...]:
    told = [f"line {number}: {reason}" for number, reason in odd[:KEPT]]
    return (*told, f"and {len(odd) - KEPT} lines more") if len(odd) > KEPT else tuple(told)


def _refuse(packages: list[Package], odd: list[tuple[int, str]], lines: int, where: str) -> None:
    place = f"{where}: line {odd[0][0]}" if odd else where
    if not packages:
        told = odd[0][1] if odd else "it is empty, or nothing in it is installed"
        raise AgentError(f"no installed package in {lines} lines ({told})", where=place, remedy=REMEDY)
    if len(odd) * 2 > lines:
        raise AgentError(f"{len(odd)} of {lines} lines are not understood ({odd[0][1]})", where=place, remedy=REMEDY)


def _refuse_stranger(manager: str, os_id: str, where: str) -> None:
    """A list of the other family would match nothing, and read as clean."""
    if (manager == "rpm" and os_id in _DPKG) or (manager == "dpkg" and os_id in _RPM):
        raise AgentError(
            f"a list of {manager} packages, while {os_id} lives by the other manager",
            where=where,
            remedy="name the system that the list is of, ID:VERSION as /etc/os-release there says",
        )
