"""From a host's answer to its facts: pure, so that a sealed answer can be judged again at any time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from agent.model.errors import UnreachedError
from agent.model.facts import HostFacts, Package, PendingUpdate, Reading, Subject
from agent.model.frames import Answer, split
from agent.model.text import one_line
from agent.observe import middleware, software
from agent.observe.host import auth, debian, policy, rpm, system, units
from agent.observe.host.compose import PREFIX
from agent.observe.host.kernel import kernels, reboot
from agent.observe.host.payload import unpack
from agent.observe.host.reader import Reader, reason


def _now(base: Mapping[str, tuple[str, ...]]) -> int | None:
    stamp = base.get("now", ("",))[0]
    return int(stamp) if re.fullmatch(r"[0-9]{9,11}", stamp) else None


def _features(base: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Words of docs/controls.md, from the programs that are there."""
    has = set(base.get("has", ()))
    words = {
        "auditctl": "auditd", "rsyslogd": "rsyslog", "crond": "cron", "firewall-cmd": "firewalld", "nft": "nftables",
        "apt-cache": "apt", "yum": "dnf", "containerd": "docker", "podman": "docker", "dpkg-query": "dpkg",
        "chronyc": "chrony", "ntpq": "ntp", "getenforce": "selinux", "systemctl": "",
    }  # fmt: skip
    if "yum" in has and "dnf" not in has:
        words["yum"] = "yum"
        has.add("dnf")
    return frozenset(word for word in (words.get(one, one) for one in has) if word)


def _settings(reader: Reader, base: Mapping[str, tuple[str, ...]]) -> system.Files:
    """Fill the tables of the system; return its text files."""
    text = reader.text("conf")
    files, unread = system.conf(text or "")
    why = reader.unseen.get("conf", "")
    for path in unread:
        reader.unseen[f"conf {path}"] = "exists and could not be read"
    readers: dict[str, tuple[Callable[[system.Files], dict[str, str]], str]] = {
        "os": (system.os_release, "/etc/os-release"),
        "login_defs": (system.login_defs, "/etc/login.defs"),
        "pwquality": (auth.pwquality, "/etc/security/pwquality.conf"),
        "faillock": (auth.faillock, "/etc/security/faillock.conf"),
        "pam": (auth.pam, "/etc/pam.d/"),
        "sudoers": (auth.sudoers, "/etc/sudoers"),
        "cron": (policy.cron, "/etc/cron"),
    }
    for name, (read, path) in readers.items():
        closed = [one for one in unread if one.startswith(path)]
        if why or closed:
            reader.missing[name] = why or f"{closed[0]} could not be read"
        else:
            reader.tables[name] = read(files)
    if "pam" not in reader.missing and not reader.tables["pam"]:
        for name in ("pwquality", "faillock"):
            reader.tables.pop(name, None)
            reader.missing.setdefault(name, "no PAM configuration was found")
    reader.table("sysctl", "sysctl", system.sysctl)
    reader.table("sshd", "sshd", auth.sshd)
    reader.table("mount", "mount", system.mount)
    reader.table("file", "file", system.modes)
    reader.table("setuid", "setuid", system.modes)
    reader.table("listener", "ss", system.reachable)
    reader.table("audit", "audit", policy.audit)
    reader.table("service", "service", units.service)
    services = reader.tables.get("service", {})
    reader.table("firewall", "firewall", lambda said: policy.firewall(said, services))
    reader.table("time", "time", lambda said: policy.time(said, base, services))
    for key, program in (("sshd", "sshd"), ("audit", "auditctl"), ("service", "systemd")):
        if program not in base.get("has", ()):
            reader.excuse(key)
    return files


def _packages(reader: Reader, base: Mapping[str, tuple[str, ...]]) -> tuple[Package, ...]:
    has = base.get("has", ())
    found: tuple[Package, ...] = ()
    if "dpkg-query" in has:
        found += reader.value("dpkg", debian.packages) or ()
    if "rpm" in has:
        found += reader.value("rpm", rpm.packages) or ()
    if not {"dpkg-query", "rpm"} & set(has):
        reader.unseen["packages"] = "neither dpkg nor rpm is there"
    return found


def _pending(
    reader: Reader, base: Mapping[str, tuple[str, ...]], packages: tuple[Package, ...]
) -> tuple[tuple[PendingUpdate, ...], float | None]:
    """Pending updates and the age of the lists (days), of the manager that the host lives by."""
    has, now = base.get("has", ()), _now(base)
    managers = {one.manager for one in packages}
    found: tuple[PendingUpdate, ...] = ()
    ages: list[float | None] = []
    rpm_host = "rpm" in managers and {"dnf", "yum"} & set(has)
    if "apt-cache" in has and "dpkg" in managers:
        sources, said = reader.text("apt-sources"), reader.text("apt-policy")
        show = reader.text("apt-show")
        if sources is not None and not debian.releases(sources) and not rpm_host:
            reader.unseen["apt-policy"] = "the host has no package lists"
        if said and said.strip() and not (show or "").strip():
            reader.unseen["apt-show"] = "apt names updates and says nothing of them"
        if None not in (sources, said, show):
            found += debian.pending(said or "", show or "", sources or "", packages)
        age = reader.value("apt-age", lambda text: debian.lists_age(text, now))
        ages += [age] if age is not None or not rpm_host else []
    if rpm_host:
        texts = {name: reader.text(f"dnf-{name}") for name in ("list", "cves", "check")}
        found += rpm.pending({name: text for name, text in texts.items() if text is not None}, packages)
        ages.append(reader.value("dnf-age", lambda text: rpm.lists_age(text + "\n1 indexes", now)))
    elif not ages:
        reader.unseen["updates"] = "no package manager that lists updates"
    return found, None if None in ages or not ages else max(age for age in ages if age is not None)


def _readings(answers: Mapping[str, Answer]) -> dict[str, Reading]:
    return {
        key.removeprefix(PREFIX): Reading(answer.text.strip("\n"), answer.rc, reason(answer))
        for key, answer in answers.items()
        if key.startswith(PREFIX)
    }


def parse(target: str, stdout: bytes, stderr: bytes, nonce: str, banner: str = "") -> HostFacts:
    """Facts of one answer.

    Raises:
        UnreachedError: `garbled` or `broken-off` (see observe.frames.split).
    """
    answers = split(stdout, stderr, nonce)
    reader = Reader(answers)
    base = system.pairs(reader.text("base") or "")
    if "kernel" not in base:
        reader.unseen.setdefault("base", "the host does not name its kernel")
    if "base" in reader.unseen:
        reader.missing["features"] = reader.unseen["base"]
    _settings(reader, base)
    packages = _packages(reader, base)
    pending, age = _pending(reader, base, packages)
    accounts, unread = reader.value("users", lambda text: auth.accounts(text, _now(base))) or ((), ())
    for path in unread:
        reader.unseen[f"users {path}"] = "could not be read"
    release = reader.tables.get("os", {})
    installed = kernels(packages, base)
    stale = reader.value("stale", system.stale) or ()
    listeners = reader.value("ss", system.listeners) or ()
    instances, subjects = middleware.parse(answers, target, packages)
    reader.unseen.update(middleware.unseen(answers) | software.unseen(answers))
    own = Subject(
        kind="linux",
        target=target,
        family=system.family(release),
        version=release.get("VERSION_ID", ""),
        tables=reader.tables,
        reads=_readings(answers),
        missing=reader.missing,
        features=_features(base),
    )
    return HostFacts(
        target=target,
        os_id=release.get("ID", ""),
        os_version=own.version,
        os_name=release.get("PRETTY_NAME", "") or release.get("NAME", ""),
        family=own.family,
        kernel=base.get("kernel", ("",))[0],
        kernels=installed,
        packages=packages,
        pending=pending,
        lists_age_days=age,
        listeners=listeners,
        accounts=accounts,
        instances=instances,
        reboot_required=reboot(packages, base, installed),
        stale_libraries=stale,
        subjects=(own, *subjects),
        unseen=reader.unseen,
        banner=one_line(banner),
        software=software.parse(answers, packages, listeners, instances),
    )


def facts(target: str, payload: bytes) -> HostFacts:
    """Facts of a sealed payload.

    Raises:
        UnreachedError: `garbled` or `broken-off`.
    """
    sealed = unpack(payload)
    try:
        return parse(target, sealed.result.stdout, sealed.result.stderr, sealed.nonce, sealed.banner)
    except UnreachedError as error:
        error.where = target
        raise
