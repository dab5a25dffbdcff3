"""The vault: what each account was given, version by version; a change is one transaction and one entry of evidence."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import IntegrityError as TakenError

from agent.model.errors import AgentError, IntegrityError, RefusedError
from agent.model.password import UNDERTAKING
from agent.model.secret import Secret
from agent.store.gather import Gatherer
from agent.store.times import to_text
from agent.vault import rows, slots
from agent.vault.records import (
    MODULUS,
    Row,
    balance,
    pin,
    reuse_of,
    seal,
    slot_weight,
    stamp,
    stamped,
    unseal,
    weight,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from agent.model.ports import Clock, Ledger
    from agent.store.engine import Store
    from agent.vault.slots import Slot

PENDING, CURRENT, PREVIOUS, VOID = "pending", "current", "previous", "void"
PASSWORD, SSH_KEY, KEY = "password", "ssh-key", "key"
WHOLE = ""
"""The zone that is the vault's own: its root key binds all records together."""
IMPORTED = "imported"
"""Said of a current version that was taken over: nobody knows how old it is."""
_TRIES = 50
EVIDENCE = "vault:evidence-keys"
"""The account of a copy of the keys that seal evidence: who lost them gets them back by any slot."""
REUSE = "vault:reuse"
"""The account of the key that tells reuse."""


@dataclass(frozen=True, slots=True)
class New:
    """A secret to be kept."""

    account: str
    zone: str
    text: Secret
    kind: str = PASSWORD


Work = Callable[["Connection"], Sequence[tuple[Row | None, Row]]]
"""What a change does: reads rows by the connection, and returns (before, after) of each that is to be written."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A change: what it says of itself beforehand, and what it does to the rows; returns (before, after) of each."""

    told: Mapping[str, Any]
    work: Work
    gain: int = 0
    """What the balance gains besides the rows."""
    roots: Mapping[str, bytes] = field(default_factory=dict)
    """Root keys that it adds."""


class _StaleError(Exception):
    """Another process changed the vault meanwhile."""


class Vault:
    """An open vault. Threads may share it; processes take turns at the store.

    Invariants: at most one pending and one current version an account; a text is sealed durably before anybody is told
    of it; the stamped balance in the store is the sum over all rows, and its generation stands in the newest entry of
    the chain that tells of the vault.
    """

    def __init__(self, store: Store, ledger: Ledger, vault_id: str, roots: Mapping[str, bytes], clock: Clock) -> None:
        """Wrap what a slot opened; use `create` or `unlock`."""
        self.store, self.ledger, self.id, self.clock = store, ledger, vault_id, clock
        self._roots = dict(roots)
        self._pinned: tuple[int, Mapping[str, str]] = (0, {})
        """Generation, and pins of all root keys as of it; 0: not looked up yet."""
        self._gatherer: Gatherer[_Request, AgentError | None] = Gatherer(self._together)

    @property
    def zones(self) -> tuple[str, ...]:
        """Zones whose secrets this slot opens."""
        return tuple(sorted(zone for zone in self._roots if zone != WHOLE))

    @cached_property
    def _reuse(self) -> bytes:
        """The key that tells reuse; a record of its own, so that it outlives a rekey."""
        found = self.versions([REUSE]).get(REUSE)
        if not found:
            raise IntegrityError("the key that tells reuse is gone", where="vault", remedy=rows.RESTORE)
        return unseal(self._roots[WHOLE], self.id, found[-1])

    # --- reading ---------------------------------------------------------------------------------------------------

    def versions(self, accounts: Iterable[str] | None = None) -> dict[str, list[Row]]:
        """Every version by account, oldest first; nothing is decrypted."""
        with self.store.read() as connection:
            return _by_account(rows.records(connection, accounts))

    def reveal(self, row: Row) -> Secret:
        """The text of a version.

        Raises:
            IntegrityError: the record was changed, exchanged or destroyed.
            RefusedError: this slot does not open the record's zone, or the vault has other root keys by now.
        """
        try:
            return Secret(unseal(self._root(row.zone), self.id, row).decode())
        except IntegrityError:
            self._same_roots()
            raise

    def current(self, account: str) -> Secret | None:
        """What an account has now, as far as is known. Raises like `reveal`."""
        found = [row for row in self.versions([account]).get(account, []) if row.state == CURRENT]
        return self.reveal(found[0]) if found else None

    def used(self, text: Secret, *, but: str = "") -> tuple[str, ...]:
        """Accounts that have or had this very text, in whatever state; `but` is left out."""
        with self.store.read() as connection:
            found = rows.alike(connection, [reuse_of(self._reuse, text.reveal().encode())])
        return tuple(dict.fromkeys(row.account for row in found if row.account != but))

    def check(self) -> int:
        """Look at everything: the balance, the chain, and every record by decrypting it; returns how many.

        Raises:
            IntegrityError: something was changed, exchanged, taken away or brought back from the past.
        """
        everything = self.sound()
        for row in everything:
            if row.sealed and row.zone in self._roots:
                text = unseal(self._roots[row.zone], self.id, row)
                if row.account != REUSE and reuse_of(self._reuse, text) != row.reuse:
                    raise IntegrityError(
                        "the record was changed", where=f"vault record {row.account}", remedy=rows.RESTORE
                    )
        return len(everything)

    # --- changing --------------------------------------------------------------------------------------------------

    def pend(self, new: Sequence[New]) -> dict[str, Row]:
        """Keep candidates, durably, before any target hears of them; by account.

        Raises:
            RefusedError: an account has a pending one already, or a text was used before.
            StoreError: it cannot be written; nothing was kept.
        """
        return self._add(new, PENDING)

    def adopt(self, new: Sequence[New], *, verified: bool = False) -> dict[str, Row]:
        """Keep what accounts have already (an import). Raises like `pend`, but reuse is for the audit to find."""
        return self._add(new, CURRENT, verified=verified)

    def copy_evidence_keys(self, text: Secret) -> bool:
        """Keep a copy of the keys that seal evidence; whether it is another than before."""
        if self.current(EVIDENCE) == text:
            return False
        self.adopt([New(EVIDENCE, WHOLE, text, KEY)])
        return True

    def promote(self, row: Row, *, verified: bool = True, why: str = "") -> Row:
        """A pending version is what the account has now; the one before it is kept as previous.

        Raises:
            RefusedError: it is not pending any more.
        """
        return self.promote_all([row], verified=verified, why={row.account: why})[0]

    def promote_all(
        self, pending: Sequence[Row], *, verified: bool = True, why: Mapping[str, str] | None = None
    ) -> list[Row]:
        """As `promote`, all of them in one transaction or none; `why` by account."""
        now = to_text(self.clock())
        done: list[Row] = []

        def work(connection: Connection) -> list[tuple[Row | None, Row]]:
            mine = _by_account(rows.records(connection, [row.account for row in pending]))
            ended: list[tuple[Row | None, Row]] = []
            made: list[tuple[Row | None, Row]] = []
            for row in pending:
                was = _only(mine.get(row.account, ()), row.version, PENDING)
                before = [old for old in mine.get(row.account, ()) if old.state == CURRENT]
                ended += [(old, replace(old, state=PREVIOUS, ended_at=now)) for old in before]
                said = (why or {}).get(row.account, "")
                after = replace(was, state=CURRENT, current_at=now, verified_at=now if verified else "", why=said)
                made.append((was, after))
            done[:] = [after for _, after in made]
            return [*ended, *made]  # the old ones first: no moment has two

        self._do("promote", pending, work)
        return done

    def verified(self, row: Row) -> Row:
        """A current version was just logged in with."""
        now = to_text(self.clock())
        done: list[Row] = []

        def work(connection: Connection) -> list[tuple[Row | None, Row]]:
            was = _only(rows.records(connection, [row.account]), row.version, CURRENT)
            done[:] = [replace(was, verified_at=now)]
            return [(was, done[0])]

        self._do("verified", [row], work)
        return done[0]

    def void(self, row: Row, why: str) -> Row:
        """A candidate that never became current. It is kept a while: a change in flight can land late."""
        now = to_text(self.clock())
        done: list[Row] = []

        def work(connection: Connection) -> list[tuple[Row | None, Row]]:
            was = _only(rows.records(connection, [row.account]), row.version, PENDING)
            done[:] = [replace(was, state=VOID, ended_at=now, why=why)]
            return [(was, done[0])]

        self._do("void", [row], work)
        return done[0]

    def remind(self, row: Row, why: str) -> None:
        """Write down why a candidate is still pending."""

        def work(connection: Connection) -> list[tuple[Row | None, Row]]:
            was = _only(rows.records(connection, [row.account]), row.version, PENDING)
            return [(was, replace(was, why=why))]

        self._do("indeterminate", [row], work)

    def tell(self, what: str, shown: Sequence[Row], **more: str) -> None:
        """Seal that texts leave the vault, before they do.

        Args:
            what: `shown` or `exported`.
            shown: whose texts.
            more: who, and why.
        """
        said: dict[str, Any] = dict(more)
        self._do(what, shown, lambda _: [], **said)

    def destroy(self, days: int = UNDERTAKING.void_days) -> int:
        """Take away the texts of versions that ended longer ago than that; what tells reuse stays. Returns how many."""
        before = to_text(self.clock() - timedelta(days=days))

        def ended(connection: Connection) -> list[Row]:
            return [
                row
                for row in rows.records(connection)
                if row.state in {VOID, PREVIOUS} and row.sealed and row.ended_at and row.ended_at < before
            ]

        with self.store.read() as connection:
            if not ended(connection):
                return 0
        gone = 0

        def work(connection: Connection) -> list[tuple[Row | None, Row]]:
            nonlocal gone
            old = ended(connection)
            gone = len(old)
            return [(row, replace(row, sealed=b"")) for row in old]

        self._do("destroy", [], work, before=before)
        return gone

    # --- slots -----------------------------------------------------------------------------------------------------

    def slots(self) -> list[tuple[Slot, tuple[str, ...]]]:
        """Every slot and the zones that it opens."""
        with self.store.read() as connection:
            sealed = rows.sealed_roots(connection)
            found = rows.slots(connection)
        return [(slot, tuple(sorted(zone for name, zone in sealed if name == slot.name and zone))) for slot in found]

    def add_slot(self, slot: Slot, zones: Iterable[str] | None = None) -> None:
        """Let another way open the vault, or some zones of it.

        Raises:
            RefusedError: there is a slot of that name, or this one does not open a zone that it is to pass on.
        """
        wanted = {WHOLE, *(self._roots if zones is None else zones)}
        sealed = {(slot.name, zone): slots.seal_root(slot, self.id, zone, self._root(zone)) for zone in wanted}

        def work(connection: Connection) -> list[tuple[Row | None, Row]]:
            try:
                rows.put_slot(connection, slot, to_text(self.clock()))
            except TakenError as error:
                raise RefusedError("there is a slot of that name", where=slot.name, remedy="choose another") from error
            rows.put_roots(connection, sealed)
            return []

        gain = slot_weight(self._roots[WHOLE], slot)
        self._do("slot-added", [], work, gain=gain, slot=slot.name, slot_kind=slot.kind, zones=sorted(wanted))

    def add_zone(self, zone: str) -> None:
        """A root key for a zone that has none yet, for every slot that opens all the others."""
        if zone in self._roots:
            return
        root = secrets.token_bytes(slots.SIZE)

        def work(connection: Connection) -> list[tuple[Row | None, Row]]:
            self._adds_up(connection, self._head(connection)[1])
            there = rows.sealed_roots(connection)
            if any(name == zone for _, name in there):
                raise RefusedError("this slot does not open that zone", where=zone, remedy="open the vault by another")
            others = {name for _, name in there}
            whole = [each for each in rows.slots(connection) if all((each.name, name) in there for name in others)]
            rows.put_roots(
                connection, {(each.name, zone): slots.seal_root(each, self.id, zone, root) for each in whole}
            )
            return []

        self._do("zone-added", [], work, roots={zone: root}, zone=zone)
        self._roots[zone] = root

    def remove_slot(self, name: str) -> None:
        """Close a way for good: everything gets new root keys, for who had this slot may have kept the old ones.

        Raises:
            RefusedError: there is no such slot, it is the last, or this one does not open every zone.
        """
        with self.store.read() as connection:
            names = [slot.name for slot in rows.slots(connection)]
        if name not in names:
            raise RefusedError("there is no such slot", where=name, remedy="see agent vault status")
        if len(names) == 1:
            raise RefusedError("the last slot is not removed: nobody could open the vault", where=name)
        self.rekey(without=name)

    def rekey(self, *, without: str = "") -> int:
        """New root keys for everything, sealed to every slot but one; returns how many records were sealed anew.

        Raises:
            RefusedError: this slot does not open every zone.
        """
        with self.store.read() as connection:
            fresh = {zone: secrets.token_bytes(slots.SIZE) for _, zone in rows.sealed_roots(connection)}
        for zone in fresh:
            self._root(zone)
        count = 0

        def work(connection: Connection, generation: int) -> None:
            nonlocal count
            # or root keys would be sealed to whoever slipped a slot in
            everything = self._adds_up(connection, generation)
            there = rows.sealed_roots(connection)
            if {zone for _, zone in there} != set(fresh):
                raise RefusedError("another process added a zone meanwhile", remedy="try again")
            if without:
                rows.drop_slot(connection, without)
            known = {slot.name: slot for slot in rows.slots(connection)}
            sealed = {
                (name, zone): slots.seal_root(known[name], self.id, zone, fresh[zone])
                for name, zone in there
                if name in known
            }
            if lost := set(fresh) - {zone for _, zone in sealed}:
                remedy = "let another slot open it first: agent vault add-slot"
                raise RefusedError(f"no other slot opens the zone {min(lost)}", where=f"slot {without}", remedy=remedy)
            rows.put_roots(connection, sealed)
            after = [self._resealed(row, fresh) for row in everything]
            rows.change_all(connection, after)
            kept = stamp(fresh[WHOLE], self.id, generation + 1, balance(fresh[WHOLE], after, known.values()))
            rows.advance(connection, generation + 1, kept)
            count = sum(bool(row.sealed) for row in after)

        self._sealed([{"what": "rekey", "without": without}], work, fresh, anew=True)
        self._roots = fresh
        return count

    # --- the mechanism ---------------------------------------------------------------------------------------------

    def _add(self, new: Sequence[New], state: str, *, verified: bool = False) -> dict[str, Row]:
        now = to_text(self.clock())
        there = self.versions(one.account for one in new)
        made: list[Row] = []
        for one in new:
            version = max((row.version for row in there.get(one.account, [])), default=0) + 1
            text = one.text.reveal().encode()
            made.append(
                Row(
                    one.account, version, one.zone, one.kind, state,
                    seal(self._root(one.zone), self.id, one.account, version, text), reuse_of(self._reuse, text), now,
                    current_at=now if state == CURRENT else "", verified_at=now if verified else "",
                    why=IMPORTED if state == CURRENT else "",
                )
            )  # fmt: skip
        if state == PENDING:
            self._never_used(made)

        def work(connection: Connection) -> list[tuple[Row | None, Row]]:
            changed: list[tuple[Row | None, Row]] = []
            if state == CURRENT:
                older = rows.records(connection, [row.account for row in made])
                changed = [(row, replace(row, state=PREVIOUS, ended_at=now)) for row in older if row.state == CURRENT]
            return [*changed, *((None, row) for row in made)]

        if made:
            self._do("pending" if state == PENDING else "adopted", made, work)
        return {row.account: row for row in made}

    def _never_used(self, made: Sequence[Row]) -> None:
        with self.store.read() as connection:
            taken = {row.reuse for row in rows.alike(connection, [row.reuse for row in made])}
        again = [row.account for row in made if row.reuse in taken]
        if again or len({row.reuse for row in made}) < len(made):
            raise RefusedError(
                "the same secret was used before, by this account or another",
                where=", ".join(again[:5]) or "the new ones",
                remedy="generate another: agent password generate",
            )

    def _resealed(self, row: Row, fresh: Mapping[str, bytes]) -> Row:
        if not row.sealed:
            return row
        text = unseal(self._roots[row.zone], self.id, row)
        return replace(row, sealed=seal(fresh[row.zone], self.id, row.account, row.version, text))

    def _root(self, zone: str) -> bytes:
        try:
            return self._roots[zone]
        except KeyError:
            raise RefusedError(
                f"this slot does not open the zone {zone}",
                remedy="open the vault by a slot that does (agent vault status), or add the zone: agent vault add-zone",
            ) from None

    def _do(
        self,
        what: str,
        changed: Sequence[Row],
        work: Work,
        *,
        gain: int = 0,
        roots: Mapping[str, bytes] | None = None,
        **more: Any,  # noqa: ANN401 - what is told of it
    ) -> None:
        records = [{"account": row.account, "version": row.version} for row in changed]
        error = self._gatherer.do(_Request({"what": what, "records": records, **more}, work, gain, roots or {}))
        if error is not None:
            raise error

    def _together(self, requests: Sequence[_Request]) -> list[AgentError | None]:
        """Changes of all threads that wait, in one transaction; one that is refused does not hold back the others."""
        errors: dict[int, AgentError] = {}
        while True:
            left = [number for number in range(len(requests)) if number not in errors]
            if not left:
                break
            at = left[0]

            def work(connection: Connection, generation: int, numbers: Sequence[int] = tuple(left)) -> None:
                nonlocal at
                total = self._total(connection, generation)
                for at in numbers:
                    total += self._put(connection, requests[at].work(connection)) + requests[at].gain
                kept = stamp(self._roots[WHOLE], self.id, generation + 1, total % MODULUS)
                rows.advance(connection, generation + 1, kept)

            try:
                roots = {zone: root for number in left for zone, root in requests[number].roots.items()}
                self._sealed([requests[number].told for number in left], work, roots)
                break
            except TakenError:
                errors[at] = RefusedError(
                    "the account has a pending version already, or another process was quicker",
                    remedy="let the next agent password rotate settle it first",
                )
            except RefusedError as error:
                errors[at] = error
        return [errors.get(number) for number in range(len(requests))]

    def _put(self, connection: Connection, changed: Sequence[tuple[Row | None, Row]]) -> int:
        """Write rows; what the balance gains by them."""
        root = self._roots[WHOLE]
        rows.change(connection, [after for before, after in changed if before is not None])
        rows.put(connection, [after for before, after in changed if before is None])
        return sum(weight(root, after) - (weight(root, before) if before else 0) for before, after in changed)

    def _sealed(
        self,
        told: Sequence[Mapping[str, Any]],
        work: Callable[[Connection, int], None],
        roots: Mapping[str, bytes],
        *,
        anew: bool = False,
    ) -> None:
        """Do it in one transaction with the entry that tells of it; again when another process came in between.

        `roots`: root keys that it adds or, `anew`, puts in place of all others.
        """
        fresh = {zone: pin(root, self.id, zone) for zone, root in roots.items()}
        for _ in range(_TRIES):
            with self.store.read() as connection:
                _, generation, _ = self._head(connection)
            if self._pinned[0] != generation:
                self._pinned = self._told()
                if self._pinned[0] != generation:
                    continue
            pins = fresh if anew else {**self._pinned[1], **fresh}

            def both(connection: Connection, generation: int = generation) -> None:
                if self._head(connection)[1] != generation:
                    raise _StaleError
                work(connection, generation)

            try:
                self.ledger.seal_with(rows.KIND, rows.entry(self.id, generation + 1, told, pins), both)
            except _StaleError:
                continue
            self._pinned = generation + 1, pins
            return
        raise RefusedError("other processes change the vault all the time", remedy="try again")

    def _head(self, connection: Connection) -> tuple[str, int, bytes]:
        found = rows.head(connection)
        if found is None or found[0] != self.id:
            raise IntegrityError("the vault is not the one that was opened", remedy=rows.RESTORE)
        return found

    def _total(self, connection: Connection, generation: int) -> int:
        total = stamped(self._roots[WHOLE], self.id, generation, self._head(connection)[2])
        if total is None:
            self._same_roots()
            raise IntegrityError("the vault's balance was changed", where="vault", remedy=rows.RESTORE)
        return total

    def _adds_up(self, connection: Connection, generation: int) -> list[Row]:
        """Every version, once they are known to be as they were left. Raises IntegrityError."""
        total = self._total(connection, generation)
        everything = rows.records(connection)
        if balance(self._roots[WHOLE], everything, rows.slots(connection)) != total:
            raise IntegrityError(
                "records and slots do not add up: one was changed, exchanged, added, taken away or is an old one",
                where="vault",
                remedy=rows.RESTORE,
            )
        return everything

    def sound(self) -> list[Row]:
        """Every version, once it is known that all are there, as they were left, and the store is not an old one.

        Raises:
            IntegrityError: a row was changed, exchanged, added, taken away or brought back from the past.
        """
        self._same_roots()
        for _ in range(_TRIES):
            with self.store.read() as connection:
                _, generation, _ = self._head(connection)
                everything = self._adds_up(connection, generation)
            self._pinned = self._told()
            with self.store.read() as connection:
                if self._head(connection)[1] == generation:
                    break  # else another process changed it between the two looks
        if self._pinned[0] != generation:
            raise IntegrityError(
                f"the vault is at change {generation}, the evidence chain at {self._pinned[0]}: an old copy",
                where="vault",
                remedy=rows.RESTORE,
            )
        return everything

    def _told(self) -> tuple[int, Mapping[str, str]]:
        """Generation and pins of all root keys by the chain's newest entry of the vault. Raises IntegrityError."""
        entry = self.ledger.newest(rows.KIND)
        if entry is None:
            return 0, {}
        told = json.loads(self.ledger.open(entry.seq))
        if (told.get("vault"), told.get("after")) != (self.id, entry.prev):
            raise IntegrityError(
                "the evidence chain's newest entry of the vault is not where it was sealed, or is another vault's: "
                "an old copy",
                where=f"entry {entry.seq}",
                remedy=rows.RESTORE,
            )
        return int(told["generation"]), dict(told["roots"])

    def _same_roots(self) -> None:
        """Raises RefusedError after a rekey by another process, IntegrityError when a root key was slipped in."""
        _, pins = self._told()
        wrong = [zone for zone, root in self._roots.items() if pins.get(zone) != pin(root, self.id, zone)]
        if not wrong:
            return
        if self._pinned[0]:  # they were right when it was opened
            raise RefusedError(
                "the vault has new root keys since it was opened here", where="vault", remedy="open it again"
            )
        raise IntegrityError(
            "a root key was exchanged for another, or added",
            where=f"vault zone {wrong[0] or '(the whole)'}",
            remedy=rows.RESTORE,
        )


def _by_account(everything: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in everything:
        found.setdefault(row.account, []).append(row)
    return found


def _only(mine: Iterable[Row], version: int, state: str) -> Row:
    for row in mine:
        if (row.version, row.state) == (version, state):
            return row
    raise RefusedError(f"version {version} is not {state} any more", remedy="look at agent password status")
