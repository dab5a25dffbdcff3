"""Wiring: from a workspace to the parts that flows need. The only module that knows every column.

Imports stand inside the properties, so that a verb pays only for the columns that it uses.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from agent.model.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.advisories.store import FeedStore
    from agent.declared import Contract
    from agent.ledger import EvidenceLedger
    from agent.model.account import Managed
    from agent.model.asset import Inventory
    from agent.model.control import Control
    from agent.model.finding import RiskException
    from agent.model.hardening import Policy
    from agent.model.password import PasswordPolicy
    from agent.model.period import Period
    from agent.model.ports import Clock, CredentialSource
    from agent.model.secret import Secret
    from agent.session import SshSessions
    from agent.store.engine import Store
    from agent.vault.keyfile import Key
    from agent.vault.vault import Vault


def _now() -> datetime:
    return datetime.now(UTC)


def _nobody(what: str) -> None:
    del what


def _unheard(text: str) -> None:
    del text


def find_workspace(start: Path) -> Path:
    """The nearest folder upward that holds `inventory/hosts.yaml`.

    Raises:
        AgentError: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / "inventory" / "hosts.yaml").is_file():
            return folder
    raise AgentError(
        "no workspace here (no inventory/hosts.yaml in this folder or above)",
        where=str(start),
        remedy="run `agent init DIR`, or name one with -C DIR or $AGENT_WORKSPACE",
    )


@dataclass
class App:
    """One invocation: workspace, clock, operator; each part is built on first use."""

    folder: Path | None = None
    """What -C or $AGENT_WORKSPACE named; None: look upward from the current folder."""
    clock: Clock = field(default=_now)
    ask: Callable[[str], Secret | None] = field(default=_nobody)
    """Asks who sits at the terminal for a secret; None where nobody does."""
    warn: Callable[[str], None] = field(default=_unheard)
    """Takes a warning."""

    @cached_property
    def root(self) -> Path:
        """The workspace's folder."""
        named = self.folder or (Path(os.environ["AGENT_WORKSPACE"]) if os.environ.get("AGENT_WORKSPACE") else None)
        if named is None:
            return find_workspace(Path.cwd())
        if not (named / "inventory" / "hosts.yaml").is_file():
            raise AgentError("not a workspace", where=str(named), remedy="run `agent init` there first")
        return named.resolve()

    @cached_property
    def state(self) -> Path:
        """state/, made with mode 0700."""
        folder = self.root / "state"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @cached_property
    def operator(self) -> str:
        """The OS login of who runs this, as the system knows it: LOGNAME and USER can be set to anything."""
        if os.geteuid() == 0 and os.environ.get("SUDO_USER"):
            return os.environ["SUDO_USER"]
        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            return f"uid-{os.getuid()}"

    @cached_property
    def inventory(self) -> Inventory:
        """All declared targets. Raises DeclaredError."""
        from agent.declared import load_inventory

        return load_inventory(self.root)

    @cached_property
    def periods(self) -> tuple[Period, ...]:
        """All declared periods. Raises DeclaredError."""
        from agent.declared import load_periods

        return load_periods(self.root)

    @cached_property
    def contract(self) -> Contract:
        """The contract: who, from when to when. Raises DeclaredError."""
        from agent.declared import load_contract

        return load_contract(self.root)

    @property
    def exceptions(self) -> tuple[RiskException, ...]:
        """Accepted risks as the file says now; expired ones are among them. Raises DeclaredError."""
        from agent.declared import load_exceptions

        return load_exceptions(self.root)

    @cached_property
    def controls(self) -> tuple[Control, ...]:
        """Shipped playbooks, overridden by the workspace's. Raises DeclaredError."""
        from agent.declared.playbooks import load_playbooks, shipped_playbooks

        return load_playbooks([shipped_playbooks(), self.root / "playbooks"])

    @cached_property
    def policy(self) -> Policy:
        """hardening.yaml, or the built-in policy where there is none. Raises DeclaredError."""
        from agent.declared.hardening import load_policy

        return load_policy(self.root)

    @cached_property
    def password_policies(self) -> dict[str, PasswordPolicy]:
        """Password policies by name, as they hold today. Raises DeclaredError."""
        from agent.declared.passwords import load_password_policies
        from agent.declared.tickets import SHANGHAI

        return load_password_policies(self.root, self.clock().astimezone(SHANGHAI).date())

    @cached_property
    def accounts(self) -> tuple[Managed, ...]:
        """The accounts whose passwords are kept here. Raises DeclaredError."""
        from agent.declared.accounts import load_accounts
        from agent.declared.people import load_people

        people = frozenset(word for each in load_people(self.root) for word in (each.name, each.login) if word)
        policies = frozenset(self.password_policies)
        return load_accounts(self.root, self.inventory, people, policies, self.policy.service_accounts)

    @cached_property
    def store(self) -> Store:
        """The one database, migrated. Raises StoreError."""
        from agent.store.engine import open_store

        return open_store(self.state)

    @cached_property
    def ledger(self) -> EvidenceLedger:
        """The evidence of this workspace. Raises IntegrityError, StoreError."""
        from agent.ledger import keys_folder, open_ledger

        return open_ledger(self.state, keys_folder(self.root), self.store, clock=self.clock)

    @property
    def vault_key(self) -> Path:
        """The key file that opens the vault; beside the evidence keys, outside state/."""
        from agent.ledger import keys_folder
        from agent.vault.keyfile import FILE

        return keys_folder(self.root) / FILE

    @property
    def has_vault(self) -> bool:
        """Whether this workspace has a vault. Raises StoreError."""
        from agent.vault import opening

        return opening.exists(self.store)

    @cached_property
    def vault(self) -> Vault:
        """The secrets of this workspace, unlocked. Raises RefusedError, IntegrityError, StoreError."""
        from agent.vault import opening

        return opening.unlock(self.store, self.ledger, self.clock, self.find_key())

    def find_key(self) -> Key:
        """What opens the vault here. Raises RefusedError."""
        from agent.vault.keyfile import find

        return find(self.vault_key, os.environ, lambda: self.ask("passphrase of the vault"), self.warn)

    @cached_property
    def feeds(self) -> FeedStore:
        """The imported advisories of this workspace; empty when none were. Raises StoreError."""
        from agent.advisories.store import open_feeds

        return open_feeds(self.state, readonly=True)

    @cached_property
    def sessions(self) -> SshSessions:
        """Ways to the targets. Raises DeclaredError when the credential file is unsafe."""
        return self.new_sessions()

    def new_sessions(self, credentials: CredentialSource | None = None) -> SshSessions:
        """Ways that share no connection with any other: a fresh login is one that nothing kept open."""
        from agent.session import SshSessions

        known = self.root / "inventory" / "known_hosts"
        return SshSessions(self.inventory, credentials or self.credentials, known)

    @cached_property
    def credentials(self) -> CredentialSource:
        """Keys from the file; passwords from the vault where there is one, else from the file as well."""
        from agent.session import FileCredentials

        held = FileCredentials(self.state / "credentials.yaml")
        if not self.has_vault:
            return held
        from agent.vault import opening
        from agent.vault.credentials import VaultCredentials

        return VaultCredentials(lambda: self.vault, lambda name: opening.holds(self.store, name), held)

    def require_ops_location(self) -> None:
        """Refuse unless this machine is a designated ops location (every verb that reaches a target).

        Raises:
            RefusedError: the signed allow-list is missing, does not verify, or does not hold this machine.
        """
        from agent.declared import opslocation

        opslocation.check(self.root, opslocation.local_addresses())

    def close(self) -> None:
        """Close what was opened; safe to call at any time."""
        for part in ("sessions", "store", "feeds"):
            if part in self.__dict__:
                self.__dict__.pop(part).close()
