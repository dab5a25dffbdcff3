"""One transaction on one host: the scripts that are run there, and what they answered.

    begin    lock, capture, arm the timer, write, validate, apply     (first connection)
    look     read again, note what is left                            (a fresh connection, with privilege)
    confirm  claim the token: an atomic rename that the undo wants too (the same fresh connection)
    undo     the other claim; the timer, a boot and an operator run the same file

Until `begin` has armed the timer nothing is changed; after that whatever happens to the
agent or the connection, the target comes back by itself. See docs/hardening.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from agent.change.library import TXROOT, acts_function, handles_function, modules, ranked
from agent.model.change import Act, Handle, Step, TxState
from agent.model.frames import Answer, Section, compose

TTL = 300
"""Seconds after which the target undoes what was not confirmed."""
BUSY = 75
"""Exit code of `open` when another transaction holds the target (EX_TEMPFAIL)."""
_END = "SECOPS_UNDO_END"


@dataclass(frozen=True, slots=True)
class Transaction:
    """Steps that are confirmed or undone together."""

    id: str
    """`[A-Za-z0-9-]+`, unique for all times: it names a folder and a unit on the target."""
    steps: tuple[Step, ...]
    library: tuple[str, ...] = ()
    """Modules that the steps' resources name."""
    ttl: int = TTL
    arm: tuple[str, ...] = ()
    """Methods of arming, tried in order; empty: systemd-run, at, nohup."""
    txroot: str = TXROOT

    @property
    def handles(self) -> tuple[Handle, ...]:
        """Every handle once, in the order of restoring."""
        return ranked(handle for step in self.steps for handle in step.handles)

    @property
    def acts(self) -> tuple[Act, ...]:
        """Every act once."""
        return tuple(dict.fromkeys(act for step in self.steps for act in step.acts))

    @property
    def irreversible(self) -> bool:
        """No undo: nothing is armed, the journal says what was begun and what ended."""
        return any(step.irreversible for step in self.steps)

    def preamble(self) -> str:
        """Library and definitions that every script of this transaction begins with."""
        head = f"TX={quote(self.id)}; TXROOT=$R{self.txroot}; TTL={self.ttl}; ARM={quote(' '.join(self.arm))}"
        return "\n".join(
            [head, modules(self.library, self.handles), handles_function(self.handles), acts_function(self.acts)]
        )

    def undo_file(self) -> str:
        """The file that undoes it, complete in itself."""
        return "\n".join(
            [
                "LC_ALL=C; export LC_ALL; umask 077",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin; export PATH; R=",
                self.preamble(),
                'case ${1:-} in keep) tx_keep "$2" ;; until) tx_until "$2" ;; *) tx_undo "${1:-timer}" ;; esac',
                "",
            ]
        )

    def begin(self, nonce: str) -> str:
        """Lock, capture, arm, write, validate, apply. Frames: `open`, `capture`, `arm`, `step.N`, `validate`, `apply`."""
        if self.irreversible:
            return self._oneway(nonce)
        undo = f"cat >\"$D/undo.sh\" <<'{_END}' || {{ tx_abandon; exit 73; }}\n{self.undo_file()}\n{_END}\n"
        guard = "tx_writing || exit 9\n"
        failed = "|| { _why=$?; tx_undo agent; exit $_why; }"
        checks = list(dict.fromkeys(step.validate for step in self.steps if step.validate))
        sections = [
            Section("open", "tx_open"),
            Section("capture", f"tx_mine || exit 9\ntx_capture || {{ tx_abandon; exit 73; }}\n{undo}"),
            Section("arm", "tx_mine || exit 9\ntx_arm || { tx_abandon; exit 74; }"),
            *(
                Section(f"step.{number}", f"{guard}{_apart(step.write)} {failed}")
                for number, step in enumerate(self.steps, 1)
            ),
            *(
                Section(f"validate.{number}", f"{guard}{_apart(check)} {failed}")
                for number, check in enumerate(checks, 1)
            ),
            Section("apply", f"{guard}acts {failed}"),
            Section("state", f"tx_word {quote(self.id)}"),
        ]
        return compose(sections, nonce, self.preamble())

    def _oneway(self, nonce: str) -> str:
        """Begin what cannot be undone: no timer; the journal tells whether it came to its end."""
        failed = "|| { _why=$?; tx_unlock; exit $_why; }"
        checks = list(dict.fromkeys(step.validate for step in self.steps if step.validate))
        on = '[ -e "$D/oneway" ] && [ "$(readlink "$TXROOT/lock")" = "$TX" ] || exit 9\n'
        sections = [
            Section("open", "tx_open && { tx_capture && tx_oneway || { tx_abandon; exit 73; }; }"),
            *(
                Section(f"step.{number}", f"{on}{_apart(step.write)} {failed}")
                for number, step in enumerate(self.steps, 1)
            ),
            *(Section(f"validate.{number}", f"{on}{_apart(check)} {failed}") for number, check in enumerate(checks, 1)),
            Section("apply", f"{on}acts {failed}; tx_ended"),
            Section("state", f"tx_word {quote(self.id)}"),
        ]
        return compose(sections, nonce, self.preamble())

    def look(self, nonce: str, reads: Sequence[Section]) -> str:
        """Over the fresh login: the reads of its items, the steps' own confirmations, what the handles are now."""
        checks = list(dict.fromkeys(step.confirm for step in self.steps if step.confirm))
        sections = [
            *reads,
            *(Section(f"confirm.{number}", check) for number, check in enumerate(checks, 1)),
            Section("left", "tx_live || exit 9\ntx_each left; _lost=$?; tx_each digest; exit $_lost"),
            Section("who", 'id -u; printf "%s\\n" "${SSH_CONNECTION:-${SUDO_USER:-}}"'),
        ]
        return compose(sections, nonce, self.preamble())

    def confirm(self, nonce: str) -> str:
        """Claim it. Frame `confirm`: exit code 0 and `confirmed`, or 1 and how it stands instead."""
        return compose([Section("confirm", "tx_confirm")], nonce, self.preamble())

    def undo(self, nonce: str) -> str:
        """Undo it now, by the file that lies on the target. Frame `undo`: its last line is the state."""
        return compose(
            [Section("undo", f'[ -s "$D/undo.sh" ] && /bin/sh "$D/undo.sh" agent; tx_word {quote(self.id)}')],
            nonce,
            self.preamble(),
        )

    def compare(self, nonce: str) -> str:
        """Whether each handle still is as this transaction left it. Frame `compare`: `N kept|moved|back|unknown KIND ARG`."""
        return compose([Section("compare", "tx_each moved")], nonce, self.preamble())


def _apart(script: str) -> str:
    """In a subshell of its own, so that a syntax error in it ends that subshell, and is a failure like any other."""
    return f"(eval {quote(script)}\n)"


def reverting(old: Transaction, only: Sequence[int], group: str) -> Step:
    """The one step that puts back what a confirmed transaction captured, as a transaction of its own.

    Args:
        old: with the same steps as it was done with, so that its handles bear the same numbers.
        only: numbers of the handles to put back (those that `compare` calls `kept`).
        group: the old one's.

    What only a restart takes away still differs after the first round; it is applied then, as an undo does.
    """
    numbers = " ".join(map(str, only))
    write = f"""_back=$D; D=$TXROOT/tx/{quote(old.id)}; _only={quote(numbers)}
cat "$D"/*.dirs >"$_back/made.dirs" 2>/dev/null
tx_each restore || exit 1
_said=$(tx_each proof) && exit 0
acts && tx_each restore && tx_each proof >&2 || {{ echo "$_said" >&2; exit 1; }}"""
    handles = tuple(handle for number, handle in enumerate(old.handles, 1) if number in only)
    return Step(
        "revert",
        group,
        old.id,
        "",
        "",
        _renumbered(write, old.handles),
        handles=handles,
        validate="\n".join(dict.fromkeys(step.validate for step in old.steps if step.validate)),
        acts=old.acts,
        risk=tuple(dict.fromkeys(risk for step in old.steps for risk in step.risk)),
    )


def _renumbered(write: str, handles: Sequence[Handle]) -> str:
    """The write, run with the old transaction's own numbering of handles."""
    return f"{handles_function(handles)}\n{write}"


def states(ids: Sequence[str], nonce: str, txroot: str = TXROOT) -> str:
    """Ask a target how transactions stand, after what killed agents left there was taken away.

    Frames: `tx.ID`, and `lock`, whose text is the holder's id.
    """
    head = f"TX=none; TXROOT=$R{txroot}\nhandles() {{ :; }}; acts() {{ :; }}\n" + modules(())
    sections = [
        Section("sweep", "tx_sweep"),
        *(
            Section(f"tx.{each}", f'tx_word {quote(each)}; tail -n 20 "$TXROOT/tx/{each}/log" 2>/dev/null; exit 0')
            for each in ids
        ),
    ]
    return compose([*sections, Section("lock", 'readlink "$TXROOT/lock" || exit 0')], nonce, head)


def state_of(answer: Answer | None) -> TxState:
    """The state that a frame's first line tells; UNKNOWN when it tells none."""
    words = answer.text.split() if answer else []
    try:
        return TxState(words[0])
    except (IndexError, ValueError):
        return TxState.UNKNOWN


@dataclass(frozen=True, slots=True)
class Begun:
    """What `begin` answered."""

    state: TxState
    busy: str = ""
    """Id of the transaction that holds the target."""
    armed_by: str = ""
    failed: str = ""
    """The frame that failed first, e.g. `step.2`; empty when all went well."""
    why: str = ""
    """What it said."""


def begun(answers: Mapping[str, Answer]) -> Begun:
    """Read the frames of `begin`."""
    state = state_of(answers.get("state"))
    opened = answers["open"]
    if opened.rc == BUSY:
        return Begun(
            TxState.ABSENT, busy=opened.text.strip() or "?", failed="open", why="another transaction holds the target"
        )
    arm = answers.get("arm")
    match arm.text.split() if arm else []:
        case ["armed", armed_by, _]:
            pass
        case _:
            armed_by = ""
    for key, answer in answers.items():
        if answer.rc != 0 and key != "state":
            said = (answer.errors.strip() or answer.text.strip() or f"exit code {answer.rc}")[-600:]
            return Begun(state, armed_by=armed_by, failed=key, why=said)
    return Begun(state, armed_by=armed_by)


def digests(answer: Answer) -> dict[int, tuple[str, str]]:
    """From the frame `left`: handle number to SHA-256 of its state before and after."""
    found = {}
    for line in answer.text.splitlines():
        match line.split():
            case [number, before, after] if number.isdigit():
                found[int(number)] = (before, after)
    return found
