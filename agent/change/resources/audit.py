"""auditd: rules of ours in rules.d, keys of auditd.conf, auditing switched on.

fix: {resource: auditd_rules, want: {path: /etc/audit/rules.d/50-identity.rules, lines: [...]}}
fix: {resource: auditd_rules, want: {path: /etc/audit/auditd.conf, max_log_file: 100}}
fix: {resource: auditd_rules, want: {enabled: 1}}

Lines that some file of rules.d has already are not written again (the kernel refuses a rule that it has, and auditctl
would stop there); what stands in our file stays. Numbers of auditd.conf are minima. In immutable mode (`-e 2`) what is
written counts after a reboot: Risk.REBOOT. A container shares its kernel's audit with its host: only files are written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

CONF = "/etc/audit/auditd.conf"
_FOLDER = "/etc/audit/rules.d/"
_RULES = re.compile(r"/etc/audit/rules\.d/[A-Za-z0-9_.-]+\.rules")
_RULE = re.compile(r"-[waAe] [\x20-\x7e]+")
_LISTED = re.compile(r"(?:-k |key=)(\S+)$")
_KEY = re.compile(r"[a-z_]+")
_VALUE = re.compile(r"[A-Za-z0-9_]+")
IMMUTABLE = "2"
_GOOD = {
    "max_log_file_action": {"keep_logs"}, "disk_full_action": {"rotate", "exec", "email"},
    "disk_error_action": {"exec", "email"}, "space_left_action": {"email", "exec", "rotate"},
}  # fmt: skip
"""Values of auditd.conf(5) that are as good as the wanted one: somebody chose them."""


class AuditdRules:
    """auditd_rules: see the module."""

    name = "auditd_rules"
    library = ("audit",)

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or not want:
            raise FixError("fix.want: write {path: /etc/audit/rules.d/NAME.rules, lines: [...]}")
        if "lines" in want:
            if not _RULES.fullmatch(str(want.get("path", ""))):
                raise FixError("fix.want.path: a file of /etc/audit/rules.d that ends in .rules")
            if not want["lines"] or not all(_RULE.fullmatch(str(each)) for each in want["lines"]):
                raise FixError("fix.want.lines: rules as auditctl takes them, one each")
        elif want.get("path") == CONF:
            pairs = {key: str(value) for key, value in want.items() if key != "path"}
            if not pairs or not all(_KEY.fullmatch(key) and _VALUE.fullmatch(value) for key, value in pairs.items()):
                raise FixError("fix.want: keys of auditd.conf with plain values")
        elif want != {"enabled": 1}:
            raise FixError("fix.want: rules with lines, keys of auditd.conf, or {enabled: 1}")

    def read(self, item: Item, facts: Facts) -> str:
        """`auditd yes|no`, `enabled N`, each file and its lines, the rules that are loaded: the same for every item."""
        del item, facts
        return f"""if command -v auditctl >/dev/null 2>&1 && [ -d "$R/etc/audit" ]; then echo auditd yes; else echo auditd no; fi
auditctl -s 2>/dev/null | grep '^enabled '
set --
for f in "$R{CONF}" "$R"/etc/audit/rules.d/*.rules; do [ ! -r "$f" ] || set -- "$@" "$f"; done
[ $# = 0 ] || R=$R awk 'FNR==1{{print "at " substr(FILENAME,length(ENVIRON["R"])+1)}}{{print "line " $0}}' "$@"
auditctl -l 2>/dev/null | sed 's/^/rule /'
:"""

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a file, or a key of auditd.conf, or one to switch auditing on."""
        told: dict[str, list[str]] = {}
        at = ""
        for line in answer.text.splitlines():
            word, _, rest = line.partition(" ")
            if word == "at":
                at = rest
            told.setdefault(at if word == "line" else word, []).append(rest)
        if told.get("auditd") != ["yes"]:
            return Skip(Why.UNSUPPORTED, "主机上没有 auditd，先安装")
        shared = facts["container"] == "yes"
        enabled = (told.get("enabled") or [""])[0]
        if "lines" in item.want:
            return self._rules(item, told, enabled, shared=shared)
        if item.want.get("path") == CONF:
            return self._conf(item, told.get(CONF, []), shared=shared)
        if shared:
            return Skip(Why.UNSUPPORTED, _SHARED)
        if enabled in {"1", IMMUTABLE}:
            return ()
        return (
            Step(
                self.name,
                "audit",
                "enabled",
                enabled or "未知",
                "1",
                "auditctl -e 1 >/dev/null",
                handles=(Handle("auditrules", ("all",)),),
                risk=item.risk,
            ),
        )

    def _rules(self, item: Item, told: dict[str, list[str]], enabled: str, *, shared: bool) -> tuple[Step, ...]:
        wanted = [str(each) for each in item.want["lines"]]
        known = {" ".join(line.split()) for at, lines in told.items() if at.startswith(_FOLDER) for line in lines}
        missing = [each for each in wanted if " ".join(each.split()) not in known]
        fixed = shared or enabled == IMMUTABLE
        if not missing and (fixed or _has(told.get("rule", ()), wanted)):
            return ()
        path = str(item.want["path"])
        file = told.get(path, [])
        text = "".join(f"{each}\n" for each in [*file, *missing])
        keys = "、".join(sorted({each.rpartition("-k ")[2] for each in wanted}))
        handles = [Handle("file", (path,))] if missing else []
        load = [] if shared else ["aud_load"]
        if not shared:
            handles += [Handle("file", (each,)) for each in ("/etc/audit/audit.rules", "/etc/audit/audit.rules.prev")]
            handles.append(Handle("auditrules", ("all",)))
        return (
            Step(
                self.name,
                "audit",
                path,
                f"缺 {len(missing)} 条规则" if missing else "规则未加载",
                f"{len(wanted)} 条规则（{keys}）",
                # not an act: an undo puts the kernel's rules back as they were, which the files need not tell
                " && ".join([*([f"printf '%s' {quote(text)} | e_put {path} 640"] if missing else []), *load]) or ":",
                handles=tuple(handles),
                source=path,
                risk=tuple(
                    dict.fromkeys([*item.risk, *([Risk.REBOOT] if enabled == IMMUTABLE and not shared else [])])
                ),
                note=_SHARED if shared else "审计处于不可变模式，重启后生效" if enabled == IMMUTABLE else "",
            ),
        )

    def _conf(self, item: Item, file: list[str], *, shared: bool) -> tuple[Step, ...]:
        now = {}
        for line in file:
            key, equals, value = line.partition("=")
            if equals and not line.lstrip().startswith("#"):
                now[key.strip().lower()] = value.strip()
        steps = []
        for key, value in item.want.items():
            if key == "path" or _good(key, now.get(key, ""), str(value)):
                continue
            steps.append(
                Step(
                    self.name,
                    "audit",
                    f"auditd.conf {key}",
                    now.get(key) or "未设置",
                    str(value),
                    f"e_key {CONF} ' = ' {quote(key)} {quote(str(value))} 640",
                    handles=(Handle("file", (CONF,)),),
                    source=CONF,
                    acts=() if shared else (Act("auditd_hup"),),
                    risk=item.risk,
                )
            )
        return tuple(steps)


_SHARED = "容器与宿主机共用内核审计：规则须在宿主机上加载"


def _has(loaded: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether the kernel has as many rules of every key as are wanted (it prints them in an order and words of its own)."""
    have = Counter(match[1] for line in loaded if (match := _LISTED.search(line)))
    return all(have[key] >= count for key, count in Counter(each.rpartition("-k ")[2] for each in wanted).items())


def _good(key: str, now: str, wanted: str) -> bool:
    if wanted.isdigit():
        return now.isdigit() and int(now) >= int(wanted)
    word = now.lower().split()
    return bool(word) and (word[0] == wanted.lower() or word[0] in _GOOD.get(key, ()))


RESOURCES = (AuditdRules(),)
