"""Errors that speak to the operator: what is wrong, where, and what to do."""

from __future__ import annotations


class AgentError(Exception):
    """The one family of errors that the command line catches and prints.

    Attributes:
        message: what is wrong, one sentence.
        where: file, line and field, target or run that it concerns; may be empty.
        remedy: what the operator does next; may be empty.
    """

    exit_code = 2

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  remedy: {self.remedy}" if self.remedy else text


class DeclaredError(AgentError):
    """A declared file (inventory, periods, playbook ...) is wrong; `where` is FILE:LINE: FIELD."""


class RefusedError(AgentError):
    """The agent may not do this here and now (no ops location, gate closed, no consent)."""


class IntegrityError(AgentError):
    """Evidence does not verify; `where` names the entry, blob or file."""


class StoreError(AgentError):
    """The database or the blob folder cannot be read or written (disk full, locked, damaged)."""


class UnreachedError(AgentError):
    """A target gave no usable answer. `reason` is the machine-readable `model.observation.Reason`."""

    def __init__(self, reason: str, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message, where=where, remedy=remedy)
        self.reason = reason


class ToolError(AgentError):
    """A program that the agent runs (nmap, openssl ...) is missing, failed, or answered nonsense."""


class ReportError(AgentError):
    """A report was refused: reconciliation failed or the template is wrong."""
