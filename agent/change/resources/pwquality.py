"""Password rules and lock-out rules: settings that a file holds and a PAM line's argument overrides.

fix: {resource: pwquality, want: {minlen: 18, ucredit: -1, enforce_for_root: true}}
fix: {resource: faillock, want: {deny: 5, unlock_time: 900}}

What is stricter already stays. pwquality.conf.d is read first and the main file wins, so the main file is written; an
argument of the PAM line that weakens it is taken off the line. libpwquality before 1.3 knows `enforce_for_root`, and
pam_faillock before Linux-PAM 1.4 knows anything, on the PAM line only: there it is written there.
"""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.change.pamread import LOOKED, PACKAGES, PamSeen, Strict, pam_seen, strictness
from agent.model.change import Handle, Item, Skip, Step, Why
from agent.model.frames import Answer


class PamSettings:
    """One module's settings."""

    library = ("pam",)

    def __init__(
        self, name: str, module: str, kinds: tuple[str, ...], files: tuple[str, str], rules: Mapping[str, Strict]
    ) -> None:
        self.name, self.module, self.kinds, self.rules = name, module, kinds, rules
        self.folder, self.file = files

    def check(self, item: Item) -> None:
        """Raises FixError."""
        if not isinstance(item.want, dict) or not item.want:
            raise FixError("fix.want: write {minlen: 18}")
        for key, value in item.want.items():
            if key not in self.rules:
                raise FixError(f"fix.want.{key}: known are {', '.join(self.rules)}")
            if value is not True and not str(value).lstrip("-").isdigit():
                raise FixError(f"fix.want.{key}: {value!r} is no number (or true)")

    def read(self, item: Item, facts: Facts) -> str:
        """pam_look, the settings, and whether the library reads them from a file at all."""
        del facts
        lines = [f"pam_look {' '.join(LOOKED)}", f'pam_conf "$R"{self.folder}/*.conf "$R"{self.file}']
        lines.append(f'f=$(readlink -f "$R{self.file}" 2>/dev/null); printf "real\\t%s\\n" "${{f#"$R"}}"')
        if self.name == "faillock":
            lines.append("pam_knows pam_faillock.so faillock.conf && printf 'reads\\tall\\n'")
        else:
            lines.append("printf 'reads\\tall\\n'")
            lines.append("pam_knows libpwquality.so.1 enforce_for_root && printf 'reads\\tenforce_for_root\\n'")
        del item
        return "\n".join([*lines, ":"])

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a key that is too weak."""
        del facts
        seen = pam_seen(answer.text)
        if not seen.owner:
            return Skip(Why.ERROR, "没有读到 PAM 配置")
        if self.module not in seen.modules:
            return Skip(Why.UNSUPPORTED, f"本机没有 {self.module}，先安装 {PACKAGES[self.module]}")
        steps: list[Step] = []
        for key, value in item.want.items():
            step = self._key(item, key, "on" if value is True else str(value), seen)
            if isinstance(step, Skip):
                return step
            steps += [step] if step else []
        return tuple(steps)

    def _key(self, item: Item, key: str, want: str, seen: PamSeen) -> Step | Skip | None:
        """The step for one key; None when it is as wanted."""
        rule = self.rules[key]
        args, settings = seen.args(self.kinds, self.module), seen.settings()
        reads = seen.words.get("reads", [])
        from_file = "all" in reads and (key != "enforce_for_root" or key in reads)
        now, where = args.get(key) or (settings.get(key) if from_file else None) or (None, "默认值")
        in_file = settings.get(key, (None, ""))[0]
        if rule(now, want) and (key in args or not from_file or rule(in_file, want)):
            return None
        places = [(kind, file.path) for kind in self.kinds for file in seen.of(kind) if file.has(kind, self.module)]
        on_line = (key in args and not rule(args[key][0], want)) or not from_file
        if on_line and seen.owner == "authselect":
            return Skip(Why.MANUAL, f"PAM 行的参数 {key} 由 authselect 的模板给出，须改模板后 authselect apply-changes")
        if on_line and not places:
            return Skip(Why.UNSUPPORTED, f"{self.module} 未进 PAM 栈，而本机只认 PAM 行参数：先把模块加入栈")
        writes, handles = [], []
        if from_file:
            file = seen.first("real") or self.file
            sep, text = (
                ("''", "''")
                if want == "on" and key == "enforce_for_root"
                else ("' = '", quote("1" if want == "on" else want))
            )
            if want == "on" and key == "even_deny_root":
                sep, text = "''", "''"
            writes.append(f"e_key {quote(file)} {sep} {quote(key)} {text}")
            handles.append(Handle("file", (file,)))
        if on_line:
            value = "" if from_file else ("-" if want == "on" else want)
            writes += [
                f"pam_arg {quote(path)} {kind} {self.module} {quote(key)} {quote(value)}"
                for kind, path in dict.fromkeys(places)
            ]
            handles += [Handle("file", (path,)) for _, path in places]
        return Step(
            self.name,
            "pam",
            key,
            now or "未设置",
            want,
            " && ".join(writes),
            handles=tuple(dict.fromkeys(handles)),
            source=where,
            validate="pam_sane",
            risk=item.risk,
            note="" if places else f"{self.module} 尚未进 PAM 栈，加入后才生效",
        )


def _unlock(now: str | None, want: str) -> bool:
    return now is not None and (now in {"0", "never"} or (now.isdigit() and int(now) >= int(want)))


PWQUALITY = PamSettings(
    "pwquality",
    "pam_pwquality.so",
    ("password",),
    ("/etc/security/pwquality.conf.d", "/etc/security/pwquality.conf"),
    strictness(
        ("minlen", "difok", "minclass"),
        ("dcredit", "ucredit", "lcredit", "ocredit"),
        ("maxrepeat", "maxsequence", "maxclassrepeat"),
        {"dictcheck": True, "usercheck": True, "gecoscheck": False, "enforce_for_root": False},
    ),
)
FAILLOCK = PamSettings(
    "faillock",
    "pam_faillock.so",
    ("auth",),
    ("/nonexistent", "/etc/security/faillock.conf"),
    {
        **strictness(("fail_interval", "root_unlock_time"), (), ("deny",), {"even_deny_root": False}),
        "unlock_time": _unlock,
    },
)
RESOURCES = (PWQUALITY, FAILLOCK)
