"""Servers that offer only SHA-1 (CentOS 6 and 7 of old): asyncssh, extra `legacy`.

Same pins, same deadline, same conversation as ssh.py; only the algorithms are
older. An event loop of its own runs in a thread; the rest of the agent stays
free of asyncio.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import warnings
from typing import Any

from cryptography.utils import CryptographyDeprecationWarning

from agent.model.asset import Host
from agent.model.errors import AgentError, UnreachedError
from agent.model.observation import Reason
from agent.model.ports import CredentialSource
from agent.model.text import one_line
from agent.session.deadline import Deadline
from agent.session.failure import explain
from agent.session.hostkeys import HostKey, KnownHosts, compare
from agent.session.legacy_stream import LegacyStream, Loop

_KEX = [
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group1-sha1",
]
_CIPHERS = ["aes128-ctr", "aes256-ctr", "aes192-ctr", "aes128-cbc", "aes256-cbc", "3des-cbc"]
_MACS = ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha1"]
_RSA = ["rsa-sha2-256", "rsa-sha2-512", "ssh-rsa"]
_KINDS = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"]


def _asyncssh() -> Any:  # noqa: ANN401 - an optional module without types of its own
    try:
        import asyncssh  # noqa: PLC0415 - an extra; most workspaces have no such server
    except ImportError as error:
        raise UnreachedError(
            Reason.UNSUPPORTED, "transport ssh-legacy needs asyncssh", remedy="pip install 'secops-agent[legacy]'"
        ) from error
    # That its algorithms are old is why this transport exists.
    warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning, module="asyncssh")
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL + 1)  # its messages quote the server
    return asyncssh


def _explain(error: Exception, doing: str, clock: Deadline) -> BaseException:
    asyncssh = _asyncssh()
    text = one_line(str(error), 200)
    if isinstance(error, AgentError):
        return error
    if isinstance(error, asyncssh.PermissionDenied):
        return UnreachedError(Reason.AUTH_FAILED, f"{doing}: the server refused the login")
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return UnreachedError(Reason.ALGORITHMS, f"{doing}: {text}")
    if isinstance(error, asyncssh.Error):
        return UnreachedError(Reason.BROKEN_OFF, f"{doing}: {text}")
    return explain(error, doing, clock)


class LegacyConnection:
    """One authenticated connection by asyncssh."""

    def __init__(self, loop: Loop, connection: Any) -> None:  # noqa: ANN401 - asyncssh has no types here
        self._loop, self._connection = loop, connection
        self.banner = "SSH-2.0-" + str(connection.get_extra_info("server_version", "")).removeprefix("SSH-2.0-")

    @property
    def alive(self) -> bool:
        """Whether the connection can take a further channel."""
        return not self._connection.is_closed()

    def start(self, line: str, clock: Deadline) -> LegacyStream:
        """Execute a command line without a terminal."""
        stream = LegacyStream(self._loop)
        work = self._connection.create_session(lambda: stream, line, encoding=None)
        try:
            self._loop.do(work, clock, "starting the shell")
        except Exception as error:
            raise _explain(error, "starting the shell", clock) from error
        return stream

    def dial(self, address: str, port: int, clock: Deadline) -> socket.socket:
        """A stream from this host to another address. Raises UnreachedError or OSError."""
        work = self._connection.forward_local_port("127.0.0.1", 0, address, port)
        listener = self._loop.do(work, clock, "opening a tunnel")
        try:
            return socket.create_connection(("127.0.0.1", listener.get_port()), max(clock.remaining(), 0.001))
        finally:
            self._loop.soon(listener.close)

    def kill(self) -> None:
        """Drop the connection at once."""
        self._loop.soon(self._connection.abort)

    def close(self) -> None:
        """End the connection and its loop."""
        self.kill()
        self._loop.stop()


def _client(host: Host, pinned: tuple[HostKey, ...], seen: list[Exception]) -> Any:  # noqa: ANN401 - a class of an extra
    base: Any = _asyncssh().SSHClient

    class Client(base):  # type: ignore[misc] # the extra has no types here
        def validate_host_public_key(self, _host: str, _address: str, _port: int, key: Any) -> bool:  # noqa: ANN401
            shown = HostKey(key.algorithm.decode(), key.public_data)
            try:
                compare(host, shown, pinned)
            except UnreachedError as error:
                seen.append(error)
                return False
            return True

    return Client


def _algorithms(kinds: list[str]) -> list[str]:
    return [name for kind in dict.fromkeys(kinds) for name in (_RSA if kind == "ssh-rsa" else [kind])]


def _options(host: Host, pinned: tuple[HostKey, ...], credentials: CredentialSource) -> dict[str, Any]:
    asyncssh = _asyncssh()
    options: dict[str, Any] = {
        "username": host.user,
        "known_hosts": ([], [], []),  # so that every key goes through validate_host_public_key
        "server_host_key_algs": _algorithms([key.kind for key in pinned] or _KINDS),
        "kex_algs": _KEX,
        "encryption_algs": _CIPHERS,
        "mac_algs": _MACS,
        "compression_algs": None,
        "agent_path": None,
        "config": [],
        "gss_host": None,
        "client_keys": None,
    }
    if host.auth == "password":
        options["password"] = credentials.password(host, "login").reveal()
        return options
    kept = [asyncssh.import_private_key(secret.reveal()) for secret in credentials.kept_keys(host)]
    path = credentials.key_file(host)
    try:
        options["client_keys"] = [*kept, asyncssh.read_private_key(path)]
    except (asyncssh.KeyImportError, OSError) as error:
        remedy = "use an unencrypted key"
        raise UnreachedError(Reason.CREDENTIAL, "the private key cannot be used", where=path, remedy=remedy) from error
    return options


def connect(
    host: Host, sock: socket.socket, pins: KnownHosts, credentials: CredentialSource, clock: Deadline
) -> LegacyConnection:
    """Connect over an open socket, compare the host key, log in. Raises UnreachedError within the deadline."""
    asyncssh = _asyncssh()
    pinned = pins.pinned(host)
    seen: list[Exception] = []
    loop = Loop()
    try:
        options = _options(host, pinned, credentials)
        sock.setblocking(False)  # noqa: FBT003 - the name of the standard library's own argument
        work = asyncssh.connect(
            host.address, host.port, sock=sock, client_factory=_client(host, pinned, seen), login_timeout=0, **options
        )
        connection = loop.do(work, clock, "connecting")
    except Exception as error:
        loop.stop()
        with contextlib.suppress(OSError):
            sock.close()
        if seen:
            raise seen[0] from error
        raise _explain(error, "connecting", clock) from error
    return LegacyConnection(loop, connection)


def fetch_key(host: Host, sock: socket.socket, pinned: tuple[HostKey, ...], clock: Deadline) -> HostKey:
    """The server's host key, without logging in. Raises UnreachedError."""
    asyncssh = _asyncssh()
    loop = Loop()
    try:
        sock.setblocking(False)  # noqa: FBT003 - the name of the standard library's own argument
        options = asyncssh.SSHClientConnectionOptions(
            config=[],
            kex_algs=_KEX,
            encryption_algs=_CIPHERS,
            mac_algs=_MACS,
            server_host_key_algs=_algorithms([key.kind for key in pinned] + _KINDS),
        )
        work = asyncssh.get_server_host_key(host.address, host.port, sock=sock, options=options)
        key = loop.do(work, clock, "fetching the host key")
    except Exception as error:
        raise _explain(error, "fetching the host key", clock) from error
    finally:
        loop.stop()
    if key is None:
        raise UnreachedError(Reason.GARBLED, "the server showed no host key")
    return HostKey(key.algorithm.decode(), key.public_data)
