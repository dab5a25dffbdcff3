"""A server that misbehaves: `silent` accepts and never answers, `drip` sends a byte a second.

Run by file inside a network namespace: python tarpit.py MODE ADDRESS:PORT
"""

from __future__ import annotations

import socket
import sys
import threading
import time

GREETING = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" + b"x" * 1_000_000


def serve(mode: str, address: str, port: int) -> None:
    """Accept for ever; each connection is held until its client leaves."""
    with socket.create_server((address, port), backlog=64) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_hold, args=(mode, connection), daemon=True).start()


def _hold(mode: str, connection: socket.socket) -> None:
    with connection:
        try:
            if mode == "drip":
                for byte in GREETING:
                    connection.sendall(bytes([byte]))
                    time.sleep(1.0)
            while connection.recv(4096):
                pass
        except OSError:
            return


if __name__ == "__main__":
    host, _, number = sys.argv[2].rpartition(":")
    serve(sys.argv[1], host, int(number))
