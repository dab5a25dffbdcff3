"""Pure readers of the system's sections: each takes a section's cleaned text and gives a value."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.model.facts import Listener

Files = Mapping[str, tuple[str, ...]]
"""Path to its lines, comments and empty lines left out."""

_FAMILY = {
    "debian": "debian",
    "ubuntu": "ubuntu",
    "rhel": "rhel",
    "centos": "rhel",
    "rocky": "rhel",
    "almalinux": "rhel",
    "ol": "rhel",
    "openeuler": "openeuler",
    "kylin": "kylin",
    "uos": "uos",
    "uniontech": "uos",
    "uniontechos": "uos",
    "anolis": "anolis",
}


def pairs(text: str) -> dict[str, tuple[str, ...]]:
    """`key=value` lines; a repeated key keeps every value."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            found.setdefault(key.strip(), []).append(value.strip())
    return {key: tuple(values) for key, values in found.items()}


def conf(text: str) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Text files by path, and the paths that exist and could not be read."""
    found: dict[str, list[str]] = {}
    unread = []
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("@"):
            lines = found.setdefault(line[1:], [])
        elif line.startswith("!"):
            unread.append(line[1:])
        elif line.startswith(" "):
            lines.append(line[1:])
    return {path: tuple(body) for path, body in found.items()}, tuple(unread)


def os_release(files: Files) -> dict[str, str]:
    """/etc/os-release unquoted; where it is missing (CentOS 6), what /etc/redhat-release says."""
    lines = files.get("/etc/os-release") or files.get("/usr/lib/os-release") or ()
    table = {}
    for line in lines:
        key, equals, value = line.strip().partition("=")
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        if equals and re.fullmatch(r"[A-Z0-9_]+", key):
            table[key] = value
    if not table and files.get("/etc/redhat-release"):
        name = files["/etc/redhat-release"][0].strip()
        version = re.search(r"\d+(?:\.\d+)*", name)
        identity = "centos" if name.lower().startswith("centos") else "rhel"
        table = {"ID": identity, "NAME": name, "PRETTY_NAME": name, "VERSION_ID": version[0] if version else ""}
    return table


def family(release: Mapping[str, str]) -> str:
    """Family of model.facts.Subject from ID, else the first known of ID_LIKE; empty when unknown."""
    for identity in (release.get("ID", ""), *release.get("ID_LIKE", "").split()):
        known = _FAMILY.get(identity.lower())
        if known:
            return known
    return ""


def login_defs(files: Files) -> dict[str, str]:
    """/etc/login.defs: key to value, the last one wins."""
    table = {}
    for line in files.get("/etc/login.defs", ()):
        key, *rest = line.split(None, 1)
        table[key] = rest[0].strip().strip('"') if rest else ""
    return table


def sysctl(text: str) -> dict[str, str]:
    """Kernel settings from `PATH:VALUE` lines of /proc/sys; several lines of one file joined by newline."""
    table: dict[str, str] = {}
    for line in text.splitlines():
        path, colon, value = line.partition(":")
        _, mark, name = path.partition("/proc/sys/")
        if not colon or not mark:
            continue
        key = name.replace("/", ".")
        value = " ".join(value.split())
        table[key] = f"{table[key]}\n{value}" if key in table else value
    return table


def mount(text: str) -> dict[str, str]:
    """Mount point to options; the topmost of several at one point, since it hides the others."""
    table = {}
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) > 3:  # noqa: PLR2004 - device, point, type, options
            table[re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])] = fields[3]
    return {point: options for point, options in table.items() if point.isprintable()}


def modes(text: str) -> dict[str, str]:
    """Path to `mode owner group` from `stat -c '%a %U %G %n'`; the mode as four octal digits."""
    table = {}
    for line in text.splitlines():
        fields = line.split(" ", 3)
        if len(fields) > 3 and re.fullmatch(r"[0-7]{1,4}", fields[0]) and fields[3].startswith("/"):  # noqa: PLR2004 - columns
            table[fields[3]] = f"{fields[0].zfill(4)} {fields[1]} {fields[2]}"
    return table


def _socket(local: str) -> tuple[str, int] | None:
    address, colon, port = local.rpartition(":")
    # [0-9]{1,5}: int() refuses numbers of thousands of digits
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:  # noqa: PLR2004 - the highest port
        return None
    address = address.partition("%")[0].strip("[]").removeprefix("::ffff:")
    return {"*": "0.0.0.0"}.get(address, address), int(port)  # noqa: S104 - what ss prints, nothing is bound


def _hex_socket(local: str) -> tuple[str, int] | None:
    """Address and port as /proc/net writes them: words of the address in host order, little-endian."""
    address, _, port = local.partition(":")
    if not re.fullmatch(r"[0-9A-F]{8}(?:[0-9A-F]{24})?", address) or not re.fullmatch(r"[0-9A-F]{4}", port):
        return None
    words = [address[at : at + 8] for at in range(0, len(address), 8)]
    raw = b"".join(bytes.fromhex(word)[::-1] for word in words)
    if len(raw) == 4:  # noqa: PLR2004 - bytes of an IPv4 address
        return ".".join(str(byte) for byte in raw), int(port, 16)
    if raw[:12] == bytes(10) + b"\xff\xff":
        return ".".join(str(byte) for byte in raw[12:]), int(port, 16)
    known = {bytes(16): "::", bytes(15) + b"\x01": "::1"}
    return known.get(raw, ":".join(raw[at : at + 2].hex() for at in range(0, 16, 2))), int(port, 16)


def _listener(line: str) -> Listener | None:
    """One line: of ss (Netid State Recv-Q Send-Q Local ...), netstat (Proto Recv-Q Send-Q Local ...) or /proc/net."""
    fields = line.split() + [""] * 5
    proto = fields[1] if fields[0] == "proc" else fields[0]
    if not re.fullmatch(r"(?:tcp|udp)6?", proto):
        return None
    process, pid = "", 0
    if fields[0] == "proc":
        local = _hex_socket(fields[2])
    elif fields[1].isdigit():
        local = _socket(fields[3])
        if named := re.search(r"\s(\d{1,9})/(\S+)", line):
            process, pid = named[2].rstrip(":"), int(named[1])
    else:
        local = _socket(fields[4])
        if named := re.search(r'users:\(\("([^"]*)",pid=(\d{1,9})', line):
            process, pid = named[1], int(named[2])
    return Listener(proto[:3], local[0], local[1], process, pid) if local else None


def listeners(text: str) -> tuple[Listener, ...]:
    """Sockets of `ss -ltnup`, of netstat, or of /proc/net; sorted, each address, port and process once."""
    found = {one for one in map(_listener, text.splitlines()) if one}
    return tuple(sorted(found, key=lambda one: (one.proto, one.port, one.address, one.process, one.pid)))


def reachable(text: str) -> dict[str, str]:
    """`network` and `loopback`: who listens for others and for the host itself, a line each: `tcp/22 0.0.0.0 sshd`."""
    table: dict[str, list[str]] = {"network": [], "loopback": []}
    for one in listeners(text):
        line = f"{one.proto}/{one.port} {one.address} {one.process}".rstrip()
        table["loopback" if one.loopback else "network"].append(line)
    return {side: "\n".join(dict.fromkeys(lines)) for side, lines in table.items()}


def stale(text: str) -> tuple[str, ...]:
    """`process: file` of replaced programs and libraries that still run, sorted."""
    rows = (line.split("\t", 1) for line in text.splitlines() if "\t" in line)
    return tuple(sorted({f"{process}: {path}" for process, path in rows}))
