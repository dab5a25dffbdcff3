"""From a library's exception to the reason that a report can print."""

from __future__ import annotations

import errno
import socket
import struct

import paramiko
from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, IncompatiblePeer

from agent.model.errors import AgentError, UnreachedError
from agent.model.observation import Reason
from agent.model.text import one_line
from agent.session.deadline import Deadline

_NO_WAY = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL}


def _of_os(error: OSError) -> tuple[Reason, str]:
    if isinstance(error, ConnectionRefusedError):
        return Reason.REFUSED, "the connection is refused"
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return Reason.TIMEOUT, "no answer"
    if isinstance(error, socket.gaierror):
        return Reason.UNREACHABLE, f"the name does not resolve ({error.strerror})"
    if error.errno in _NO_WAY:
        return Reason.UNREACHABLE, f"no way there ({error.strerror})"
    if isinstance(error, ConnectionError):
        return Reason.BROKEN_OFF, "the connection was reset"
    return Reason.UNREACHABLE, one_line(str(error), 200)


def _of_ssh(error: paramiko.SSHException) -> tuple[Reason, str]:
    text = one_line(str(error), 200)
    if isinstance(error, IncompatiblePeer):
        return Reason.ALGORITHMS, f"{text}; if the server is old, declare transport: ssh-legacy"
    if isinstance(error, BadAuthenticationType):
        return Reason.AUTH_FAILED, f"the server takes only {', '.join(error.allowed_types)}"
    if isinstance(error, AuthenticationException):
        if "saw EOF" in text:
            return Reason.BROKEN_OFF, "the server hung up during the login"
        return Reason.AUTH_FAILED, "the server refused the login"
    if "Indecipherable" in text or "endless" in text or "Invalid SSH banner" in text:
        return Reason.GARBLED, f"this is no SSH server ({text})"
    return Reason.BROKEN_OFF, text or "the connection ended"


def explain(error: BaseException, doing: str, clock: Deadline, *, fired: bool = False) -> BaseException:
    """The UnreachedError for an exception that came while `doing`.

    Errors that name their reason already, and those that are no failure of the
    target (KeyboardInterrupt), are returned as they are.
    """
    if isinstance(error, AgentError) or not isinstance(error, Exception):
        return error
    if fired or clock.expired:
        return clock.error(doing)
    if isinstance(error, paramiko.SSHException):
        reason, detail = _of_ssh(error)
    elif isinstance(error, OSError):
        reason, detail = _of_os(error)
    elif isinstance(error, EOFError):
        reason, detail = Reason.BROKEN_OFF, "the server hung up"
    elif isinstance(error, ValueError | LookupError | struct.error):
        reason, detail = Reason.GARBLED, f"the answer is not understood ({type(error).__name__})"
    else:
        reason, detail = Reason.INTERNAL, f"{type(error).__name__}: {one_line(str(error), 200)}"
    return UnreachedError(reason, f"{doing}: {detail}")
