"""A new workspace: commented files to start from, and a state folder that is nobody else's."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from agent.declared.accounts import ACCOUNTS
from agent.declared.exceptions import EXCEPTIONS
from agent.declared.files import write_atomic
from agent.declared.hardening import HARDENING
from agent.declared.inventory import DATABASES, HOSTS
from agent.declared.passwords import PASSWORDS
from agent.declared.people import CONTRACT, PEOPLE
from agent.declared.periods import PERIODS, SHIPPED
from agent.model.errors import RefusedError

STARTERS = {
    # hosts.yaml comes last: it is what makes a folder a workspace.
    DATABASES: "databases.yaml",
    PEOPLE: "people.yaml",
    ACCOUNTS: "accounts.yaml",
    PASSWORDS: "passwords.yaml",
    CONTRACT: "contract.yaml",
    PERIODS: SHIPPED,
    EXCEPTIONS: "exceptions.yaml",
    HARDENING: "hardening.yaml",
    Path(".gitignore"): "gitignore",
    HOSTS: "hosts.yaml",
}
FOLDERS = ("inventory", "playbooks", "templates", "state")


def make_workspace(folder: Path) -> list[Path]:
    """Write a starter workspace and return its files, relative to the folder.

    Raises:
        RefusedError: a file of a workspace is there already, or the folder cannot be written; nothing is changed.
    """
    there = [str(path) for path in STARTERS if (folder / path).exists() or (folder / path).is_symlink()]
    if there:
        raise RefusedError(
            f"will not overwrite {', '.join(sorted(there))}", where=str(folder), remedy="name a new or empty folder"
        )
    shipped = resources.files("agent.declared").joinpath("data")
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "state").chmod(0o700)
        for path, source in STARTERS.items():
            write_atomic(folder / path, shipped.joinpath(source).read_bytes())
    except OSError as error:
        raise RefusedError(
            f"cannot be written: {error.strerror}", where=str(error.filename or folder), remedy="check owner and mode"
        ) from None
    return list(STARTERS)
