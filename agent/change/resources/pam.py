"""Modules in PAM stacks: brought in by the tool that owns the stacks, by hand only where none does.

fix: {resource: pam_profile, want: {module: pam_faillock.so, type: auth, feature: with-faillock}}
fix: {resource: pam_profile, want: {module: pam_pwhistory.so, type: password, args: [remember=12]}}
fix: {resource: pam_profile, want: {service: su, module: pam_wheel.so, type: auth, args: [use_uid]}}

- authselect: `enable-feature`; a file that it wrote is never edited.
- pam-auth-update: a profile of our own in /usr/share/pam-configs. (Its answer stays in debconf when it is undone; it
  passes over profiles that are not there.)
- by hand: the new stack is played through first (`pamtext.sound`): it must let in who is known and nobody else.
The module is looked for on the disk before anything names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote

from agent.change import pamtext
from agent.change.contract import Facts, FixError
from agent.change.pamread import FILES, LOOKED, PACKAGES, PamFile, PamSeen, pam_seen
from agent.model.change import Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_TYPES = {
    "pam_faillock.so": "auth",
    "pam_pwhistory.so": "password",
    "pam_pwquality.so": "password",
    "pam_wheel.so": "auth",
}
_FEATURES = {"pam_faillock.so": "with-faillock", "pam_pwhistory.so": "with-pwhistory"}
_ARGS: Mapping[str, tuple[str, ...]] = {
    "pam_pwhistory.so": ("remember=12", "use_authtok", "enforce_for_root"),
    "pam_pwquality.so": ("retry=3",),
    "pam_wheel.so": ("use_uid",),
}
_SAVED = ("account", "auth", "password", "session", "session-noninteractive")


class PamProfile:
    """pam_profile: see the module's text."""

    name = "pam_profile"
    library = ("pam",)
    alone = True

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or want.get("module") not in _TYPES:
            raise FixError(f"fix.want.module: one of {', '.join(_TYPES)}")
        if want.get("type") != _TYPES[want["module"]]:
            raise FixError(f"fix.want.type: {want['module']} stands in {_TYPES[want['module']]}")
        if (want.get("service") == "su") != (want["module"] == "pam_wheel.so"):
            raise FixError("fix.want.service: su, for pam_wheel.so alone")
        for arg in want.get("args", ()):
            if not all(char.isalnum() or char in "_=-" for char in str(arg)):
                raise FixError(f"fix.want.args: {arg!r}")

    def read(self, item: Item, facts: Facts) -> str:
        """pam_look; for su, who uses it."""
        del facts
        more = "pam_su" if item.want["module"] == "pam_wheel.so" else "pam_authselect"
        return (
            f"pam_look {' '.join(LOOKED)}\n{more}\n"
            'pam_conf "$R/etc/security/pwhistory.conf"\n'
            'printf "login\\t%s\\n" "${SUDO_USER:-$(id -un)}"'
        )

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step, or none when the module stands where it should."""
        seen = pam_seen(answer.text)
        module, kind = str(item.want["module"]), str(item.want["type"])
        del facts
        if not seen.owner or not seen.files:
            return Skip(Why.ERROR, "没有读到 PAM 配置")
        if module == "pam_wheel.so":
            return _wheel(item, seen)
        files = seen.of(kind)
        if files and all(file.has(kind, module) for file in files):
            return _remember(item, seen, files)
        return _missing(module, seen, kind) or _WAYS.get(seen.owner, _by_hand)(item, module, seen)


def _missing(module: str, seen: PamSeen, kind: str) -> Skip | None:
    """What the change would stand on and is not there."""
    if kind in FILES and module != "pam_wheel.so" and not seen.of(kind):
        return Skip(Why.UNSUPPORTED, "没有 system-auth、password-auth 或 common-*，不知登录栈在何处")
    if module not in seen.modules:
        return Skip(Why.UNSUPPORTED, f"本机没有 {module}，先安装 {PACKAGES[module]}")
    return None


def _step(item: Item, name: str, change: tuple[str, str], write: str, handles: Sequence[Handle], login: str) -> Step:
    before, after = change
    risk = item.risk if Risk.LOCKOUT in item.risk else (*item.risk, Risk.LOCKOUT)
    enter = f"pam_enter {quote(login)}" if login else "pam_sane"
    return Step(
        "pam_profile",
        "pam",
        name,
        before,
        after,
        write,
        handles=tuple(dict.fromkeys(handles)),
        source="/etc/pam.d",
        validate="pam_sane",
        risk=risk,
        confirm=enter,
    )


def _remember(item: Item, seen: PamSeen, files: Sequence[PamFile]) -> tuple[Step, ...] | Skip:
    """The module stands there; whether it remembers enough."""
    wanted = [arg.partition("=")[2] for arg in item.want.get("args", ()) if arg.startswith("remember=")]
    if item.want["module"] != "pam_pwhistory.so" or not wanted:
        return ()
    args = seen.args(["password"], "pam_pwhistory.so")
    now = args.get("remember", seen.settings().get("remember", ("10", "")))[0]  # built-in: 10
    if now.isdigit() and int(now) >= int(wanted[0]):
        return ()
    if seen.owner == "authselect":
        file = "/etc/security/pwhistory.conf"
        if "remember" in args:
            return Skip(Why.MANUAL, "remember 由 authselect 的模板给出，须改模板后 authselect apply-changes")
        writes = [f"e_key {file} ' = ' remember {quote(wanted[0])}"]
        paths = [file]
    else:
        paths = [file.path for file in files]
        writes = [f"pam_arg {quote(path)} password pam_pwhistory.so remember {quote(wanted[0])}" for path in paths]
    change = (f"记住 {now} 次", f"记住 {wanted[0]} 次")
    return (
        _step(
            item,
            "pam_pwhistory.so",
            change,
            " && ".join(writes),
            [Handle("file", (path,)) for path in paths],
            seen.first("login"),
        ),
    )


def _by_authselect(item: Item, module: str, seen: PamSeen) -> tuple[Step, ...] | Skip:
    feature = str(item.want.get("feature") or _FEATURES.get(module, ""))
    if not feature or not any(line.split()[:1] == [feature] for line in seen.words.get("offers", [])):
        return Skip(Why.MANUAL, f"authselect 当前模板没有 {feature or module} 这一项，须改用自定义模板")
    handles = [Handle("file", (path,)) for path in seen.words.get("written", []) if path.startswith("/")]
    write = f"authselect enable-feature {quote(feature)}"
    return (_step(item, module, ("未进栈", f"authselect 启用 {feature}"), write, handles, seen.first("login")),)


def _profile(
    title: str, priority: int, kind: str, lines: Sequence[str], initial: Sequence[str] = (), more: str = ""
) -> str:
    """A file of /usr/share/pam-configs (pam-auth-update(8))."""
    head = f"Name: {title}\nDefault: yes\nPriority: {priority}\n{kind}-Type: Primary\n{kind}:\n"
    body = "".join(f"\t{line}\n" for line in lines)
    return head + body + (f"{kind}-Initial:\n" + "".join(f"\t{line}\n" for line in initial) if initial else "") + more


def _profiles(module: str, args: Sequence[str]) -> dict[str, str]:
    """Our profiles: pam_faillock stands before pam_unix (256) and after it, the others before it."""
    if module == "pam_faillock.so":
        account = "Account-Type: Primary\nAccount:\n\trequired\tpam_faillock.so\n"
        return {
            "secops-faillock": _profile(
                "secops: count failed logins", 0, "Auth", ["[default=die]\tpam_faillock.so authfail"]
            ),
            "secops-faillock-first": _profile(
                "secops: refuse who failed too often",
                1024,
                "Auth",
                ["requisite\tpam_faillock.so preauth"],
                more=account,
            ),
        }
    first = " ".join(arg for arg in args if arg != "use_authtok")
    if module == "pam_pwhistory.so":
        lines = [f"requisite\tpam_pwhistory.so {' '.join(args)}"]
        return {
            "secops-pwhistory": _profile(
                "secops: no password twice", 512, "Password", lines, [f"requisite\tpam_pwhistory.so {first}"]
            )
        }
    line = [f"requisite\tpam_pwquality.so {first}"]
    return {"secops-pwquality": _profile("secops: strong passwords", 1024, "Password", line, line)}


def _by_profile(item: Item, module: str, seen: PamSeen) -> tuple[Step, ...] | Skip:
    kind = str(item.want["type"])
    profiles = _profiles(module, [str(arg) for arg in item.want.get("args", _ARGS.get(module, ()))])
    writes, handles = [], []
    for name, text in profiles.items():
        path = f"/usr/share/pam-configs/{name}"
        writes.append(f"printf %s {quote(text)} | e_put {path}")
        handles.append(Handle("file", (path,)))
    file = seen.of(kind)[0].path
    writes.append(f"pam_profiles {quote(file)} {kind} {module} {' '.join(profiles)}")
    handles += [Handle("file", (f"/etc/pam.d/common-{name}",)) for name in _SAVED]
    handles += [Handle("file", (f"/var/lib/pam/{name}",)) for name in (*_SAVED, "seen")]
    change = ("未进栈", f"pam-auth-update 加入 {'、'.join(profiles)}")
    return (_step(item, module, change, " && ".join(writes), handles, seen.first("login")),)


def _by_hand(item: Item, module: str, seen: PamSeen) -> tuple[Step, ...] | Skip:
    kinds = ["auth", "account"] if module == "pam_faillock.so" else ["password"]
    args = [str(arg) for arg in item.want.get("args", _ARGS.get(module, ()))]
    files = {file.name: file for kind in kinds for name in FILES[kind] if (file := seen.files.get(name))}
    writes, handles = [], []
    for file in files.values():
        lines = file.lines
        if not file.whole or pamtext.sound(lines):
            return Skip(Why.MANUAL, f"{file.path} 的写法不常见（{pamtext.sound(lines) or '续行或异常字符'}），由人改")
        for kind in kinds:
            if file.name in FILES[kind] and not file.has(kind, module):
                lines = _EDITS[module](lines, kind, args)
        problem = pamtext.sound(lines)
        if problem or lines == file.lines:
            return Skip(Why.MANUAL, f"{file.path} 中找不到稳妥的位置（{problem or 'pam_unix 不在栈中'}），由人改")
        text = "\n".join(lines) + "\n"
        writes.append(f"printf %s {quote(text)} | pam_put {quote(file.path)} {quote(file.sha256)}")
        handles.append(Handle("file", (file.path,)))
    change = ("未进栈", f"加入 {'、'.join(files)}")
    return (_step(item, module, change, " && ".join(writes), handles, seen.first("login")),)


def _faillock(lines: Sequence[str], kind: str, args: Sequence[str]) -> list[str]:
    """Preauth before all that asks, authfail where all that asks has said no; the count is reset by the account line."""
    words = " ".join(["", *args]) if args else ""
    own = pamtext.stack(lines, kind)
    if not any(line.module == "pam_unix.so" for line in own):
        return list(lines)
    if kind == "account":
        return pamtext.insert(lines, own[0].at, "account     required      pam_faillock.so", kind)
    first = next(line.at for line in own if line.module not in {"pam_env.so", "pam_faildelay.so"})
    last = max(number for number, line in enumerate(own) if line.module == "pam_unix.so")
    others = any(pamtext.elsewhere(line.module) for line in own[last + 1 :])
    behind = [line.at for line in own[last + 1 :] if not others or line.module == "pam_deny.so"]
    if not behind:
        return list(lines)
    made = pamtext.insert(lines, behind[0], f"auth        [default=die] pam_faillock.so authfail{words}", kind)
    return pamtext.insert(made, first, f"auth        required      pam_faillock.so preauth silent{words}", kind)


def _pwhistory(lines: Sequence[str], kind: str, args: Sequence[str]) -> list[str]:
    unix = next((line for line in pamtext.stack(lines, kind) if line.module == "pam_unix.so"), None)
    if unix is None:
        return list(lines)
    asks = any(
        line.module in {"pam_pwquality.so", "pam_cracklib.so"} and line.at < unix.at
        for line in pamtext.stack(lines, kind)
    )
    words = " ".join(arg for arg in args if asks or arg != "use_authtok")
    made = pamtext.insert(lines, unix.at, f"password    required      pam_pwhistory.so {words}", kind)
    return pamtext.with_arg(made, kind, "pam_unix.so", "use_authtok")


def _pwquality(lines: Sequence[str], kind: str, args: Sequence[str]) -> list[str]:
    behind = next(
        (line for line in pamtext.stack(lines, kind) if line.module in {"pam_pwhistory.so", "pam_unix.so"}), None
    )
    if behind is None:
        return list(lines)
    made = pamtext.insert(lines, behind.at, f"password    requisite     pam_pwquality.so {' '.join(args)}", kind)
    for module in ("pam_pwhistory.so", "pam_unix.so"):
        made = pamtext.with_arg(made, kind, module, "use_authtok")
    return made


_EDITS = {"pam_faillock.so": _faillock, "pam_pwhistory.so": _pwhistory, "pam_pwquality.so": _pwquality}


def _wheel(item: Item, seen: PamSeen) -> tuple[Step, ...] | Skip:
    """Put pam_wheel behind pam_rootok in su, for a group that holds everybody who uses su."""
    su = seen.files.get("su")
    if su is None:
        return Skip(Why.UNSUPPORTED, "没有 /etc/pam.d/su")
    own = pamtext.stack(su.lines, "auth")
    if any(_asks_wheel(line) for line in own):
        return ()
    groups = dict(line.partition("\t")[::2] for line in seen.words.get("group", []))
    group = "wheel" if "wheel" in groups else "sudo"
    members = {name for name in groups.get(group, "").split(",") if name}
    if skip := _missing("pam_wheel.so", seen, "auth") or _left_out(group, members, seen):
        return skip
    root = next((line for line in own if line.module == "pam_rootok.so" and line.control == "sufficient"), None)
    if root is None or not su.whole:
        return Skip(Why.MANUAL, "/etc/pam.d/su 没有 sufficient pam_rootok.so 或写法不常见，由人改")
    args = [str(arg) for arg in item.want.get("args", _ARGS["pam_wheel.so"])]
    words = " ".join([*args, *([] if group == "wheel" else [f"group={group}"])])
    lines = [*su.lines[: root.at + 1], f"auth       required   pam_wheel.so {words}", *su.lines[root.at + 1 :]]
    text = "\n".join(lines) + "\n"
    write = f"printf %s {quote(text)} | pam_put {quote(su.path)} {quote(su.sha256)}"
    change = ("所有账户可用 su", f"仅 {group} 组（{'、'.join(sorted(members))}）")
    return (_step(item, "su", change, write, [Handle("file", (su.path,))], seen.first("login")),)


def _left_out(group: str, members: set[str], seen: PamSeen) -> Skip | None:
    """Why the group would leave somebody out who uses su."""
    outside = sorted({*seen.words.get("used", [])} - members - {"root"})
    if members and not outside:
        return None
    who = f"用过 su 的 {'、'.join(outside)} 不在 {group} 组" if outside else f"{group} 组没有成员或不存在"
    return Skip(Why.UNSAFE, f"{who}，限制后将不能使用 su；先把该用 su 的人加入 {group} 组")


def _asks_wheel(line: pamtext.PamLine) -> bool:
    firm = line.control in {"required", "requisite"}
    return line.module == "pam_wheel.so" and firm and not {"deny", "trust"} & set(line.args)


_WAYS = {"authselect": _by_authselect, "pam-auth-update": _by_profile}
RESOURCES = (PamProfile(),)
