"""Packages: an upgrade to a fixed version, through the host's own package manager.

fix: {resource: package, want: {openssl: 3.0.15-1~deb12u1, libssl3: 3.0.15-1~deb12u1}}
fix: {resource: package, want: {nginx: "1.20"}, upstream: true}

`want` maps binary packages to the lowest version that will do: on dpkg that of the source package, as advisories compare
it, on rpm `epoch:version-release`. With `upstream` it is the maker's version. Names that are not installed are passed over.

Every package of a transaction is queued by its step; all are then upgraded in one run of apt, dnf or yum, after that run
was simulated with fresh lists and its files were fetched. What would remove or downgrade anything is not done. Upgrades
are not taken back: a package's own scripts may have changed its data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.change.contract import Facts, FixError
from agent.change.resources.packages_state import NAME, Installed, State, at_least, parsed, short, upstream_at_least
from agent.model.change import Act, Item, Risk, Skip, Step, Why
from agent.model.frames import Answer

STALE = 24 * 3600
"""Seconds after which package lists may lack what the mirror has: what they offer is then not the last word."""
WAIT = 120
"""Seconds that another run of the package manager is waited for."""
ROOM = 200 * 1024
"""kB that must be free under /var and /."""
BOOT = 150 * 1024
"""kB that a further kernel needs under /boot."""
_WAY_IN = re.compile(
    r"openssh(?:-server|-sftp-server)?|sudo(?:-ldap)?|libpam\S*|pam|login|passwd|shadow-utils|util-linux|"
    r"libc6|libc-bin|glibc(?:-common)?|systemd(?:-sysv|-libs)?|libpam-systemd"
)
"""What a login stands on."""
_KERNEL = re.compile(r"linux-(?:image|modules)-.*|kernel(?:-(?:core|modules\S*|uek\S*|lt|ml|rt|default))?")
_KERNEL_DEB = re.compile(r"linux-(?:image|modules)-(?:unsigned-)?\d\S*")
_FLAVOUR = re.compile(r"linux-(?:image|modules)-(?:unsigned-)?\d[\d.+~]*(?:-[\d.]+)*-?")


class _NotPossibleError(Exception):
    """A package cannot be brought to what is wanted; carries the Skip."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.skip = Skip(why, text)


@dataclass(frozen=True, slots=True)
class _Upgrade:
    """One package that would be upgraded."""

    name: str
    now: str
    to: str
    """Offered version; empty when the lists must be refreshed first."""
    wanted: str
    kernel: bool


class Package:
    """package: `want` maps package names to versions; `upstream: true`, `wait`: seconds for the lock."""

    name = "package"
    library = ("packages", "packages_seen")

    def check(self, item: Item) -> None:
        """Raises FixError."""
        want = item.want
        if not isinstance(want, dict) or not want or not all(NAME.fullmatch(str(key)) for key in want):
            raise FixError("fix.want: write {openssl: 3.0.15-1~deb12u1}, package names to versions")
        if not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+~:_^-]{0,150}", str(each)) for each in want.values()):
            raise FixError("fix.want: a version is letters, digits and . + ~ : _ ^ -")
        if not isinstance(item.options.get("upstream", False), bool):
            raise FixError("fix.upstream: true or false")

    def read(self, item: Item, facts: Facts) -> str:
        """What is installed, offered, held, broken, and what the upgrade would do."""
        del facts
        return "pk_read " + " ".join(str(name) for name in item.want)

    def plan(self, item: Item, answer: Answer, facts: Facts) -> tuple[Step, ...] | Skip:
        """One step a package; the first one, where dpkg was interrupted, finishes what it left."""
        del facts
        if item.location and item.subject and not item.subject.get("package", ""):
            return Skip(Why.MANUAL, "该实例不是由软件包安装的：按其来源升级")
        state = parsed(answer.text)
        if not state.manager:
            return Skip(Why.UNSUPPORTED, "没有 apt、dnf 或 yum")
        if not state.total:
            return Skip(Why.ERROR, "软件包数据库无法读取")
        if not any(state.of(str(name)) for name in item.want):
            return Skip(Why.MANUAL, "所列软件包均未安装：按其来源升级") if item.options.get("upstream") else ()
        return self._steps(item, state)

    def _steps(self, item: Item, state: State) -> tuple[Step, ...] | Skip:
        if doubled := _doubled(item, state):
            return Skip(
                Why.MANUAL, f"上次升级中断，同一软件包有两个版本：{short(doubled)}；先人工执行 dnf remove --duplicates"
            )
        upgrades: dict[str, _Upgrade] = {}
        refused: list[tuple[str, Skip]] = []
        for name, wanted in item.want.items():
            try:
                found = _Wanted(item, state, str(name), str(wanted)).upgrade()
            except _NotPossibleError as error:
                refused.append((str(name), error.skip))
                continue
            if found:
                upgrades.setdefault(found.name, found)
        halfway = any(one.status != "ii" for name in item.want for one in state.of(str(name)))
        repair = (_repair(item, state),) if state.broken and (upgrades or halfway) else ()
        if repair and not upgrades:
            return repair
        if not upgrades:
            worst = next(
                (skip for _, skip in refused if skip.why is not Why.NO_FIX), refused[0][1] if refused else None
            )
            return worst or ()
        if skip := next(_refusals(state, list(upgrades.values())), None):
            return skip
        notes = _notes(item, state, upgrades, refused)
        return (*repair, *(_step(item, state, one, notes) for one in upgrades.values()))


class _Wanted:
    """One package of an item."""

    def __init__(self, item: Item, state: State, name: str, wanted: str) -> None:
        self.item, self.state, self.name, self.wanted = item, state, name, wanted
        self.kernel = bool(_KERNEL.fullmatch(name))

    def enough(self, version: str) -> bool:
        """Whether a version of ours will do."""
        if self.item.options.get("upstream"):
            return upstream_at_least(version, self.wanted)
        return at_least(self.state.manager, version, self.wanted)

    def upgrade(self) -> _Upgrade | None:
        """What is to be done; None when it is so already. Raises _NotPossibleError."""
        there = self.state.of(self.name)
        if not there or self._done(there):
            return None
        name, now = self.name, min(there, key=lambda one: (self.enough(self._own(one)), one.version)).version
        if _KERNEL_DEB.fullmatch(name):
            name, now = self._meta()
        if held := self.state.held(name):
            raise _NotPossibleError(Why.UNSAFE, f"{name} {held}，未升级：请先由负责人解除")
        return _Upgrade(name, now, self._offer(name), self.wanted, self.kernel)

    def _own(self, one: Installed) -> str:
        return one.version if self.item.options.get("upstream") else one.source

    def _done(self, there: list[Installed]) -> bool:
        if not self.kernel:
            return all(self.enough(self._own(one)) for one in there)
        if _KERNEL_DEB.fullmatch(self.name):  # a newer kernel is another package, of the same flavour
            flavour = _FLAVOUR.sub("", self.name)
            there = [
                one
                for one in self.state.installed
                if _KERNEL_DEB.fullmatch(one.name) and _FLAVOUR.sub("", one.name) == flavour and one.status == "ii"
            ]
        return any(self.enough(self._own(one)) for one in there)

    def _meta(self) -> tuple[str, str]:
        """The metapackage that brings newer kernels of this flavour, and its version."""
        flavour = _FLAVOUR.sub("", self.name)
        for meta, kernels in self.state.metas.items():
            if any(_FLAVOUR.sub("", kernel) == flavour for kernel in kernels) and (there := self.state.of(meta)):
                return meta, there[0].version
        raise _NotPossibleError(Why.MANUAL, f"{self.name} 没有内核元软件包（linux-image-{flavour}）：请人工安装新内核")

    def _offer(self, name: str) -> str:
        """The version that the sources offer and that will do; empty when their lists are too old to tell."""
        state = self.state
        offer = state.offers.get(name)
        age, count = state.lists
        if offer and self.enough(self._as_compared(name, offer.candidate)):
            return offer.candidate
        if offer and offer.highest != offer.candidate and self.enough(self._as_compared(name, offer.highest)):
            raise _NotPossibleError(
                Why.UNSAFE, f"{name} 被优先级（preferences）固定在 {offer.candidate}，软件源有 {offer.highest}"
            )
        if not count or age > STALE:
            return ""
        only = f"镜像只有 {offer.candidate}" if offer else "镜像没有更新的版本"
        raise _NotPossibleError(Why.NO_FIX, f"{name} {only}，需要 {self.wanted} 或更新")

    def _as_compared(self, name: str, version: str) -> str:
        return version if self.item.options.get("upstream") else self.state.sources.get((name, version), version)


def _doubled(item: Item, state: State) -> list[str]:
    """Packages that an interrupted rpm transaction left in two versions."""
    if state.manager == "apt":
        return []
    names = [str(name) for name in item.want if not _KERNEL.fullmatch(str(name))]
    every = {name: [(one.version, one.arch) for one in state.of(name)] for name in names}
    return [name for name, there in every.items() if len({arch for _, arch in there}) < len(set(there))]


def _refusals(state: State, upgrades: list[_Upgrade]) -> Iterator[Skip]:
    """Reasons to leave all of it alone, the weightiest first."""
    if state.unmet and not state.broken:
        yield Skip(Why.MANUAL, f"软件包依赖关系已损坏，先人工修复：{short(state.unmet)}")
    if state.unended:
        yield Skip(Why.MANUAL, "上次 yum 事务未完成，先人工执行 yum-complete-transaction")
    gone = [name for what, name, _, _ in state.sim if what == "remove"]
    down = [f"{name} {old} → {new}" for what, name, old, new in state.sim if what == "downgrade"]
    if gone:
        yield Skip(Why.UNSAFE, f"升级会移除：{short(gone)}")
    if down:
        yield Skip(Why.UNSAFE, f"升级会降级：{short(down)}")
    for where, least in (("/var", ROOM), ("/", ROOM), ("/boot", BOOT if any(one.kernel for one in upgrades) else 0)):
        if state.space.get(where, least) < least:
            yield Skip(Why.UNSAFE, f"{where} 可用空间只有 {state.space[where] // 1024} MB，少于 {least // 1024} MB")
    if all(one.to for one in upgrades) and not state.broken:
        yield from _unmet(state, upgrades)


def _unmet(state: State, upgrades: list[_Upgrade]) -> Iterator[Skip]:
    """What a simulation on fresh lists complained of."""
    if state.errors:
        yield Skip(Why.UNSAFE, f"模拟升级未通过：{short(state.errors)}")
    skipped = [name for what, name, _, _ in state.sim if what == "skip"]
    moved = {name for what, name, _, _ in state.sim if what in {"upgrade", "new"}}
    if skipped and not any(one.name in moved for one in upgrades):
        yield Skip(Why.UNSAFE, f"依赖不满足，软件包管理器会跳过：{short(skipped)}")


def _notes(item: Item, state: State, upgrades: dict[str, _Upgrade], refused: list[tuple[str, Skip]]) -> str:
    """What the operator should know of the whole item."""

    def said() -> Iterator[str]:
        along = [
            f"{name} {new}" for what, name, _, new in state.sim if what in {"new", "upgrade"} and name not in upgrades
        ]
        if along:
            yield f"一并安装：{short(along)}"
        for name, skip in refused:
            yield f"不含 {name}：{skip.text}"
        age, count = state.lists
        if not count or age > STALE:
            yield f"软件包列表已 {age // 86400} 天未刷新，执行时先刷新" if count else "没有软件包列表，执行时先刷新"
        if not all(one.to for one in upgrades.values()):
            yield "刷新后若仍无所需版本，则不升级并报告"
        if state.busy:
            yield f"软件包管理器正被占用（{state.busy}），执行时最多等待 {int(item.options.get('wait', WAIT))} 秒"
        if state.unsimulated:
            yield "未逐项模拟，执行前模拟"
        if any(one.kernel for one in upgrades.values()):
            yield "新内核只安装，不重启：重启须凭甲方书面申请"

    return "；".join(said())


def _risk(item: Item, name: str, *, kernel: bool) -> tuple[Risk, ...]:
    more = [Risk.REBOOT] if kernel else []
    if _WAY_IN.fullmatch(name):
        more.append(Risk.LOCKOUT)
    return tuple(dict.fromkeys((*item.risk, *more)))


def _step(item: Item, state: State, one: _Upgrade, notes: str) -> Step:
    along = [name for what, name, *_ in state.sim if what in {"upgrade", "new"}]
    risk = dict.fromkeys(risk for name in (one.name, *along) for risk in _risk(item, name, kernel=one.kernel))
    return Step(
        "package",
        "packages",
        one.name,
        one.now,
        f"{one.wanted} 或更新",
        f"pk_want {one.name} {one.now}",
        source=f"{state.manager} 候选 {one.to}" if one.to else state.manager,
        validate=f"pk_ready {int(item.options.get('wait', WAIT))}",
        acts=(Act("packages"),),
        risk=tuple(risk),
        irreversible=f"软件包升级不回退：{one.name} {one.now} → {one.to or f'{one.wanted} 或更新'}",
        note=notes,
        confirm="pk_way_in",
    )


def _repair(item: Item, state: State) -> Step:
    """Finish what an interrupted dpkg left, before anything else."""
    return Step(
        "package",
        "packages",
        "dpkg --configure -a",
        f"上次安装中断，{len(state.broken)} 个软件包未配置完成：{short(sorted(state.broken))}",
        "全部配置完成",
        f"pk_configure {int(item.options.get('wait', WAIT))}",
        source="dpkg --audit",
        risk=_risk(item, "", kernel=False),
        irreversible="中断的安装只能做完，不能回退",
        confirm="pk_way_in",
    )


RESOURCES = (Package(),)
