"""auditd: rules of ours in rules.d, keys of auditd.conf, auditing switched on.

fix: {resource: auditd_rules, want: {path: /etc/audit/rules.d/50-identity.rules, lines: [...]}}
fix: {resource: auditd_rules, want: {path: /etc/audit/auditd.conf, max_log_file: 100}}
fix: {resource: auditd_rules, want: {enabled: 1}}

In immutable mode (`-e 2`) what is written counts after a reboot: Risk.REBOOT. A container shares its kernel's audit with
its host: nothing is done there.
"""

from __future__ import annotations

import re
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Act, Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

CONF = "/etc/audit/auditd.conf"
_RULES = re.compile(r"/etc/audit/rules\.d/[A-Za-z0-9_.-]+\.rules")
_RULE = re.compile(r"-[waAe] [\x20-\x7e]+")
_KEY = re.compile(r"[a-z_]+")
_VALUE = re.compile(r"[A-Za-z0-9_]+")
IMMUTABLE = "2"


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
        """`auditd yes|no`, `enabled N`, the file in question and the rules that are loaded."""
        del facts
        path = quote(str(item.want.get("path", CONF)))
        return f"""if command -v auditctl >/dev/null 2>&1 && [ -d "$R/etc/audit" ]; then echo auditd yes; else echo auditd no; fi
auditctl -s 2>/dev/null | grep '^enabled '
[ ! -r "$R"{path} ] || sed 's/^/file /' "$R"{path}
auditctl -l 2>/dev/null | sed 's/^/rule /'
:"""

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a file, or one to switch auditing on."""
        lines = answer.text.splitlines()
        if "auditd yes" not in lines:
            return Skip(Why.UNSUPPORTED, "主机上没有 auditd，先安装")
        if facts["container"] == "yes":
            return Skip(Why.UNSUPPORTED, "容器与宿主机共用内核审计，须在宿主机上设置")
        enabled = next((line.split()[1] for line in lines if line.startswith("enabled ")), "")
        file = [line.removeprefix("file ") for line in lines if line.startswith("file ")]
        risk = (*item.risk, Risk.REBOOT) if enabled == IMMUTABLE else item.risk
        if "lines" in item.want:
            return self._rules(item, file, [line for line in lines if line.startswith("rule ")], risk)
        if item.want.get("path") == CONF:
            return self._conf(item, file)
        if enabled in {"1", IMMUTABLE}:
            return ()
        return (
            Step(
                self.name,
                "audit",
                "enabled",
                enabled or "未知",
                "1",
                "auditctl -e 1",
                handles=(Handle("auditrules", ("all",)),),
            ),
        )

    def _rules(self, item: Item, file: list[str], loaded: list[str], risk: tuple[Risk, ...]) -> tuple[Step, ...]:
        wanted = [str(each) for each in item.want["lines"]]
        keys = {each.rpartition("-k ")[2] for each in wanted}
        in_kernel = {key for key in keys for line in loaded if f"-k {key}" in line or f"key={key}" in line}
        if file == wanted and in_kernel == keys:
            return ()
        path = str(item.want["path"])
        text = "".join(f"{each}\n" for each in wanted)
        return (
            Step(
                self.name,
                "audit",
                path,
                f"{len(file)} 条规则" if file else "未设置",
                f"{len(wanted)} 条规则（{'、'.join(sorted(keys))}）",
                f"printf %s {quote(text)} | e_put {path} 640",
                handles=(
                    Handle("file", (path,)),
                    Handle("file", ("/etc/audit/audit.rules",)),
                    Handle("file", ("/etc/audit/audit.rules.prev",)),
                    Handle("auditrules", ("all",)),
                ),
                source=path,
                acts=(Act("augenrules"),),
                risk=tuple(dict.fromkeys(risk)),
            ),
        )

    def _conf(self, item: Item, file: list[str]) -> tuple[Step, ...]:
        now = {}
        for line in file:
            key, equals, value = line.partition("=")
            if equals and not line.lstrip().startswith("#"):
                now[key.strip().lower()] = value.strip()
        steps = []
        for key, value in item.want.items():
            if key == "path" or now.get(key, "").lower() == str(value).lower():
                continue
            steps.append(
                Step(
                    self.name,
                    "audit",
                    f"auditd.conf {key}",
                    now.get(key, "未设置"),
                    str(value),
                    f"e_key {CONF} ' = ' {quote(key)} {quote(str(value))} 640",
                    handles=(Handle("file", (CONF,)),),
                    source=CONF,
                    acts=(Act("auditd_hup"),),
                    risk=item.risk,
                )
            )
        return tuple(steps)


RESOURCES = (AuditdRules(),)
