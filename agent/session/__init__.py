"""Reach a target: ssh, ssh-legacy, local, sql.

The only place that imports paramiko, asyncssh and the database drivers. Callers
use `SshSessions` (a `model.ports.Sessions`) and `FileCredentials` (a
`model.ports.CredentialSource`).
"""

from agent.session.credentials import FileCredentials
from agent.session.hostkeys import HostKey, KnownHosts
from agent.session.sessions import SshSessions

__all__ = ["FileCredentials", "HostKey", "KnownHosts", "SshSessions"]
