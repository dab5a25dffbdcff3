"""A connection by paramiko: key exchange, pinned host key, one login, channels."""

from __future__ import annotations

import contextlib
import io
import logging
import select
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import paramiko
from paramiko.packet import Packetizer

from agent.model.asset import Host
from agent.model.errors import UnreachedError
from agent.model.observation import Reason
from agent.model.ports import CredentialSource
from agent.model.secret import Secret
from agent.model.text import one_line
from agent.session.deadline import Deadline, Watchdog
from agent.session.failure import explain
from agent.session.hostkeys import HostKey, KnownHosts, compare

# Its messages quote the server, and without a handler Python prints them raw on the terminal.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)

_FOREVER = 1e6
"""Seconds; for the library's own time-outs, since our one deadline stands above them."""
_LONGEST_LINE = 4096
"""Bytes of one line before the identification string; RFC 4253 section 4.2 allows 255."""
_BLOCK = 1 << 18

# What costs least CPU first. No CBC, SHA-1 or MD5: a server that has only those is `ssh-legacy`.
_KEX = (
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
)
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr", "aes192-ctr")
_MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
_HOST_KEYS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Signature algorithms of each pinned key type."""


class _Identification(str):
    """An identification string that is not UTF-8: readable as text, hashed as the bytes that came."""

    __slots__ = ("raw",)
    raw: bytes

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """The bytes as they came; the key exchange hashes them (RFC 4253 section 8)."""
        del encoding, errors
        return self.raw


class _Packetizer(Packetizer):
    """Reads hostile identification lines without choking, and starts no timer of its own."""

    def readline(self, timeout: float) -> str:
        """One line, at most `_LONGEST_LINE` bytes; the watchdog limits the time."""
        del timeout
        line = bytearray()
        while not line.endswith(b"\n"):
            if len(line) > _LONGEST_LINE:
                raise paramiko.SSHException("endless identification line")
            line += self.read_all(1)
        raw = bytes(line).rstrip(b"\r\n")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            text = _Identification(raw.decode("utf-8", "backslashreplace"))
            text.raw = raw
            return text

    def start_handshake(self, timeout: float) -> None:
        """Nothing: the watchdog stands above, and a timer thread for each connection costs."""


class _Transport(paramiko.Transport):
    def __init__(self, sock: Any, kinds: Sequence[str]) -> None:  # noqa: ANN401 - socket or Channel, as paramiko takes it
        super().__init__(sock)
        self.packetizer = _Packetizer(sock)
        options = self.get_security_options()
        options.kex, options.ciphers, options.digests = _KEX, _CIPHERS, _MACS
        # Only the pinned types are offered, so that a server cannot answer with a key that was never compared.
        options.key_types = tuple(name for kind in kinds for name in _HOST_KEYS.get(kind, ()))
        self.banner_timeout = self.auth_timeout = self.channel_timeout = _FOREVER


class ChannelStream:
    """A started command; both streams are read by one thread through the channel's poll descriptor."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._poll = select.poll()
        self._poll.register(channel.fileno(), select.POLLIN)

    def send(self, data: bytes, clock: Deadline) -> None:
        """Write all; waits for the window no longer than the deadline."""
        self._channel.settimeout(clock.remaining())
        try:
            self._channel.sendall(data)
        except TimeoutError as error:
            raise clock.error("the far side does not read the script") from error

    def end(self) -> None:
        """Close standard input."""
        self._channel.shutdown_write()

    def receive(self, timeout: float) -> tuple[bytes, bytes]:
        """What has come, at most 256 KiB of each stream."""
        channel = self._channel
        if not (channel.recv_ready() or channel.recv_stderr_ready()):
            self._poll.poll(timeout * 1000)
        out = channel.recv(_BLOCK) if channel.recv_ready() else b""
        err = channel.recv_stderr(_BLOCK) if channel.recv_stderr_ready() else b""
        return out, err

    @property
    def finished(self) -> bool:
        """End of file, or the channel is gone, and nothing is left to read."""
        over = bool(self._channel.eof_received or self._channel.closed)
        return over and not (self._channel.recv_ready() or self._channel.recv_stderr_ready())

    def status(self, timeout: float) -> int | None:
        """Exit code; None when there came none (a signal, or the connection broke)."""
        self._channel.status_event.wait(timeout)
        return self._channel.exit_status if self._channel.exit_status >= 0 else None

    def abort(self) -> None:
        """Close the channel."""
        self._channel.close()


class SshConnection:
    """One authenticated connection to a host."""

    def __init__(self, transport: _Transport, kill: Callable[[], None]) -> None:
        self._transport = transport
        self.kill = kill
        """Shut the socket under the connection; every blocked call ends."""
        self.banner = str(transport.remote_version)

    @property
    def alive(self) -> bool:
        """Whether the connection can take a further channel."""
        return self._transport.is_active()

    def start(self, line: str, clock: Deadline) -> ChannelStream:
        """Execute a command line without a terminal."""
        try:
            channel = self._transport.open_session(timeout=clock.remaining())
            channel.exec_command(line)
        except paramiko.ChannelException as error:
            raise UnreachedError(Reason.REFUSED, f"the server refuses to run commands ({error.text})") from error
        return ChannelStream(channel)

    def dial(self, address: str, port: int, clock: Deadline) -> paramiko.Channel:
        """A stream from this host to another address (direct-tcpip). Raises ChannelException, SSHException."""
        return self._transport.open_channel(
            "direct-tcpip", (address, port), ("127.0.0.1", 0), timeout=max(clock.remaining(), 0.001)
        )

    def close(self) -> None:
        """End the connection."""
        self.kill()
        self._transport.close()


def _hang_up(sock: Any, transport: list[_Transport]) -> None:  # noqa: ANN401 - socket or Channel
    for one in transport:
        one.packetizer.close()
    if isinstance(sock, socket.socket):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
    # A channel's close may wait for the bastion's socket; nobody need wait for it.
    threading.Thread(target=sock.close, daemon=True).start() if isinstance(sock, paramiko.Channel) else sock.close()


def reach(host: Host, clock: Deadline) -> socket.socket:
    """Connect by TCP. Raises OSError."""
    sock = socket.create_connection((host.address, host.port), timeout=max(clock.remaining(), 0.001))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _exchange_keys(sock: Any, kinds: Sequence[str], held: list[_Transport]) -> _Transport:  # noqa: ANN401 - as above
    transport = _Transport(sock, kinds)
    held.append(transport)
    transport.start_client(timeout=_FOREVER)
    return transport


def server_key(transport: paramiko.Transport) -> HostKey:
    """The key that the server has just proven to hold."""
    key = transport.get_remote_server_key()
    return HostKey(key.get_name(), key.asbytes())


def _log_in(transport: paramiko.Transport, host: Host, credentials: CredentialSource) -> None:
    if host.auth == "password":
        more = transport.auth_password(host.user, credentials.password(host, "login").reveal())
    else:
        for secret in credentials.kept_keys(host):
            with contextlib.suppress(paramiko.AuthenticationException):
                _further(transport.auth_publickey(host.user, _loaded(secret)))
                return
        path = credentials.key_file(host)
        try:
            key = paramiko.PKey.from_path(path)
        except (paramiko.SSHException, OSError, ValueError, TypeError) as error:
            remedy = "use an unencrypted ed25519 key (ssh-keygen -t ed25519 -N '')"
            raise UnreachedError(
                Reason.CREDENTIAL, f"the private key cannot be used: {one_line(str(error))}", where=path, remedy=remedy
            ) from error
        more = transport.auth_publickey(host.user, key)
    _further(more)


def _further(wanted: Sequence[str]) -> None:
    if wanted:
        raise UnreachedError(Reason.AUTH_FAILED, f"the server wants a further factor ({', '.join(wanted)})")


def _loaded(secret: Secret) -> paramiko.PKey:
    try:
        return paramiko.Ed25519Key.from_private_key(io.StringIO(secret.reveal()))
    except (paramiko.SSHException, ValueError) as error:
        raise UnreachedError(Reason.CREDENTIAL, "the vault's private key cannot be used") from error


def _modern(pinned: Sequence[HostKey], error: Exception) -> bool:
    """Whether a missing host key type means another key, not an RSA key that signs with SHA-1 only."""
    return bool(pinned) and "host key" in str(error) and all(key.kind != "ssh-rsa" for key in pinned)


def _no_pinned_type(host: Host, pinned: Sequence[HostKey]) -> UnreachedError:
    old = ", ".join(f"{one.kind} {one.fingerprint}" for one in pinned)
    return UnreachedError(
        Reason.HOST_KEY_CHANGED,
        f"the server has no host key of a pinned type: pinned {old}",
        remedy=f"find out why; `agent trust {host.name}` shows its present key",
    )


def connect(
    host: Host, dial: Callable[[], Any], pins: KnownHosts, credentials: CredentialSource, clock: Deadline
) -> SshConnection:
    """Connect, compare the host key, log in; `dial` gives the socket or the bastion's channel.

    Raises:
        UnreachedError: with the reason, always within the deadline.
    """
    pinned = pins.pinned(host)
    held: list[_Transport] = []
    sock = dial()

    def kill() -> None:
        _hang_up(sock, held)

    with Watchdog(clock, kill) as dog:
        try:
            transport = _exchange_keys(sock, [key.kind for key in pinned] or list(_HOST_KEYS), held)
            compare(host, server_key(transport), pinned)
            _log_in(transport, host, credentials)
        except BaseException as error:
            kill()
            if isinstance(error, paramiko.ssh_exception.IncompatiblePeer) and _modern(pinned, error):
                raise _no_pinned_type(host, pinned) from error
            raise explain(error, "connecting", clock, fired=dog.fired) from error
    return SshConnection(transport, kill)


def fetch_key(dial: Callable[[], Any], pinned: Sequence[HostKey], clock: Deadline) -> HostKey:
    """The server's host key, without logging in; of a pinned type if it can, else ed25519. Raises UnreachedError."""
    kinds = list(dict.fromkeys([*(key.kind for key in pinned), *_HOST_KEYS]))
    held: list[_Transport] = []
    sock = dial()

    def kill() -> None:
        _hang_up(sock, held)

    with Watchdog(clock, kill) as dog:
        try:
            return server_key(_exchange_keys(sock, kinds, held))
        except Exception as error:
            raise explain(error, "fetching the host key", clock, fired=dog.fired) from error
        finally:
            kill()
