"""Each case is a data file: what a section answered, and the fact that it must become."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.observe.host import auth, debian, kernel, policy, rpm, system, units

CASES = sorted((Path(__file__).parent / "cases").glob("*/*.yaml"))


def _files(text: str):
    return system.conf(text)[0]


def _reboot(case):
    base = system.pairs(case["base"])
    packages = debian.packages(case.get("dpkg", "")) + rpm.packages(case.get("rpm", ""))
    installed = kernel.kernels(packages, base)
    return {"kernels": installed, "required": kernel.reboot(packages, base, installed)}


READERS: dict[str, Any] = {
    "accounts": lambda case: auth.accounts(case["given"], case["now"]),
    "audit": lambda case: policy.audit(case["given"]),
    "cron": lambda case: policy.cron(_files(case["given"])),
    "dpkg": lambda case: debian.packages(case["given"]),
    "apt": lambda case: debian.pending(
        case["policy"], case["show"], case["sources"], debian.packages(case.get("dpkg", ""))
    ),
    "apt_age": lambda case: debian.lists_age(case["given"], case["now"]),
    "dnf": lambda case: rpm.pending(case["answers"], rpm.packages(case["rpm"])),
    "faillock": lambda case: auth.faillock(_files(case["given"])),
    "file": lambda case: system.modes(case["given"]),
    "firewall": lambda case: policy.firewall(case["given"], case["services"]),
    "listeners": lambda case: system.listeners(case["given"]),
    "login_defs": lambda case: system.login_defs(_files(case["given"])),
    "mount": lambda case: system.mount(case["given"]),
    "os": lambda case: {
        **system.os_release(_files(case["given"])),
        "family": system.family(system.os_release(_files(case["given"]))),
    },
    "pam": lambda case: auth.pam(_files(case["given"])),
    "pwquality": lambda case: auth.pwquality(_files(case["given"])),
    "reboot": _reboot,
    "rpm": lambda case: rpm.packages(case["given"]),
    "service": lambda case: units.service(case["given"]),
    "sshd": lambda case: auth.sshd(case["given"]),
    "stale": lambda case: system.stale(case["given"]),
    "sudoers": lambda case: auth.sudoers(_files(case["given"])),
    "sysctl": lambda case: system.sysctl(case["given"]),
    "time": lambda case: policy.time(case["given"], system.pairs(case["base"]), case["services"]),
}


def plain(value: Any) -> Any:
    """The value as YAML would write it; a dataclass's empty fields are left out."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {name: plain(one) for name, one in fields.items() if one not in ("", (), 0, None, False)}
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return value


def test_every_reader_has_a_case_and_every_case_a_reader():
    assert {path.parent.name for path in CASES} == set(READERS)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path):
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert plain(READERS[path.parent.name](case)) == case["expect"]
