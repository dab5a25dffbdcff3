"""A change of a target: what is wanted, what would be done, what was captured, how it ended.

A resource type (agent.change) turns an `Item` and the reading of a target into `Step`s.
Steps of one group on one host make one transaction, confirmed or undone as a whole.
Roll-back is never written: each `Handle` names a piece of state that is captured before
the first write and put back from the capture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Risk(StrEnum):
    """What a change may do to those who use the target."""

    LOCKOUT = "lockout"
    RESTART = "restart"
    REBOOT = "reboot"
    ACCOUNT_EXPIRY = "account_expiry"
    APP_BREAK = "app_break"

    @property
    def zh(self) -> str:
        """The word used in reports."""
        return {
            "lockout": "可能影响登录",
            "restart": "需重启服务",
            "reboot": "需重启主机",
            "account_expiry": "账户可能到期",
            "app_break": "可能影响应用",
        }[self.value]


GROUPS = (
    "packages", "system", "files", "services", "audit", "logging", "nginx", "redis", "tomcat", "mysql", "postgresql",
    "accounts", "pam", "sudo", "sshd", "firewall",
)  # fmt: skip
"""Groups of steps, in the order in which they are done: what can lock out comes last, one transaction each."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A piece of a target's state that can be captured and put back: see docs/hardening.md for the kinds."""

    kind: str
    """Name of a shell module `h_<kind>.sh` of agent/change/sh."""
    args: tuple[str, ...]
    """The first names it (a path, a unit, a key); no control characters."""

    def __post_init__(self) -> None:
        """Refuse what could not stand on one line."""
        if not self.args or any(char < " " or char == "\x7f" for arg in self.args for char in arg):
            raise ValueError(f"handle {self.kind}: arguments {self.args!r}")


@dataclass(frozen=True, slots=True)
class Act:
    """What makes written state effective, once a transaction, and again after an undo."""

    verb: str
    """A shell function `act_<verb>` of agent/change/sh, e.g. `reload`, `restart`."""
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is wanted of one target, from a control's `fix` or an advisory's remediation."""

    id: str
    """Unique in a plan; letters, digits, `.`, `_`, `-`."""
    resource: str
    want: Any
    """As the resource type defines it; variables of hardening.yaml are filled in."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The other keys of `fix` (select, paths, names, via, context, plugin ...)."""
    target: str = ""
    """Inventory name of the host or database."""
    location: str = ""
    """Of the finding: a middleware instance's configuration file; empty for a system and a database."""
    control: str = ""
    """Control id, or the finding's check."""
    title: str = ""
    findings: tuple[str, ...] = ()
    """Keys of the findings that it closes."""
    risk: tuple[Risk, ...] = ()
    """The control's own; a step may add to it."""
    subject: Mapping[str, str] = field(default_factory=dict)
    """Of the instance: `user`, `version`, `exe`, `package`, `conf`, `home`, `base`; of a database: `engine`, `flavour`,
    `version`, `port`, `dbname`, `account` (the scan's own)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One value that would change, and how."""

    resource: str
    group: str
    """One of GROUPS."""
    name: str
    """What is changed: `PermitRootLogin`, `/etc/shadow`, `net.ipv4.ip_forward`."""
    before: str
    """Effective value now, secrets masked; `未设置` where there is none."""
    after: str
    write: str
    """POSIX sh, run as root in a subshell; may use the library's functions; exit code 0 or it is undone."""
    handles: tuple[Handle, ...] = ()
    """Everything that `write` and `acts` change."""
    source: str = ""
    """Where the value of now comes from (file:line, default, runtime)."""
    validate: str = ""
    """POSIX sh, run when all steps of the transaction are written and before anything is applied."""
    acts: tuple[Act, ...] = ()
    risk: tuple[Risk, ...] = ()
    irreversible: str = ""
    """Why it cannot be undone; empty: it can. Such steps make transactions of their own."""
    note: str = ""
    """What the operator should know."""
    confirm: str = ""
    """POSIX sh, run over the fresh login before it is confirmed, besides reading again; exit code 0 or it is undone."""

    @property
    def digest(self) -> str:
        """16 hex digits over what an approver approves: resource, group, name, before and after."""
        text = json.dumps([self.resource, self.group, self.name, self.before, self.after], ensure_ascii=False)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


class Why(StrEnum):
    """Why an item leads to no step."""

    DONE = "done"
    """It is so already."""
    MANUAL = "manual"
    """Only a person can do it."""
    UNSUPPORTED = "unsupported"
    """The target lacks what the change stands on, or this program cannot do it there."""
    UNSAFE = "unsafe"
    """Doing it would break what is declared or needed (the last way in, a service account)."""
    NO_FIX = "no-fix"
    """The vendor offers none, or no mirror has it."""
    ERROR = "error"
    """The state could not be read."""
    EXCLUDED = "excluded"
    """Accepted as an exception, not in the profile, not chosen, or not covered by the ticket."""

    @property
    def zh(self) -> str:
        """The word used in reports."""
        return {
            "done": "已符合",
            "manual": "需人工处理",
            "unsupported": "不支持自动处理",
            "unsafe": "有风险，未执行",
            "no-fix": "无补丁",
            "error": "状态无法读取",
            "excluded": "不在本次范围",
        }[self.value]


@dataclass(frozen=True, slots=True)
class Skip:
    """Why nothing is done for an item, in Chinese, for the plan and the report."""

    why: Why
    text: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What one item leads to: steps, or the reason for none."""

    item: Item
    steps: tuple[Step, ...] = ()
    skip: Skip | None = None


class TxState(StrEnum):
    """How a transaction stands, as its journal on the target says (or, before it was asked, our own)."""

    PLANNED = "planned"
    SENT = "sent"
    """Written down before the target was touched: whatever happens to us, it is asked afterwards."""
    ABSENT = "absent"
    """The target knows nothing of it: it never began."""
    OPENED = "opened"
    """Begun and never armed: nothing was changed."""
    ARMED = "armed"
    CONFIRMED = "confirmed"
    UNDOING = "undoing"
    UNDONE = "undone"
    BROKEN = "broken"
    """The undo could not put everything back; it is tried again at boot and when asked."""
    UNFINISHED = "unfinished"
    """What cannot be undone was begun and did not come to its end: a fresh look tells how far it came."""
    UNKNOWN = "unknown"
    """The target was not reached since."""

    @property
    def settled(self) -> bool:
        """Whether nothing will happen to it by itself any more."""
        return self in {TxState.ABSENT, TxState.OPENED, TxState.CONFIRMED, TxState.UNDONE, TxState.UNFINISHED}


class Closure(StrEnum):
    """How the mending of a finding ended."""

    FIXED = "已修复"
    """A fresh look no longer finds it."""
    REBOOT = "待重启"
    ACCEPTED = "例外"
    NO_FIX = "无补丁"
    UNVERIFIED = "无法验证"
    ROLLED_BACK = "回退"
    LEFT = "未处理"
    """Manual, excluded, unsupported or unsafe; `reason` says which."""
    FAILED = "未修复"
    """Changed and confirmed, and a fresh look still finds it."""
