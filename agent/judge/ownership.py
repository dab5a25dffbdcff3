"""Decide who judges an instance: its package's advisories, or the product's own. Each instance is judged once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from agent.model.facts import DatabaseFacts, HostFacts, Instance, Package, Software

BACKPORTS = "发行版构建且主机未采集：修复可能已回移植"
"""Detail of a database whose package is not known: what its version says is rough."""
_MAKERS_OWN = re.compile(
    r"(mysql|percona)-(community-|commercial-|cluster-)?server(-(core|minimal|debug))?(-\d.*)?|MariaDB-(server|galera).*"
    r"|Percona-Server-server-\d+|postgresql\d+-server|mssql-server|mongodb-(org|enterprise)(-server|-mongos)?"
    r"|percona-server-mongodb-server|elasticsearch(-oss)?|oracle-database-\w+-\d+c|oracle-(xe|ee|se2?)-.*|dmdbms"
    r"|[Kk]ingbase.*|redis-stack-server|openresty|tengine"
)
"""Packages that makers ship from repositories of their own; no distribution's advisories speak of them."""
_SHARED_NAME = {"mysql-server", "percona-server"}
"""What distributions ship under a maker's name."""
_NGINX_ORG = re.compile(r"\.ngx\b|-\d+~(bullseye|bookworm|trixie|buster|stretch|focal|jammy|noble|bionic|xenial)$")
"""Versions of nginx.org's own packages, which are named as the distributions' are."""
_DISTRIBUTION = re.compile(r"debian|ubuntu|\+deb\d|\bred hat|\.el\d|\.oe\d|\.ky\d|\.an\d|\.uel\d", re.IGNORECASE)
_SERVERS = {
    "mysql": re.compile(r"(default-)?mysql-(community-|commercial-)?server.*"),
    "mariadb": re.compile(r"mariadb(-server(-core)?)?(-\d.*)?|MariaDB-server.*"),
    "postgresql": re.compile(r"postgresql(-\d+|\d*-server|-server)?"),
}
"""Server packages by flavour of database."""
_PLAIN_NGINX = 3
"""nginx has three numbers, OpenResty four (the first three are nginx's)."""


def makers_own(package: Package) -> bool:
    """Whether its maker built this package and no distribution answers for it: it is judged as a product."""
    if package.name == "nginx":
        return _NGINX_ORG.search(package.version) is not None
    return package.name not in _SHARED_NAME and _MAKERS_OWN.fullmatch(package.name) is not None


def products(host: HostFacts) -> tuple[Software, ...]:
    """Instances and software of a host that no distribution's package owns, each once, in the order observed."""
    own = {package.name: package for package in host.packages}

    def belongs(name: str) -> bool:
        return bool(name) and not (name in own and makers_own(own[name]))

    exposed = {one.pid for one in host.listeners if one.pid and not one.loopback}
    read = {(one.kind, one.pid): one.version for one in host.software if one.pid}
    found = [
        _named(_of(one, one.version or read.get((one.kind, one.pid), ""), listening=one.pid in exposed))
        for one in host.instances
        if not belongs(one.package) and (one.exe or one.kind == "tomcat")  # whose program is not seen may be anybody's
    ]
    ran = {(one.kind, one.pid) for one in host.instances}
    found += [
        _named(one)
        for one in host.software
        if not belongs(one.package) and not (one.pid and (one.kind, one.pid) in ran)
    ]
    once = {(one.kind, one.location, one.version): one for one in reversed(found)}
    return tuple(reversed(once.values()))


def _of(one: Instance, version: str, *, listening: bool) -> Software:
    return Software(one.kind, version, one.location, one.package, "process", one.pid, listening, one.exe)


def _named(one: Software) -> Software:
    """Forks under their own names: Valkey answers as Redis does, OpenResty and Tengine as nginx."""
    program = one.exe.rpartition("/")[2]
    if one.kind == "redis" and program.startswith("valkey"):
        return replace(one, kind="valkey")
    numbers = one.version.split(".")
    if one.kind != "nginx" or not numbers[0].isdecimal():
        return one
    if len(numbers) > _PLAIN_NGINX:
        return replace(one, version=".".join(numbers[:_PLAIN_NGINX]), detail=f"OpenResty {one.version}")
    return replace(one, kind="tengine") if int(numbers[0][:4]) > 1 else one


def database_product(database: DatabaseFacts, host: HostFacts | None) -> Software | None:
    """What a database is judged as; None when its version is not known.

    Args:
        database: what the server said of itself.
        host: of the host that it runs on; None when that was not observed.

    Returns:
        None too where a distribution's package owns its server (`database_owner`): that package is judged on the host.
    """
    if not database.version or database_owner(database, host):
        return None
    told = Software(database.flavour, database.version, database.target, how="sql", detail=database.build)
    unseen = host is None and _DISTRIBUTION.search(database.build)
    return replace(told, detail=BACKPORTS) if unseen else told


def database_owner(database: DatabaseFacts, host: HostFacts | None) -> str:
    """The distribution's package that a database's server belongs to; empty where none does, or nobody looked."""
    return _owner(database, host) if host is not None and database.version else ""


def _owner(database: DatabaseFacts, host: HostFacts) -> str:
    """By its live process, else by a package of an equal version."""
    own = {package.name: package for package in host.packages}
    live = [one for one in host.software if one.kind == database.flavour and one.how == "process"]
    same = [one for one in live if one.version and _equal(one.version, database.version)] or live
    if same:
        names = {one.package for one in same}
        names = {"" if name in own and makers_own(own[name]) else name for name in names}
        return names.pop() if len(names) == 1 else ""
    return _installed(database, host.packages)


def _installed(database: DatabaseFacts, packages: Iterable[Package]) -> str:
    """A server's package of the version that answered, where no process was seen (an ordinary user's eyes)."""
    pattern = _SERVERS.get(database.flavour)
    for package in packages:
        upstream = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", package.version)
        named = pattern is not None and pattern.fullmatch(package.name)
        if named and upstream and _equal(upstream[1], database.version) and not makers_own(package):
            return package.name
    return ""


def _equal(left: str, right: str) -> bool:
    return left == right or left.startswith(f"{right}.") or right.startswith(f"{left}.")
