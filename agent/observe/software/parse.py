"""From the frames of the software's section to `Software`. Pure; hostile text cannot break it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.model.facts import Software
from agent.model.products import JARS
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.model.facts import Instance, Listener, Package
    from agent.model.frames import Answer

    _Placed = tuple[Software, str]
    """With the path whose owner counts."""

MOST = 3000
"""Entries of one host that are kept."""
_JAR = re.compile(rf"(?:.*/)?({'|'.join(sorted(JARS, key=len, reverse=True))})(?:-v?(\d[^/]*?))?\.jar")
_NO_CODE = re.compile(r"-(?:sources|javadoc|tests?|api|test-jar)(?:$|-)")
"""Jars that bear the name and hold no such code (`log4j-1.2-api-2.17.1.jar`, `-sources`)."""
_WORDED = {
    "httpd": r"Apache/(\d+(?:\.\d+)+)",
    "kingbase": r"KingbaseES\)\s+V?(\w+)|V(\w+)",
    "mariadb": r"(\d+\.\d+\.\d+-MariaDB[\w.+-]*)|(\d+\.\d+\.\d+)",
    "mongodb": r"v?(\d+\.\d+\.\d+)",
    "nginx": r"(?:nginx|openresty|Tengine)/(\d+(?:\.\d+)+)",
    "opengauss": r"openGauss (\d+\.\d+\.\d+)|(\d+\.\d+\.\d+)",
    "openssh": r"OpenSSH_(\d+\.\d+(?:\.\d+)?(?:p\d+)?)",
    "openssl": r"OpenSSL (\d+\.\d+\.\d+[a-z]*)",
    "php": r"PHP[ /](\d+\.\d+\.\d+)",
    "redis": r"v=(\d+(?:\.\d+)+)|^(\d+(?:\.\d+)+)",
    "tomcat": r"Server:(\S+)|Implementation-Version:(\S+)",
}
"""How each kind words its version; others by their first dotted number."""
_DOTTED = r"(\d+(?:\.\d+)+(?:-[0-9A-Za-z.]+)?)"
_FORMS = 8
"""Most columns of a line."""
_READ = {"file": "版本取自安装目录内的文件", "ran": "版本为程序自报", "read": "版本读自程序文件", "": ""}


def parse(
    answers: Mapping[str, Answer],
    packages: Sequence[Package],
    listeners: Iterable[Listener] = (),
    instances: Iterable[Instance] = (),
) -> tuple[Software, ...]:
    """Software found on a host, owned or not; nginx and Redis only where their instance lacks a version.

    Args:
        answers: of the whole host script; other keys are passed over.
        packages: installed ones; they give the version of what they own.
        listeners: tell whose process listens beyond the host.
        instances: what the middleware's section found.
    """
    owners = _owners(answers)
    versions = {package.name: package.version for package in packages}
    asked = _asked(answers)
    told = {one.pid for one in instances if one.version}
    found = []
    for one, path in (*_servers(answers, asked), *_libraries(answers, asked), *_tomcats(answers), *_jars(answers)):
        owner = owners.get(path, "")
        if one.kind in {"nginx", "redis"} and one.pid in told:
            continue
        version = one.version or _upstream(versions.get(owner, ""))
        found.append(replace(one, package=owner, version=version))
    exposed = {one.pid for one in listeners if one.pid and not one.loopback}
    once = dict.fromkeys(replace(one, listening=one.pid in exposed) for one in found)
    return tuple(once)[:MOST]


def unseen(answers: Mapping[str, Answer]) -> dict[str, str]:
    """What was there and not looked at, with the reason."""
    told = {}
    cut = [row[0] for row in _rows(answers, "sw.jars", "X") if row]
    if cut:
        told["sw.jars"] = f"未查全：{'；'.join(cut)}"
    blind = [row[0] for row in _rows(answers, "sw.servers", "S") if len(row) > 4 and not row[4].startswith("/")]  # noqa: PLR2004
    if blind:
        names = "、".join(f"{name}×{blind.count(name)}" for name in sorted(set(blind)))
        told["sw.programs"] = f"进程的程序不可见（需要特权），归属与版本未知：{names}"
    inside = " ".join(row[0] for row in _rows(answers, "sw.servers", "I") if row).split()
    if inside:
        names = "、".join(f"{name}×{inside.count(name)}" for name in sorted(set(inside)))
        told["sw.servers"] = f"运行在容器内，未检查：{names}"
    return told


def _rows(answers: Mapping[str, Answer], key: str, mark: str) -> list[list[str]]:
    answer = answers.get(key)
    lines = answer.text.split("\n") if answer else []
    return [[one_line(cell) for cell in line.split("\t")[1:_FORMS]] for line in lines if line.startswith(f"{mark}\t")]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0  # noqa: PLR2004 - a pid


def _version(kind: str, text: str) -> str:
    hit = re.search(_WORDED.get(kind, _DOTTED), text)
    return next((part for part in hit.groups() if part), "") if hit else ""


def _asked(answers: Mapping[str, Answer]) -> dict[tuple[int, str], tuple[str, str]]:
    """(pid, kind) to (how, what it says)."""
    return {(_number(row[0]), row[1]): (row[2], row[3]) for row in _rows(answers, "sw.asked", "V") if len(row) > 3}  # noqa: PLR2004


def _servers(answers: Mapping[str, Answer], asked: Mapping[tuple[int, str], tuple[str, str]]) -> Iterable[_Placed]:
    """Live servers."""
    for row in _rows(answers, "sw.servers", "S"):
        if len(row) < 7 or not row[4].startswith("/"):  # noqa: PLR2004 - columns; whose program is not seen
            continue
        kind, pid, exe, location, owned, worded, how = row
        answer = asked.get((_number(pid), kind), ("", ""))
        version = _version(kind, answer[1])
        detail = _READ.get(answer[0], "") if version else ""
        if not version and worded:
            version, detail = _of_files(kind, worded), _READ.get(how, "")
        if kind == "mysql" and "mariadb" in f"{answer[1]} {worded}".lower():
            kind = "mariadb"
            version = _version(kind, answer[1]) or version
        yield Software(kind, version, location, "", "process", _number(pid), exe=exe, detail=detail), owned


def _of_files(kind: str, worded: str) -> str:
    """A version out of what a server's own files say."""
    if kind == "httpd":
        numbers = re.findall(r"\s(\d+)(?=\s|$)", worded)
        return ".".join(numbers[:3])
    if kind in {"elasticsearch", "activemq", "kafka", "zookeeper"}:
        hit = re.search(r"(\d+(?:\.\d+)+(?:-[0-9A-Za-z]+)*?)(?:\.jar)?\s*$", worded)
        return hit[1] if hit else ""
    if kind == "weblogic":
        hit = re.search(r'version="(\d+(?:\.\d+)+)', worded)
        return hit[1] if hit else ""
    return _version(kind, worded)


def _libraries(answers: Mapping[str, Answer], asked: Mapping[tuple[int, str], tuple[str, str]]) -> Iterable[_Placed]:
    """OpenSSL within a program that nobody owns, or as a library that nobody owns."""
    programs = {_number(row[1]): row[2] for row in _rows(answers, "sw.servers", "S") if len(row) > 2}  # noqa: PLR2004
    for (pid, kind), (how, worded) in asked.items():
        if kind == "openssl" and how == "static":
            exe = programs.get(pid, "")
            yield Software(kind, _version(kind, worded), exe, "", "process", pid, exe=exe, detail="静态链接"), exe
    users: dict[str, int] = {}
    for row in _rows(answers, "sw.servers", "O"):
        if len(row) > 1:
            users.setdefault(row[1], _number(row[0]))
    for row in _rows(answers, "sw.asked", "W"):
        if len(row) > 1:
            pid = users.get(row[0], 0)
            exe = programs.get(pid, "")
            version = _version("openssl", row[1])
            yield Software("openssl", version, row[0], "", "process", pid, exe=exe, detail="动态库"), row[0]


def _tomcats(answers: Mapping[str, Answer]) -> Iterable[_Placed]:
    """Unpacked Tomcats that do not run; those that do are the middleware's instances."""
    homes = {row[0] for row in _rows(answers, "sw.jars", "H") if row}
    for row in _rows(answers, "sw.jars", "T"):
        home = row[0].rpartition("/lib/")[0]
        if home in homes:
            continue
        version = _version("tomcat", row[1]) if len(row) > 1 else ""
        numbers = version.split(".")
        if numbers[3:] == ["0"]:  # ServerInfo writes 9.0.70.0
            version = ".".join(numbers[:3])
        yield Software("tomcat", version, home, how="file", detail="未运行"), row[0]


def _jars(answers: Mapping[str, Answer]) -> Iterable[_Placed]:
    for row in _rows(answers, "sw.jars", "N"):
        found = _named(row[2]) if len(row) > 2 else None  # noqa: PLR2004
        if found:
            yield _jar(*found, "版本取自归档内文件名", f"{row[1]}!/{row[2]}", row[0]), row[1]
    for row in _rows(answers, "sw.jars", "J"):
        said = row[2] if len(row) > 2 else ""  # noqa: PLR2004
        if len(row) > 3:  # noqa: PLR2004 - a known pom.properties within an archive of another name
            artifact = row[3].partition(":")[2]
            if artifact in JARS:
                version = _pom(artifact, said)
                yield _jar(artifact, version, "按内含 pom.properties 识别", row[1], row[0]), row[1]
        elif len(row) > 1 and (found := _named(row[1])):
            yield _jar(found[0], *_best(*found, said), row[1], row[0]), row[1]


def _jar(artifact: str, version: str, detail: str, location: str, pid: str) -> Software:
    number = _number(pid)
    return Software(artifact, version, location, how="process" if number else "file", pid=number, detail=detail)


def _pom(artifact: str, said: str) -> str:
    hit = re.search(rf"(?:^|\s){re.escape(artifact)}=(\S+)", said)
    return hit[1] if hit else ""


def _best(artifact: str, named: str, said: str) -> tuple[str, str]:
    """Version and where it was read: a jar's own pom.properties, then its file name, then its manifest."""
    pom = _pom(artifact, said)
    if pom and named and pom != named:
        return pom, f"文件名称 {named}，pom.properties 为 {pom}"
    if pom or named:
        return pom or named, "版本取自 pom.properties" if pom else "版本取自文件名"
    hit = re.search(r"Implementation-Version:(\S+)", said) or re.search(r"Bundle-Version:(\S+)", said)
    return (hit[1], "版本取自 MANIFEST.MF") if hit else ("", "版本未能读出")


def _named(path: str) -> tuple[str, str] | None:
    """Artifact and version of a file name; None for one that holds no such code."""
    hit = _JAR.fullmatch(path)
    if not hit or (hit[2] and _NO_CODE.search(f"-{hit[2]}")):
        return None
    return hit[1], hit[2] or ""


def _owners(answers: Mapping[str, Answer]) -> dict[str, str]:
    """Path to package: `nginx: /usr/sbin/nginx`, several packages joined by comma (the first counts)."""
    found: dict[str, str] = {}
    text = answers["sw.owners"].text if "sw.owners" in answers else ""
    for line in text.splitlines():
        names, colon, path = line.partition(": ")
        if colon and not names.startswith("diversion "):
            name = names.split(",")[0].split(":")[0].strip()
            found.setdefault(path, name)
            if path.startswith(("/bin/", "/sbin/", "/lib/")):  # by its name before the merge into /usr
                found.setdefault(f"/usr{path}", name)
    return found


def _upstream(version: str) -> str:
    """The upstream part of a package's version: `5:7.0.15-1~deb12u1` is 7.0.15."""
    hit = re.match(r"\d+(?:\.\d+)*(?:p\d+|[a-z]{1,2}(?![a-z0-9]))?", version.rpartition(":")[2])
    return hit[0] if hit else ""
