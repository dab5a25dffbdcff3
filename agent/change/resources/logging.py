"""Logs: sent to a central server, and kept long enough.

fix: {resource: log_forward, want: {target: "{{log_host}}", port: 6514, protocol: tcp}}
fix: {resource: log_rotation, want: {rotate: 27, period: weekly}}

Forwarding is one file of ours in rsyslog.d. Rotation is changed in the stanzas that rotate the system's logs, else in
the global lines of logrotate.conf; what keeps a log longer already stays.
"""

from __future__ import annotations

import hashlib
import re
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

FORWARD = "/etc/rsyslog.d/90-secops-remote.conf"
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,253}")
_DAYS = {"daily": 1, "weekly": 7, "monthly": 30, "yearly": 365}
_LOGS = re.compile(r"auth|secure|messages|syslog|audit")
_NAME = re.compile(r"/etc/logrotate\.(conf|d/[A-Za-z0-9_.+-]+)")
LONGEST = 200_000


class LogForward:
    """log_forward: see the module."""

    name = "log_forward"
    library = ()

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or set(want) - {"target", "port", "protocol"} or "target" not in want:
            raise FixError('fix.want: write {target: "{{log_host}}", port: 6514, protocol: tcp}')
        if not _HOST.fullmatch(str(want["target"])):
            raise FixError(f"fix.want.target: {want['target']!r} is no host")
        if not str(want.get("port", "514")).isdigit() or want.get("protocol", "tcp") not in {"tcp", "udp"}:
            raise FixError("fix.want: port is a number, protocol tcp or udp")

    def read(self, item: Item, facts: Facts) -> str:
        """`rsyslog yes|no`, and the file of ours."""
        del item, facts
        return f"""if command -v rsyslogd >/dev/null 2>&1 && [ -d "$R/etc/rsyslog.d" ]; then echo rsyslog yes; else echo rsyslog no; fi
[ ! -r "$R{FORWARD}" ] || sed 's/^/file /' "$R{FORWARD}"
:"""

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step: the file."""
        del facts
        if "rsyslog yes" not in answer.text.splitlines():
            return Skip(Why.UNSUPPORTED, "主机上没有 rsyslog，先安装")
        want = item.want
        target, port = str(want["target"]), str(want.get("port", 514))
        protocol = str(want.get("protocol", "tcp"))
        line = (
            f'*.* action(type="omfwd" target="{target}" port="{port}" protocol="{protocol}" '
            'queue.type="LinkedList" queue.size="10000" action.resumeRetryCount="-1")'
        )
        now = [each.removeprefix("file ") for each in answer.text.splitlines() if each.startswith("file ")]
        if now == [line]:
            return ()
        return (
            Step(
                self.name,
                "logging",
                FORWARD,
                now[0] if now else "未设置",
                f"发往 {target}:{port}/{protocol}",
                f"printf '%s\\n' {quote(line)} | e_put {FORWARD} 644",
                handles=(Handle("file", (FORWARD,)),),
                validate="rsyslogd -N1 >/dev/null 2>&1",
                acts=(Act("restart", ("rsyslog.service",)),),
                risk=item.risk,
            ),
        )


class LogRotation:
    """log_rotation: see the module."""

    name = "log_rotation"
    library = ()

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or want.get("period") not in _DAYS or not isinstance(want.get("rotate"), int):
            raise FixError("fix.want: write {rotate: 27, period: weekly}")

    def read(self, item: Item, facts: Facts) -> str:
        """`== FILE` and its lines behind a `|`, for logrotate's files."""
        del item, facts
        return """[ -r "$R/etc/logrotate.conf" ] || exit 2
b=$(find "$R/etc/logrotate.conf" "$R/etc/logrotate.d" -maxdepth 1 -type f -size +127)
for f in "$R/etc/logrotate.conf" "$R"/etc/logrotate.d/*; do
  [ -f "$f" ] && [ -r "$f" ] || continue
  case "
$b
" in *"
$f
"*) continue ;; esac
  echo "== ${f#"$R"} $(_sum "$f")"; awk '{print "|" $0}' "$f"; done"""

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a file whose stanzas keep a system log too short."""
        del facts
        files = _files(answer.text)
        if "/etc/logrotate.conf" not in files:
            return Skip(Why.ERROR, "logrotate.conf 无法读取")
        need, period = int(item.want["rotate"]), str(item.want["period"])
        main = files["/etc/logrotate.conf"][1]
        inherited = _global(main)
        steps = []
        found = False
        for path, (digest, lines) in files.items():
            new, told, any_log = _mended(lines, inherited, need, period)
            found |= any_log
            if told:
                steps.append(_rewrite(item, path, digest, new, told, f"{period} rotate {need}"))
        if not found and _keeps(*inherited) < need * _DAYS[period]:
            new = _global_mended(main, need, period)
            path = "/etc/logrotate.conf"
            told = f"{inherited[0]} rotate {inherited[1]}"
            steps.append(_rewrite(item, path, files[path][0], new, told, f"{period} rotate {need}"))
        return tuple(steps)


def _files(text: str) -> dict[str, tuple[str, list[str]]]:
    """Path to (SHA-256, lines)."""
    files: dict[str, tuple[str, list[str]]] = {}
    path = ""
    for line in text.splitlines()[:LONGEST]:
        match line.split(" ") if line.startswith("== ") else []:
            case ["==", name, digest] if _NAME.fullmatch(name) and re.fullmatch("[0-9a-f]{64}", digest):
                path = name
                files[path] = (digest, [])
            case _:
                if path and line.startswith("|"):
                    files[path][1].append(line[1:])
    return files


def _keeps(period: str, rotate: int) -> int:
    return _DAYS.get(period, 7) * rotate


def _global(lines: list[str]) -> tuple[str, int]:
    """Period and count outside any stanza."""
    period, rotate, inside = "weekly", 0, False
    for line in lines:
        words = line.split("#")[0].split()
        if not words:
            continue
        if "{" in line:
            inside = True
        elif words[0] == "}":
            inside = False
        elif not inside and words[0] in _DAYS:
            period = words[0]
        elif not inside and words[0] == "rotate" and len(words) > 1 and words[1].isdigit():
            rotate = int(words[1])
    return period, rotate


def _mended(lines: list[str], inherited: tuple[str, int], need: int, period: str) -> tuple[list[str], str, bool]:
    """(the lines with every short stanza of a system log mended, what was found, whether there is such a stanza)."""
    out: list[str] = []
    told, any_log = "", False
    names, body, inside = "", [], False
    for line in lines:
        bare = line.split("#")[0].strip()
        if not inside:
            if "{" in bare:
                inside, names, body = True, f"{names} {bare}", [line]
            else:
                names = f"{names} {bare}" if bare.startswith(("/", '"')) else ("" if bare else names)
                out.append(line)
            continue
        body.append(line)
        if bare == "}":
            inside = False
            if _LOGS.search(names):
                any_log = True
                now, changed = _stanza(body, inherited, need, period)
                told = told or now
                body = changed
            out += body
            names = ""
    return (out + (body if inside else []), told, any_log)


def _stanza(body: list[str], inherited: tuple[str, int], need: int, period: str) -> tuple[str, list[str]]:
    """(what it keeps now, empty when long enough; its lines as they should be)."""
    of, count = inherited
    script = False
    places: list[int] = []
    for index, line in enumerate(body):
        words = line.split("#")[0].split()
        if not words:
            continue
        if script:
            script = words[0] != "endscript"
        elif words[0] in {"postrotate", "prerotate", "firstaction", "lastaction", "preremove"}:
            script = True
        elif words[0] in _DAYS:
            of = words[0]
            places.append(index)
        elif words[0] == "rotate" and len(words) > 1 and words[1].isdigit():
            count = int(words[1])
            places.append(index)
        elif words[0] in {"maxage", "size"}:
            places.append(index)
            count = 0
    if _keeps(of, count) >= need * _DAYS[period]:
        return "", body
    kept = [line for index, line in enumerate(body) if index not in places]
    indent = re.match(r"\s*", kept[1] if len(kept) > 2 else "\t")[0] or "\t"  # type: ignore[index] # noqa: PLR2004 - head, one line, end
    return f"{of} rotate {count}", [kept[0], f"{indent}rotate {need}", f"{indent}{period}", *kept[1:]]


def _global_mended(lines: list[str], need: int, period: str) -> list[str]:
    out, inside = [], False
    for line in lines:
        words = line.split("#")[0].split()
        inside = inside or "{" in line
        if words and not inside and (words[0] in _DAYS or words[0] == "rotate"):
            continue
        if words and words[0] == "}":
            inside = False
        out.append(line)
    return [period, f"rotate {need}", *out]


def _rewrite(item: Item, path: str, digest: str, lines: list[str], before: str, after: str) -> Step:
    text = "\n".join(lines) + "\n"
    word = hashlib.sha256(text.encode()).hexdigest()[:12]
    write = f"""[ "$(sha256sum <{path} | cut -c1-64)" = {digest} ] || {{ echo "{path} changed meanwhile" >&2; exit 1; }}
e_put {path} <<'END_{word}'
{text}END_{word}"""
    return Step(
        "log_rotation",
        "logging",
        path,
        before,
        after,
        write,
        handles=(Handle("file", (path,)),),
        source=path,
        validate="! command -v logrotate >/dev/null 2>&1 || logrotate -d /etc/logrotate.conf >/dev/null 2>&1",
        risk=tuple(each for each in item.risk if each is not Risk.RESTART),
    )


RESOURCES = (LogForward(), LogRotation())
