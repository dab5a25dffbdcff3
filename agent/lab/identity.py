"""Who is who: keys, passwords, pins and the credentials file, made on this machine and never committed."""

from __future__ import annotations

import json
import secrets
import string
import threading
from pathlib import Path
from typing import Any

import yaml

from agent.lab.machines import Machine
from agent.lab.run import run, write

KEY_TYPES = (("ed25519", ()), ("ecdsa", ()), ("rsa", ("-b", "2048")))
"""Host keys as Debian makes them; RSA a little shorter, for speed."""


_REMEMBERING = threading.Lock()


def password(length: int = 24) -> str:
    """A random password with all four classes of characters."""
    alphabet = string.ascii_letters + string.digits + "-_.+=%@"
    while True:
        candidate = "".join(secrets.choice(alphabet) for _ in range(length))
        classes = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "-_.+=%@")
        if all(any(character in some for character in candidate) for some in classes):
            return candidate


_MAKING = threading.Lock()


def ops_key(folder: Path) -> Path:
    """The key with which the agent logs in to every host; kept between rounds."""
    path = folder / "keys" / "ops_ed25519"
    with _MAKING:  # hosts are made several at a time, and each wants it
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ops@lab", "-f", str(path))
    return path


def host_keys(folder: Path, name: str) -> dict[str, Path]:
    """A host's own keys by type; kept between rounds, so that pins stay good."""
    keys = {}
    for kind, options in KEY_TYPES:
        path = folder / "hostkeys" / name / f"ssh_host_{kind}_key"
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            run("ssh-keygen", "-q", "-t", kind, *options, "-N", "", "-C", f"root@{name}", "-f", str(path))
        keys[kind] = path
    return keys


def personalise(folder: Path, machine: Machine, root: Path) -> None:
    """Put keys and passwords into a mounted root."""
    for path in host_keys(folder, machine.name).values():
        target = root / "etc/ssh" / path.name
        # what is planted as a key readable by all keeps its mode
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
        write(target, path.read_bytes(), mode=mode)
        write(target.with_suffix(".pub"), path.with_suffix(".pub").read_bytes())
    public = ops_key(folder).with_suffix(".pub").read_text(encoding="utf-8")
    home = (root / "home/ops").stat()
    write(root / "home/ops/.ssh/authorized_keys", public, mode=0o600, owner=(home.st_uid, home.st_gid))
    made = {account: password() for account in machine.passwords}
    if made:
        lines = "".join(f"{account}:{secret}\n" for account, secret in made.items())
        run("chroot", str(root), "chpasswd", stdin=lines)
    for name in machine.secret_files:
        file = root / name.lstrip("/")
        status = file.stat()
        text = file.read_text(encoding="utf-8").replace("@SECRET@", password())
        write(file, text, mode=status.st_mode & 0o777, owner=(status.st_uid, status.st_gid))
    if "ops" in made:
        remember(folder, "hosts", machine.name, {"login": made["ops"], "sudo": made["ops"]})


def secrets_of(folder: Path) -> dict[str, dict[str, dict[str, str]]]:
    """What the lab that is up was given: {hosts: {NAME: {login, sudo}}, databases: {NAME: {password}}}."""
    path = folder / "keys" / "made.json"
    if not path.exists():
        return {"hosts": {}, "databases": {}}
    made: dict[str, dict[str, dict[str, str]]] = json.loads(path.read_text(encoding="utf-8"))
    return made


def remember(folder: Path, kind: str, name: str, entry: dict[str, str]) -> None:
    """Keep a secret (mode 0600) before it is set, so that the credentials file can be written again at any time."""
    with _REMEMBERING:
        made = secrets_of(folder)
        made[kind][name] = entry
        write(folder / "keys" / "made.json", json.dumps(made), mode=0o600)


def pins(folder: Path, machines: tuple[Machine, ...], *, strangers: tuple[str, ...] = ()) -> str:
    """known_hosts lines; of `strangers` a key that is not theirs."""
    lines = []
    for machine in machines:
        if machine.kind not in ("container", "vm"):
            continue
        name = f"{machine.name}.former" if machine.name in strangers else machine.name
        for path in host_keys(folder, name).values():
            kind, data = path.with_suffix(".pub").read_text(encoding="utf-8").split()[:2]
            lines.append(f"{machine.name},{machine.address} {kind} {data}")
    return "\n".join(lines) + "\n"


def merge_pins(path: Path, text: str) -> None:
    """Put the lab's pins into a known_hosts file; lines of other hosts stay."""
    mine = {line.split()[0] for line in text.splitlines()}
    kept = []
    if path.exists():
        kept = [line for line in path.read_text(encoding="utf-8").splitlines() if line.split(" ")[0] not in mine]
    write(path, "\n".join([*kept, text.rstrip("\n")]).lstrip("\n") + "\n")


def merge_credentials(
    path: Path, *, key: Path, hosts: dict[str, dict[str, str]], databases: dict[str, dict[str, str]]
) -> None:
    """Put what the lab made into the credentials file (mode 0600); other entries stay."""
    declared: dict[str, Any] = {}
    if path.exists():
        declared = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    declared["key"] = str(key)
    declared["hosts"] = {**declared.get("hosts", {}), **hosts}
    declared["databases"] = {**declared.get("databases", {}), **databases}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(path, yaml.safe_dump(declared, sort_keys=False, allow_unicode=True), mode=0o600)
