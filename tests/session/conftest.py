"""A real sshd on a loopback port, and servers that misbehave on purpose."""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.model.asset import Host, Inventory
from agent.session import FileCredentials, KnownHosts, SshSessions
from agent.session.hostkeys import HostKey

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/sbin")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _keygen(path: Path, kind: str = "ed25519") -> HostKey:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", path], check=True)
    return public(path)


def public(path: Path) -> HostKey:
    kind, encoded = path.with_suffix(".pub").read_text().split()[:2]
    return HostKey(kind, base64.b64decode(encoded))


@dataclass
class Server:
    """One sshd process, its keys, and what a workspace would hold of it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    key: HostKey

    @property
    def host(self) -> Host:
        return Host("target", "127.0.0.1", port=self.port, user=getpass.getuser())


@pytest.fixture(scope="session")
def start_sshd(tmp_path_factory) -> Iterator[Callable[..., Server]]:
    if SSHD is None:
        pytest.skip("no sshd on this machine (apt-get install openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where a root sshd insists on its empty folder
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str, kind: str = "ed25519") -> Server:
        folder = tmp_path_factory.mktemp("sshd")
        key = _keygen(folder / "host", kind)
        _keygen(folder / "user")
        shutil.copy(folder / "user.pub", folder / "authorized")
        port = _free_port()
        settings = [
            "ListenAddress=127.0.0.1",
            f"HostKey={folder / 'host'}",
            f"AuthorizedKeysFile={folder / 'authorized'}",
            f"PidFile={folder / 'pid'}",
            "UsePAM=no",
            "StrictModes=no",
            "PermitRootLogin=prohibit-password",
            "PasswordAuthentication=no",
            *options,
        ]
        argv = [SSHD, "-D", "-e", "-f", "/dev/null", "-p", str(port)]
        for setting in settings:
            argv += ["-o", setting]
        process = subprocess.Popen(argv, stderr=(folder / "log").open("wb"))
        started.append(process)
        until = time.monotonic() + 10
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return Server(folder, port, process, key)
            time.sleep(0.02)
        raise AssertionError((folder / "log").read_text())

    yield start
    for process in started:
        process.terminate()
        process.wait(5)


@pytest.fixture(scope="session")
def keygen() -> Callable[..., HostKey]:
    """Make a key pair: `keygen(path, kind)`."""
    return _keygen


@pytest.fixture
def free_port() -> int:
    """A loopback port on which nobody listens."""
    return _free_port()


@pytest.fixture(scope="session")
def sshd(start_sshd) -> Server:
    return start_sshd()


def write_credentials(folder: Path, text: str) -> FileCredentials:
    file = folder / "credentials.yaml"
    file.write_text(text)
    file.chmod(0o600)
    return FileCredentials(file)


@pytest.fixture
def workspace(tmp_path) -> Iterator[Callable[..., SshSessions]]:
    """Make SshSessions over hosts; `pins` is a list of (host, key)."""
    made: list[SshSessions] = []

    def make(*hosts: Host, key: Path | None = None, pins=(), text: str = "", databases=()) -> SshSessions:
        known = tmp_path / "known_hosts"
        for host, pin in pins:
            KnownHosts(known).pin(host, pin)
        lines = (f"key: {key}\n" if key else "") + text
        sessions = SshSessions(Inventory(hosts, tuple(databases)), write_credentials(tmp_path, lines), known)
        made.append(sessions)
        return sessions

    yield make
    for sessions in made:
        sessions.close()


@pytest.fixture
def opened(sshd, workspace):
    """A session to the real sshd."""
    sessions = workspace(sshd.host, key=sshd.folder / "user", pins=[(sshd.host, sshd.key)])
    with sessions.open(sshd.host, 20) as session:
        yield session


@pytest.fixture
def misbehaving() -> Iterator[Callable[[Callable[[socket.socket], None]], Host]]:
    """Start a TCP server whose manners are given as a function of the accepted socket."""
    over = threading.Event()
    listeners: list[socket.socket] = []

    def start(manners: Callable[[socket.socket], None]) -> Host:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while not over.is_set():
                    peer, _ = listener.accept()
                    threading.Thread(target=_treat, args=(manners, peer), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return Host("bad", "127.0.0.1", port=listener.getsockname()[1], user="ops")

    yield start
    over.set()
    for listener in listeners:
        listener.close()


def _treat(manners: Callable[[socket.socket], None], peer: socket.socket) -> None:
    with contextlib.suppress(OSError), peer:
        manners(peer)
