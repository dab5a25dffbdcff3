"""Tomcat: element lines (`xml.awk`) to the table `tomcat`; its keys are listed in docs/controls.md."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHORT = 18
"""Least length of a password, by the contract's undertaking."""
SAMPLES = ("ROOT.default", "docs", "examples", "host-manager", "manager", "sample", "tomcat-docs")
"""Applications that come with Tomcat and do not belong on a live system."""


class _Config:
    """Elements (path, attributes) and texts of each file."""

    def __init__(self, lines: Sequence[Sequence[str]]) -> None:
        self.elements: dict[str, list[tuple[str, dict[str, str]]]] = {}
        self.texts: dict[str, list[tuple[str, str]]] = {}
        self.applications: set[str] = set()
        name = ""
        for line in lines:
            kind, rest = line[0], line[1:]
            if kind == "F":
                name = rest[0].rpartition("/")[2] if rest else ""
                self.elements.setdefault(name, [])
            elif kind == "E" and rest:
                pairs = (each.partition("=") for each in rest[1:])
                self.elements.setdefault(name, []).append(
                    (rest[0], {key: html.unescape(value) for key, _, value in pairs})
                )
            elif kind == "T" and len(rest) > 1:
                self.texts.setdefault(name, []).append((rest[0], rest[1]))
            elif kind == "X":
                self.elements.setdefault(f"{name}!{rest[0] if rest else ''}", [])
            elif kind == "A" and rest:
                self.applications.add(rest[0].removeprefix("="))

    def named(self, file: str, tag: str) -> list[dict[str, str]]:
        return [attributes for path, attributes in self.elements.get(file, ()) if path.rpartition("/")[2] == tag]

    def classed(self, tag: str, name: str) -> list[dict[str, str]]:
        return [each for each in self.named("server.xml", tag) if each.get("className", "").rpartition(".")[2] == name]


def _shown(items: Sequence[dict[str, str]], names: Sequence[str]) -> str:
    return "\n".join(" ".join(f"{name}={item[name]}" for name in names if name in item) for item in items)


def table(lines: Sequence[Sequence[str]]) -> dict[str, str]:
    """Attributes of server.xml, counts of tomcat-users.xml, deployed applications and web.xml's settings."""
    config = _Config(lines)
    if "server.xml!doctype" in config.elements:
        # a DTD may include what we did not follow: then nothing of server.xml is said at all
        return _users(config) | _applications(config) | _web(config)
    return _server(config) | _users(config) | _applications(config) | _web(config)


def _server(config: _Config) -> dict[str, str]:
    server = (config.named("server.xml", "Server") or [{}])[0]
    connectors = config.named("server.xml", "Connector")
    ajp = [each for each in connectors if "ajp" in each.get("protocol", "").lower()]
    hosts = config.named("server.xml", "Host")
    realms = config.classed("Realm", "LockOutRealm")
    return {
        "server.port": server.get("port", "8005"),
        "server.shutdown": server.get("shutdown", "SHUTDOWN"),
        "connectors": _shown(
            connectors,
            (
                "protocol",
                "port",
                "address",
                "SSLEnabled",
                "secretRequired",
                "server",
                "xpoweredBy",
                "allowTrace",
                "maxPostSize",
                "connectionTimeout",
            ),
        ),
        "ajp": str(len(ajp)),
        "accesslogvalve": str(len(config.classed("Valve", "AccessLogValve"))),
        "accesslogvalve.pattern": "\n".join(
            each.get("pattern", "common") for each in config.classed("Valve", "AccessLogValve")
        ),
        "errorreportvalve": _shown(config.classed("Valve", "ErrorReportValve"), ("showReport", "showServerInfo")),
        "lockoutrealm": str(len(realms)),
        "lockoutrealm.failurecount": "\n".join(each.get("failureCount", "5") for each in realms),
        "lockoutrealm.lockouttime": "\n".join(each.get("lockOutTime", "300") for each in realms),
        "autodeploy": "\n".join(each.get("autoDeploy", "true") for each in hosts),
        "tls.protocols": "\n".join(
            each.get("protocols") or each.get("sslEnabledProtocols", "")
            for each in (*config.named("server.xml", "SSLHostConfig"), *connectors)
            if each.get("protocols") or each.get("sslEnabledProtocols")
        ),
    }


def _users(config: _Config) -> dict[str, str]:
    for each in config.named("server.xml", "Resource"):
        if (
            each.get("name") == "UserDatabase"
            and each.get("pathname", "conf/tomcat-users.xml") != "conf/tomcat-users.xml"
        ):
            return {}  # the users lie in a file that was not read: their keys are missing, never zero
    users = config.named("tomcat-users.xml", "user")
    lengths = [int("".join(filter(str.isdecimal, each.get("password", ""))) or 0) for each in users]
    return {
        "users": str(len(users)),
        "users.weak": str(sum(each.get("weak") == "yes" for each in users)),
        "users.short": str(sum(length < _SHORT for length in lengths)),
        "users.manager": str(
            sum("manager" in each.get("roles", "") or "admin" in each.get("roles", "") for each in users)
        ),
        "users.names": "\n".join(sorted(each.get("username") or each.get("name", "") for each in users)),
    }


def _applications(config: _Config) -> dict[str, str]:
    return {
        "webapps": "\n".join(sorted(config.applications)),
        "webapps.samples": "\n".join(sorted(config.applications & set(SAMPLES))),
    }


def _web(config: _Config) -> dict[str, str]:
    if "web.xml" not in config.elements:
        return {}
    texts = config.texts.get("web.xml", [])
    found = {"listings": "false", "readonly": "true", "session-timeout": "30", "http-only": "true"}
    name = ""
    for path, text in texts:
        tag = path.rpartition("/")[2]
        if tag == "param-name":
            name = text
        elif tag == "param-value" and name in {"listings", "readonly"}:
            found[name] = text.lower()
        elif tag in {"session-timeout", "http-only"}:
            found[tag] = text
    found["error-pages"] = str(sum(path.endswith(("/error-page/error-code", "/exception-type")) for path, _ in texts))
    return found


def features(lines: Sequence[Sequence[str]]) -> frozenset[str]:
    """`tls` when a connector speaks TLS, `users` when tomcat-users.xml names any."""
    config = _Config(lines)
    tls = any(each.get("SSLEnabled", "").lower() == "true" for each in config.named("server.xml", "Connector"))
    named = {"tls": tls, "users": bool(config.named("tomcat-users.xml", "user"))}
    return frozenset(name for name, there in named.items() if there)
