"""`agent trust` against a server that shows a real key."""

from __future__ import annotations

import base64
import socket
import threading
from types import SimpleNamespace

import paramiko
import pytest
from click.testing import CliRunner

from agent.cli.trust import command
from agent.model.asset import Host, Inventory
from agent.model.errors import AgentError, RefusedError
from agent.session import FileCredentials, HostKey, SshSessions


class ShowingServer:
    """Shows its host key to whoever comes, as sshd does before any login."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.renew()
        threading.Thread(target=self._serve, daemon=True).start()

    def renew(self) -> None:
        self._key = paramiko.ECDSAKey.generate()
        self.key = HostKey(self._key.get_name(), self._key.asbytes())

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(peer)
            transport.add_server_key(self._key)
            transport.start_server(event=threading.Event(), server=paramiko.ServerInterface())


@pytest.fixture
def server():
    made = ShowingServer()
    yield made
    made.listener.close()


@pytest.fixture
def trust(server, tmp_path):
    hosts = (Host("web", "127.0.0.1", port=server.port), Host("me", "localhost", transport="local"))
    inventory = Inventory(hosts, ())
    known = tmp_path / "inventory" / "known_hosts"
    sessions = SshSessions(inventory, FileCredentials(tmp_path / "none"), known)
    app = SimpleNamespace(inventory=inventory, sessions=sessions, require_ops_location=lambda: None)

    def call(*arguments: str, typed: str = ""):
        result = CliRunner().invoke(command, list(arguments), obj=app, input=typed)
        if isinstance(result.exception, AgentError):
            raise result.exception
        return result

    call.known = known
    return call


def test_the_right_fingerprint_pins(server, trust):
    result = trust("web", "--fingerprint", server.key.fingerprint)
    assert result.exit_code == 0, result.output
    encoded = base64.b64encode(server.key.blob).decode()
    assert trust.known.read_text() == f"[127.0.0.1]:{server.port} {server.key.kind} {encoded}\n"
    assert "already" in trust("web").output


def test_a_wrong_fingerprint_pins_nothing(server, trust):
    with pytest.raises(RefusedError, match=server.key.fingerprint.replace("+", r"\+")):
        trust("web", "--fingerprint", "SHA256:wrong", "--yes", "--replace")
    assert not trust.known.exists()


def test_it_asks_and_takes_only_the_fingerprint_for_an_answer(server, trust):
    for answer in ("", "yes", "y"):
        with pytest.raises(RefusedError, match="not confirmed"):
            trust("web", typed=answer + "\n")
    assert not trust.known.exists()
    assert trust("web", typed=server.key.fingerprint + "\n").exit_code == 0
    assert trust.known.exists()


def test_a_changed_key_shows_both_and_needs_replace(server, trust):
    old = server.key
    assert trust("web", "--yes").exit_code == 0
    server.renew()
    before = trust.known.read_text()
    with pytest.raises(RefusedError, match="changed"):
        trust("web", "--yes")
    assert trust.known.read_text() == before
    result = trust("web", "--replace", "--fingerprint", server.key.fingerprint)
    assert old.fingerprint in result.output
    assert server.key.fingerprint in result.output
    assert base64.b64encode(old.blob).decode() not in trust.known.read_text()


def test_hosts_without_a_key_and_unknown_names(trust):
    with pytest.raises(AgentError, match="no SSH host key"):
        trust("me")
    with pytest.raises(AgentError, match="no such host"):
        trust("nobody")
