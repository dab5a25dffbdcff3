"""Accounts: locked, closed for good, without a shell, or with an age for their passwords.

fix: {resource: account, want: {state: locked}, select: empty_password}

want: {state: locked} (no password opens it), {state: disabled} (locked, expired, no shell, keys set aside),
{shell: /usr/sbin/nologin}, {max_days: 30, min_days: 1, warn_days: 7}.
select: empty_password, legacy_default, system_uid, not_in_roster, stale90, login.

Nothing is done to root, to the account that we log in with, to those that `keep` names, to an account that shares its
number with one of these, or to one that runs programs or cron entries and would lose them. Who is left out is told by
name. An age is set only where it lets nobody in particular expire at once: the password was changed within it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from shlex import quote

from agent.change.contract import Facts, FixError
from agent.model.change import Handle, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

_NO_SHELL = re.compile(r"(nologin|false|sync|shutdown|halt)$")
_LEGACY = ("lp", "games", "news", "uucp", "gopher", "operator", "ftp")
_HUMAN = (1000, 65000)
_SELECTS = ("empty_password", "legacy_default", "system_uid", "not_in_roster", "stale90", "login")
_MARGIN = 1
"""Days that must be left when an age is set, so that nobody expires over night."""


@dataclass(frozen=True, slots=True)
class _Account:
    """One line of /etc/passwd with its line of /etc/shadow; the hash stayed on the host."""

    name: str
    uid: int
    shell: str
    home: str
    password: str
    """`set`, `locked`, `empty`; with `-passwd`, when it stands in /etc/passwd itself."""
    age: int | None
    min_days: int | None
    max_days: int | None
    warn_days: int | None
    expires: str

    @property
    def login(self) -> bool:
        """Whether its shell is one."""
        return not _NO_SHELL.search(self.shell)


@dataclass
class _Seen:
    accounts: list[_Account] = field(default_factory=list)
    running: set[int] = field(default_factory=set)
    cron: set[str] = field(default_factory=set)
    sudo: dict[str, list[str]] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    stale: set[str] | None = None
    nologin: str = ""
    login: str = ""


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"-?[0-9]{1,9}", text) else None


def _seen(text: str) -> _Seen:
    seen = _Seen()
    for line in text.splitlines():
        match line.split("\t"):
            case ["acct", name, uid, _, shell, home, kind, age, low, high, warn, expires]:
                number = _number(uid)
                if number is not None and name:
                    days = (_number(age), _number(low), _number(high), _number(warn))
                    seen.accounts.append(_Account(name, number, shell, home, kind, *days, expires))
            case ["lastlog"]:
                seen.stale = set()
            case [what, name]:
                _note(seen, what, name)
            case [("sudo" | "keys") as what, name, path] if path.startswith("/"):
                (seen.sudo if what == "sudo" else seen.keys).setdefault(name, []).append(path)
    return seen


def _note(seen: _Seen, what: str, value: str) -> None:
    if what == "runs":
        seen.running.add(_number(value) or 0)
    elif what == "cron":
        seen.cron.add(value)
    elif what == "stale" and seen.stale is not None:
        seen.stale.add(value)
    elif what == "nologin":
        seen.nologin = value
    elif what == "login":
        seen.login = value


_READ = r"""
acct_list || exit 2
acct_busy
for f in /usr/sbin/nologin /sbin/nologin; do if [ -x "$R$f" ]; then printf 'nologin\t%s\n' "$f"; break; fi; done
printf 'login\t%s\n' "${SUDO_USER:-$(id -un)}"
while IFS=: read -r u _ _ _ _ h s; do
  case $h in /home/?*|/export/?*|/data/?*) ;; *) continue ;; esac
  for k in authorized_keys authorized_keys2; do
    f=$R$h/.ssh/$k
    if [ -s "$f" ] && [ ! -L "$f" ] && [ "$(readlink -f "$f")" = "$f" ]; then printf 'keys\t%s\t%s\n' "$u" "${f#"$R"}"; fi
  done
done <"$R/etc/passwd"
if l=$(lastlog -b 90 2>/dev/null); then
  echo lastlog; printf '%s\n' "$l" | awk 'NR>1&&!/\*\*/{print "stale\t" $1}'
fi
"""


class AccountState:
    """account: see the module's text."""

    name = "account"
    library = ("account", "h_account")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want, select = item.want, item.options.get("select")
        if select not in _SELECTS:
            raise FixError(f"fix.select: {select!r}; known: {', '.join(_SELECTS)}")
        if not isinstance(want, dict) or not want:
            raise FixError("fix.want: write {state: locked}, {shell: PATH} or {max_days: 30}")
        if "state" in want and want not in ({"state": "locked"}, {"state": "disabled"}):
            raise FixError("fix.want.state: locked or disabled, alone")
        if "shell" in want and (set(want) != {"shell"} or not str(want["shell"]).endswith(("/nologin", "/false"))):
            raise FixError("fix.want.shell: a path of nologin or false, alone")
        days = {"max_days", "min_days", "warn_days"}
        if not set(want) & {"state", "shell"} and (
            "max_days" not in want or set(want) - days or not all(str(each).isdigit() for each in want.values())
        ):
            raise FixError("fix.want: write {max_days: 30, min_days: 1, warn_days: 7}")

    def read(self, item: Item, facts: Facts) -> str:
        """Lines of words between tabs; see `_seen`."""
        del item, facts
        return _READ

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step an account that may be touched; who may not is told."""
        seen = _seen(answer.text)
        if not seen.accounts:
            return Skip(Why.ERROR, "没有读到账户")
        select = item.options.get("select")
        if select == "not_in_roster" and not item.options.get("roster"):
            return Skip(Why.MANUAL, "没有人员台账（inventory/people.yaml），不能判断谁已离职")
        if select == "stale90" and seen.stale is None:
            return Skip(Why.UNSUPPORTED, "本机没有 lastlog，用 lastlog2 或 wtmp 人工核对")
        chosen = [each for each in seen.accounts if _selected(each, item, seen) and not _already(each, item.want)]
        refused = {each.name: reason for each in chosen if (reason := _refused(each, item, seen, facts))}
        told = "；".join(f"{name} 未动：{reason}" for name, reason in refused.items())
        steps = tuple(
            _step(each, item, seen, told)
            for each in {each.name: each for each in chosen}.values()
            if each.name not in refused
        )
        if refused and not steps:
            return Skip(Why.UNSAFE, told)
        return steps


def _selected(account: _Account, item: Item, seen: _Seen) -> bool:
    human = _HUMAN[0] <= account.uid < _HUMAN[1]
    tests: Mapping[str, Callable[[], bool]] = {
        "empty_password": lambda: account.password.startswith("empty"),
        "legacy_default": lambda: account.name in _LEGACY and not account.password.startswith("locked"),
        "system_uid": lambda: (
            0 < account.uid < _HUMAN[0] and account.login and account.name not in item.options.get("ignore", ())
        ),
        "not_in_roster": lambda: (
            human and account.login and account.name not in (*item.options.get("roster", ()), *_kept(item, seen))
        ),
        "stale90": lambda: account.login and account.name in (seen.stale or ()),
        "login": lambda: account.login and account.password == "set",  # noqa: S105 - a kind of password
    }
    return tests[str(item.options.get("select"))]()


def _already(account: _Account, want: Mapping[str, object]) -> bool:
    if want.get("state") == "locked":
        return account.password.startswith("locked")
    if want.get("state") == "disabled":
        return account.password.startswith("locked") and account.expires == "1" and not account.login
    if "shell" in want:
        return not account.login
    return account.max_days is not None and 1 <= account.max_days <= int(str(want["max_days"]))


def _refused(account: _Account, item: Item, seen: _Seen, facts: Facts) -> str:
    """Why this account must be left alone; empty when it may be touched."""
    kept = {*_kept(item, seen), facts["login"]} - {""}
    locked = item.want.get("state") == "locked"
    if account.name in kept:
        return "root、程序登录或登记保留的账户"
    # locking closes one name, all else reaches whoever has that number
    if not locked and account.uid in {each.uid for each in seen.accounts if each.name in kept}:
        return f"与保留账户共用 UID {account.uid}"
    if not re.fullmatch(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*\$?", account.name):
        return "账户名含异常字符"
    if "max_days" in item.want:
        return _too_old(account, int(str(item.want["max_days"])))
    return "" if locked else _in_use(account, item, seen)


def _kept(item: Item, seen: _Seen) -> frozenset[str]:
    return frozenset({"root", seen.login, *item.options.get("keep", ())} - {""})


def _too_old(account: _Account, days: int) -> str:
    if account.age is not None and account.age < 0:
        return "改密日期在将来，先核实"
    return "须先轮换口令，否则立即到期" if account.age is None or account.age > days - _MARGIN else ""


def _in_use(account: _Account, item: Item, seen: _Seen) -> str:
    if account.uid in seen.running:
        return "有以它运行的进程"
    if account.name in seen.cron and item.options.get("select") != "not_in_roster":
        return "有它的定时任务"
    return ""


def _step(account: _Account, item: Item, seen: _Seen, told: str) -> Step:
    want, name = item.want, quote(account.name)
    handles = [Handle("account", (account.name,))]
    notes = [told] if told else []
    if want.get("state") == "locked":
        before, after, write = f"口令{_kind(account)}", "口令锁定", f"acct_close {name}"
    elif want.get("state") == "disabled":
        keys = [] if _shared(account, seen) else seen.keys.get(account.name, [])
        handles += [Handle("file", (path,)) for key in keys for path in (key, f"{key}.secops-disabled")]
        before = f"口令{_kind(account)}，{account.shell}，公钥文件 {len(keys)} 个"
        after = "锁定、到期、不可登录，公钥移开" if keys else "锁定、到期、不可登录"
        shell = seen.nologin or "/bin/false"
        writes = [f"acct_close {name}", f"acct_ends {name}", f"acct_shell {name} {quote(shell)}"]
        write = " && ".join([*writes, *(f"acct_keys {quote(key)}" for key in keys)])
        notes += _belongings(account, seen)
    elif "shell" in want:
        shell = seen.nologin or str(want["shell"])
        before, after, write = account.shell, shell, f"acct_shell {name} {quote(shell)}"
    else:
        before = f"最长 {_days(account.max_days)}"
        after = f"最长 {want['max_days']} 天"
        days = " ".join(quote(str(want.get(key, preset))) for key, preset in _AGE.items())
        write = f"acct_age {name} {days}"
    risk = (
        (*item.risk, Risk.ACCOUNT_EXPIRY) if "max_days" in want and Risk.ACCOUNT_EXPIRY not in item.risk else item.risk
    )
    return Step(
        "account",
        "accounts",
        account.name,
        before,
        after,
        write,
        handles=tuple(handles),
        source="/etc/passwd、/etc/shadow",
        risk=risk,
        note="；".join(notes),
    )


_AGE = {"min_days": 0, "max_days": 30, "warn_days": 7}


def _kind(account: _Account) -> str:
    return {"empty": "为空", "locked": "已锁", "set": "可用"}.get(account.password.partition("-")[0], "不明")


def _days(number: int | None) -> str:
    return "不限" if number is None or number < 0 else f"{number} 天"


def _shared(account: _Account, seen: _Seen) -> bool:
    """Whether another account lives in the same home: its keys are not this one's alone."""
    return any(other.name != account.name and other.home == account.home for other in seen.accounts)


def _belongings(account: _Account, seen: _Seen) -> list[str]:
    """What a closed account leaves behind and a person must look at."""
    left = []
    if _shared(account, seen):
        left.append(f"家目录 {account.home} 与他人共用，公钥未动")
    if account.name in seen.cron:
        left.append("有定时任务，账户到期后 cron 不再执行，核对后删除")
    if account.name in seen.sudo:
        left.append(f"sudo 授权仍在 {'、'.join(dict.fromkeys(seen.sudo[account.name]))}，核对后删除")
    return left


RESOURCES = (AccountState(),)
