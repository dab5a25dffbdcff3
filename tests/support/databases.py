"""Databases under change: items of shipped controls, and a control's own word before and after."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from shlex import quote

from dbmanifest import MARIADB, POSTGRESQL
from hardening import HostUnderChange

from agent.app import App
from agent.change.library import modules
from agent.flows.planning import filled
from agent.judge.controls import judge
from agent.model.change import Item, Risk
from agent.model.control import Outcome
from agent.observe.database import collect, facts

ROOT = Path(__file__).parents[2]
_HEAD = "TX=none; TXROOT=/nonexistent\nhandles() { :; }; acts() { :; }\n"


class DatabaseUnderChange(HostUnderChange):
    """A database of the lab, with its host."""

    def __init__(self, workspace: Path, host: str, *, ttl: int = 60) -> None:
        super().__init__(workspace, host, ttl=ttl)
        [self.database] = [each for each in self.app.inventory.databases if each.host == host]
        self.controls = {control.id: control for control in App(folder=ROOT).controls}
        self.more = POSTGRESQL if self.database.engine == "postgresql" else MARIADB
        """Give it to `manifest`: what the database is."""

    def item(self, control_id: str, **options: object) -> Item:
        """The item that planning makes of a shipped control's fix."""
        control = self.controls[control_id]
        fix = filled(dict(control.fix), {"db_networks": ["10.66.0.0/24"]})
        known = {"restart": False, "keep": ["scan"], "networks": ["10.66.0.0/24"]}
        rest = {key: value for key, value in fix.items() if key not in {"resource", "want"}}
        target = self.database
        return Item(
            f"i.{control_id}",
            fix["resource"],
            fix.get("want"),
            options=known | rest | options,
            target=target.name,
            control=control_id,
            risk=tuple(Risk(each) for each in control.risk),
            subject={
                "engine": target.engine,
                "port": str(target.port),
                "dbname": target.dbname,
                "account": target.user,
                "address": target.address,
            },
        )

    def outcome(self, *control_ids: str) -> dict[str, Outcome]:
        """What the controls' own checks say, read over the scan's own session."""
        controls = [self.controls[each] for each in control_ids]
        with closing(App(folder=self.app.root)) as app, closing(app.sessions.open_sql(self.database, 20)) as session:
            found = facts(self.database.name, collect(session, self.database.engine, controls))
        return {verdict.control: verdict.outcome for verdict in judge(found.subject, controls)}

    def sql(self, *statements: str, db: str = "postgres") -> str:
        """Run statements as the server's own superuser, from its host."""
        postgres = self.database.engine == "postgresql"
        library = modules(["postgresql" if postgres else "mysql"])
        words = " ".join(quote(each) for each in statements)
        port = self.database.port
        call = (
            f'pg_on {port} && for s in {words}; do pg_ask {quote(db)} "$s" || exit 1; done'
            if postgres
            else f"my_do {port} {words}"
        )
        return self.root(f"{_HEAD}{library}\n{call}")
