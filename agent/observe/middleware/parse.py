"""From the frames of the middleware's section to instances and subjects. Pure; hostile text cannot break it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from agent.model.facts import Instance, Reading, Subject
from agent.model.text import one_line
from agent.observe.middleware import nginx, redis, tomcat

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.model.facts import Package
    from agent.model.frames import Answer

_META = re.compile(r"mw\.(nginx|redis|tomcat)\.(\d+)\.meta")
_NEVER_EMPTY = ("nginx", "tomcat")
"""Kinds that cannot run without a configuration: an empty answer is none."""
_FAILED = 2
_DOTTED = re.compile(r"\d+(?:\.\d+)+")
_TABLES = {"nginx": nginx.table, "redis": redis.table, "tomcat": tomcat.table}
_FEATURES = {"nginx": nginx.features, "redis": redis.features, "tomcat": tomcat.features}

_Placed = TypeVar("_Placed", Instance, Subject)


def parse(
    answers: Mapping[str, Answer], target: str, packages: Sequence[Package]
) -> tuple[tuple[Instance, ...], tuple[Subject, ...]]:
    """Instances found on `target`, and a subject for each, in the same order.

    Args:
        answers: of the whole host script; other keys are passed over.
        target: inventory name.
        packages: installed ones; they give the version where the instance's program did not tell it.

    Returns:
        Subjects have the tables `process` and their kind's own; the latter is in `missing`, with the reason,
        when the configuration could not be read whole. `location` is the configuration file (Tomcat:
        CATALINA_BASE; Redis without a known file: `port PORT`), with `#PORT` or `#N` added where two share it.
    """
    owners = _owners(answers)
    upstream = {package.name: package.version for package in packages}
    found = []
    for key in sorted(answers, key=lambda each: (each.split(".")[:2], len(each), each)):
        hit = _META.fullmatch(key)
        if hit:
            found.append(_one(answers, hit.group(1), hit.group(2), owners, upstream, target))
    return _apart(found)


def unseen(answers: Mapping[str, Answer]) -> dict[str, str]:
    """What was there and not looked at, with the reason: instances in containers, unreadable configurations."""
    told = {}
    if "mw.ignored" in answers:
        counted = Counter(answers["mw.ignored"].text.split())
        names = "、".join(f"{one_line(name, 40)}×{count}" for name, count in sorted(counted.items()))
        told["mw.ignored"] = f"运行在容器内，未检查：{names}"
    for key, answer in answers.items():
        if key.startswith("mw.") and key.endswith(".config") and answer.rc:
            told[key] = one_line(answer.errors) or f"exit code {answer.rc}"
    return told


def _one(
    answers: Mapping[str, Answer],
    kind: str,
    number: str,
    owners: Mapping[str, str],
    upstream: Mapping[str, str],
    target: str,
) -> tuple[Instance, Subject, str]:
    base = f"mw.{kind}.{number}"
    meta = _meta(answers[f"{base}.meta"].text)

    def first(name: str) -> str:
        return one_line(meta.get(name, [""])[0])

    package = owners.get(first("owned"), "")
    version = first("version") or _upstream(upstream.get(package, ""))
    location = first("base" if kind == "tomcat" else "conf") or (
        f"port {first('port')}" if first("port") else "unknown"
    )
    config = answers.get(f"{base}.config")
    tables: dict[str, Mapping[str, str]] = {
        "process": {
            "user": first("user"),
            **({"version": version} if version else {}),
            "exe": first("exe"),
            "package": package,
            "listen": "\n".join(sorted(meta.get("listen", ()))),
            **({"workers": "\n".join(sorted(set(meta.get("worker", ()))))} if kind == "nginx" else {}),
        }
    }
    missing = {}
    features: frozenset[str] = frozenset()
    if config is None or config.rc or (kind in _NEVER_EMPTY and not config.text.strip()):
        missing[kind] = (one_line(config.errors) if config else "") or "configuration not read"
        missing["features"] = missing[kind]
    else:
        lines = [line.split("\t") for line in config.text.splitlines()]
        tables[kind] = _TABLES[kind](lines)
        features = _FEATURES[kind](lines)
    prefix = f"{base}.control."
    reads = {
        key.removeprefix(prefix): Reading(
            answer.text, answer.rc, one_line(answer.errors) or "the read failed" if answer.rc >= _FAILED else ""
        )
        for key, answer in answers.items()
        if key.startswith(prefix)
    }
    instance = Instance(
        kind=kind,
        location=location,
        version=version,
        exe=first("exe"),
        package=package,
        user=first("user"),
        pid=int(first("pid")) if first("pid").isdecimal() else 0,
    )
    subject = Subject(
        kind=kind,
        target=target,
        location=location,
        version=version,
        tables=tables,
        reads=reads,
        missing=missing,
        features=features,
    )
    port = next(iter(sorted(meta.get("listen", ()))), "").rpartition(" ")[2] or first("port")
    return instance, subject, port


def _apart(found: list[tuple[Instance, Subject, str]]) -> tuple[tuple[Instance, ...], tuple[Subject, ...]]:
    """Instances that share a configuration file get their port, else their turn, added to the location."""
    shared = Counter((instance.kind, instance.location) for instance, _, _ in found)
    used: set[tuple[str, str]] = set()
    instances, subjects = [], []
    for turn, (instance, subject, port) in enumerate(found, 1):
        location = instance.location
        if shared[instance.kind, location] > 1:
            location = f"{location}#{port or turn}"
            if (instance.kind, location) in used:
                location = f"{location}#{turn}"
        used.add((instance.kind, location))
        instances.append(_moved(instance, location))
        subjects.append(_moved(subject, location))
    return tuple(instances), tuple(subjects)


def _moved(thing: _Placed, location: str) -> _Placed:
    return replace(thing, location=location)


def _meta(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found.setdefault(key, []).append(value)
    return found


def _owners(answers: Mapping[str, Answer]) -> dict[str, str]:
    """Path to package: `nginx: /usr/sbin/nginx`, several packages joined by comma (the first counts)."""
    found: dict[str, str] = {}
    text = answers["mw.owners"].text if "mw.owners" in answers else ""
    for line in text.splitlines():
        names, colon, path = line.partition(": ")
        if colon and not names.startswith("diversion "):
            found.setdefault(path, names.split(",")[0].split(":")[0].strip())
    return found


def _upstream(version: str) -> str:
    """The dotted upstream part of a package's version: `5:7.0.15-1~deb12u1` is 7.0.15."""
    hit = _DOTTED.match(version.rpartition(":")[2])
    return hit.group() if hit else ""
