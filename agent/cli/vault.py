"""`agent vault`: the secrets of this workspace, and who may open them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.model.errors import AgentError, RefusedError

if TYPE_CHECKING:
    from agent.app import App
    from agent.model.asset import Database, Host
    from agent.model.secret import Secret
    from agent.session import FileCredentials

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("vault")
def command() -> None:
    """Make, open, check and back up the vault. Every change is sealed as evidence, without any secret.

    It opens by the key file beside the evidence keys, else by a passphrase (docs/passwords.md).
    """


@command.command("init")
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase that opens it too.")
@click.option("--no-key-file", is_flag=True, help="No key file: nothing opens it unattended.")
@click.pass_obj
def init(app: App, *, passphrase: bool, no_key_file: bool) -> None:
    """Make the vault, with a root key for each zone of the inventory, and take in what state/credentials.yaml holds."""
    from agent.vault import keyfile, opening, slots

    if app.has_vault:
        raise RefusedError("this workspace has a vault already", remedy="agent vault status")
    if no_key_file and not passphrase:
        raise AgentError("nothing would open it", remedy="add --passphrase, or leave out --no-key-file")
    ledger = app.ledger  # its keys are made first: they want an empty folder
    made = []
    if passphrase:
        made.append(slots.with_passphrase("passphrase", _new_passphrase(app)))
    if not no_key_file:
        made.append(slots.with_key("keyfile", slots.KEYFILE, keyfile.write(app.vault_key)))
    named = {host.zone for host in app.inventory.hosts} | {database.zone for database in app.inventory.databases}
    zones = sorted(filter(None, named))
    try:
        app.vault = opening.create(app.store, ledger, made, zones, app.clock)
    except AgentError:
        if not no_key_file:
            app.vault_key.unlink()
        raise
    click.echo(f"the vault is made: {len(made)} slots, {len(zones)} zones")
    if not no_key_file:
        click.echo(f"key file: {app.vault_key} (keep a copy apart from the backups of state/)")
    _bring_in(app)


@command.command("import")
@click.option("--remove", is_flag=True, help="Take the passwords out of the file once the vault has them.")
@click.pass_obj
def bring_in(app: App, *, remove: bool) -> None:
    """Take in what state/credentials.yaml holds; what the vault has already stays as it is."""
    _bring_in(app)
    if remove:
        _taken_out(app)


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_obj
def status(app: App, *, as_json: bool) -> None:
    """Show slots, zones and how many secrets there are; needs no key."""
    from agent.cli.table import echo_table
    from agent.vault import opening

    told = opening.told(app.store)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    click.echo(f"vault {told['vault']}, change {told['generation']}: {told['accounts']} accounts, " + ", ".join(
        f"{count} {state}" for state, count in told["states"].items()
    ))  # fmt: skip
    echo_table(
        ("slot", "kind", "zones"), [(slot["name"], slot["kind"], ", ".join(slot["zones"])) for slot in told["slots"]]
    )


@command.command("unlock")
@click.pass_obj
def unlock(app: App) -> None:
    """Open the vault and look at everything: each record is decrypted, the sum and the chain are compared."""
    count = app.vault.check()
    click.echo(f"the vault opens; {count} records are whole")


@command.command("add-slot")
@click.argument("name")
@click.option("--passphrase", is_flag=True, help="A passphrase, asked for.")
@click.option("--key-file", type=_FILE, help="A new key file, written there (0400).")
@click.option("--officer", type=_FILE, help="An officer's public key, 64 hexadecimal digits.")
@click.option("--zone", "zones", multiple=True, help="Only this zone; may be given again.")
@click.pass_obj
def add_slot(
    app: App, name: str, *, passphrase: bool, key_file: Path | None, officer: Path | None, zones: tuple[str, ...]
) -> None:
    """Let another way open the vault: NAME and one of --passphrase, --key-file, --officer."""
    from agent.vault import keyfile, slots

    if [passphrase, key_file is not None, officer is not None].count(True) != 1:
        raise AgentError("name one of --passphrase, --key-file, --officer")
    vault = app.vault
    if passphrase:
        slot = slots.with_passphrase(name, _new_passphrase(app))
    elif key_file:
        slot = slots.with_key(name, slots.KEYFILE, keyfile.write(key_file))
    else:
        assert officer is not None  # noqa: S101 - counted above; this tells the type checker
        slot = slots.with_key(name, slots.OFFICER, _public(officer))
    vault.add_slot(slot, zones or None)
    click.echo(f"slot {name} opens {', '.join(zones) or 'every zone'}")


@command.command("remove-slot")
@click.argument("name")
@click.pass_obj
def remove_slot(app: App, name: str) -> None:
    """Close slot NAME for good: everything gets new root keys.

    Who had it may have kept secrets: rotate what it opened.
    """
    app.vault.remove_slot(name)
    click.echo(f"slot {name} is gone, all root keys are new; now rotate what it opened")


@command.command("rekey")
@click.pass_obj
def rekey(app: App) -> None:
    """New root keys for everything; slots stay."""
    click.echo(f"{app.vault.rekey()} records are sealed anew")


@command.command("recover-keys")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--key-file", type=_FILE, help="A copy of the vault's key file; else a passphrase is asked for.")
@click.pass_obj
def recover_keys(app: App, folder: Path, key_file: Path | None) -> None:
    """Write the evidence keys into FOLDER, not there yet, for one who lost theirs. It needs the database alone."""
    from agent.ledger import unpack
    from agent.vault import keyfile, opening

    key = keyfile.Key(str(key_file), private=keyfile.read(key_file)) if key_file else app.find_key()
    names = unpack(folder, opening.evidence_keys(app.store, key))
    click.echo(f"{folder}: {', '.join(names)}")
    click.echo("put the folder where the lost one was (or name it in AGENT_KEYS), then: agent evidence verify")


@command.command("backup")
@click.argument("file", type=_FILE)
@click.pass_obj
def backup(app: App, file: Path) -> None:
    """Write the vault to FILE (0600), as encrypted as it lies in the store."""
    from agent.vault import backup as backups

    click.echo(f"{file}: {backups.write(app.store, file)} records")


@command.command("restore")
@click.argument("file", type=_FILE)
@click.option("--yes", is_flag=True, help="Put it in place of a vault that is there.")
@click.pass_obj
def restore(app: App, file: Path, *, yes: bool) -> None:
    """Put the vault of FILE in place, and list accounts that were changed since: their passwords are other now."""
    from agent.vault import backup as backups

    if app.has_vault and not yes:
        raise RefusedError("there is a vault here", remedy="back it up first, then run again with --yes")
    _, newer = backups.restore(app.store, app.ledger, app.clock, backups.read(file), app.find_key())
    click.echo("the vault is restored")
    for account in newer:
        click.echo(f"changed after the backup was made: {account}")


@command.command("export")
@click.argument("file", type=_FILE)
@click.option("--kdbx", is_flag=True, required=True, help="A KeePass database, behind a passphrase of its own.")
@click.option("--reason", required=True, help="Why; sealed with your name before anything is written.")
@click.pass_obj
def export(app: App, file: Path, *, kdbx: bool, reason: str) -> None:
    """Write what every account has now to FILE, for emergencies without this program."""
    del kdbx  # the only form so far; required, so that nobody expects another
    from agent.vault import kdbx as keepass

    passphrase = _new_passphrase(app, "new passphrase of the file")
    count = keepass.export(app.vault, file, passphrase, to=app.operator, reason=reason)
    click.echo(f"{file}: {count} accounts; keep it as you keep the key file, and destroy it when it is old")


def _file(app: App) -> FileCredentials:
    from agent.session import FileCredentials

    return FileCredentials(app.state / "credentials.yaml")


def _targets(app: App) -> dict[tuple[str, str], Host | Database]:
    """Of the inventory, as the file of credentials names them."""
    return {("hosts", host.name): host for host in app.inventory.hosts} | {
        ("databases", database.name): database for database in app.inventory.databases
    }


def _taken_out(app: App) -> None:
    """Take out of the file what the vault holds, to the letter; the rest stays, and why is told."""
    from agent.vault.credentials import account

    file = _file(app)
    if not file.path.exists():
        return
    targets = _targets(app)
    gone = []
    for place, secret in file.held().items():
        kind, name, purpose = place
        target = targets.get((kind, name))
        if target is None:
            app.warn(f"{kind}.{name}.{purpose} stays in the file: the inventory has no such target")
            continue
        names = [account(target, purpose), account(target)]
        if secret in {app.vault.current(each) for each in dict.fromkeys(names)}:
            gone.append(place)
        else:
            app.warn(f"{kind}.{name}.{purpose} stays in the file: the vault holds another; look which one is right")
    file.drop(gone)
    left = len(file.held())
    click.echo(f"{len(gone)} passwords taken out of state/credentials.yaml, {left} left; paths of keys stay")


def _bring_in(app: App) -> None:
    from agent.ledger import packed
    from agent.model.secret import Secret
    from agent.vault.credentials import bring_in as keep

    if app.vault.copy_evidence_keys(Secret(packed(app.ledger.keys.folder))):
        click.echo("a copy of the evidence keys is kept (agent vault recover-keys)")
    if not (app.state / "credentials.yaml").exists():
        return
    targets = _targets(app)
    held = [
        (targets[kind, name], purpose, secret)
        for (kind, name, purpose), secret in _file(app).held().items()
        if (kind, name) in targets
    ]
    new = keep(app.vault, held)
    click.echo(f"{len(new)} accounts taken in from state/credentials.yaml")


def _new_passphrase(app: App, what: str = "new passphrase of the vault") -> Secret:
    """Asked for twice, or once from the environment of a script."""
    import os

    from agent.model.secret import Secret
    from agent.vault.keyfile import VARIABLE

    said = app.ask(what)
    if said is None and os.environ.get(VARIABLE):
        return Secret(os.environ[VARIABLE])
    if said is None:
        raise RefusedError("nobody is at the terminal to give a passphrase", remedy="run it at a terminal")
    if len(said.reveal()) < _SHORTEST:
        raise RefusedError(f"a passphrase has at least {_SHORTEST} characters", remedy="take several words")
    if app.ask("again") != said:
        raise RefusedError("they differ", remedy="try again")
    return said


_SHORTEST = 12


def _public(file: Path) -> bytes:
    try:
        return bytes.fromhex(file.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise AgentError("this is no public key of a slot (64 hexadecimal digits)", where=str(file)) from error
