"""A way to a port that only the target itself can reach: 127.0.0.1 here, direct-tcpip there."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

_BLOCK = 1 << 16


class Tunnel:
    """Listens on a random loopback port until sealed, and carries one connection at a time over a channel."""

    def __init__(self, dial: Callable[[], Any], patience: float) -> None:
        """`dial` opens the channel when the connection has come; within `patience` seconds or never."""
        self._dial = dial
        self.failure: BaseException | None = None
        """Why the channel could not be opened; the driver itself only sees a closed connection."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        self._listener.settimeout(patience)
        self.port: int = self._listener.getsockname()[1]
        self._near: socket.socket | None = None
        self._far: Any = None
        self._closed = False
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self) -> None:
        try:
            while not self._closed:
                # More than one may come, one after the other: a driver that tries TLS first comes again without.
                self._near, _ = self._listener.accept()
                self._far = self._dial()
                self._pump(self._near, self._far)
                self._drop(self._near, self._far)
        except Exception as error:  # noqa: BLE001 - handed to whoever opened the tunnel
            self.failure = error
        finally:
            self.close()

    def seal(self) -> None:
        """Take no further connection: nobody else on this machine gets a way in."""
        self._drop(self._listener)

    def _pump(self, near: socket.socket, far: Any) -> None:  # noqa: ANN401 - a Channel or a socket
        far.settimeout(None)
        near.settimeout(None)
        poll = select.poll()
        poll.register(near, select.POLLIN)
        poll.register(far.fileno(), select.POLLIN)
        while not self._closed:
            for descriptor, _ in poll.poll(1000):
                source, sink = (near, far) if descriptor == near.fileno() else (far, near)
                data = source.recv(_BLOCK)
                if not data:
                    return
                sink.sendall(data)

    def close(self) -> None:
        """End the tunnel; safe to call twice."""
        self._closed = True
        self._drop(self._listener, self._near, self._far)

    @staticmethod
    def _drop(*ends: Any) -> None:  # noqa: ANN401 - sockets and channels
        for end in ends:
            if isinstance(end, socket.socket):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            if end is not None:
                with contextlib.suppress(Exception):  # an end that is gone already is closed
                    end.close()
