"""Controls judged on a subject: the reading that was recorded against what the control expects.

Invariants: an error is never a pass; what does not apply is never a pass; each control
of the subject's kind gets exactly one verdict.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.judge import expect as expects
from agent.model.control import Control, Expect, Outcome, Verdict
from agent.model.finding import Finding, FindingKind, FindingState
from agent.model.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.model.asset import Layer
    from agent.model.facts import Subject

FEATURES = "features"
"""Key of `Subject.missing` under which stands why the subject's features are not known."""
_ANSWERED = (0, 1)
"""Exit codes that are an answer; 2 and above are errors (grep: 1 is no match, 2 could not read)."""

_LEADING = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})*")
COMPARISON = re.compile(r"\s*(>=|<=|==|<|>)\s*([0-9]{1,9}(?:\.[0-9]{1,9})*)\s*")
"""One comparison of `applies.version`."""

_STATES = {
    Outcome.FAIL: FindingState.OPEN,
    Outcome.MANUAL: FindingState.MANUAL,
    Outcome.ERROR: FindingState.UNKNOWN,
}


class _Unread(Exception):  # noqa: N818 - a turn of the story, not an error of the program
    """The control's value could not be had; carries the result that this means."""

    def __init__(self, result: expects.Result) -> None:
        super().__init__(result.reason)
        self.result = result


def judge(subject: Subject, controls: Sequence[Control]) -> list[Verdict]:
    """Judge the controls whose `target` is the subject's kind, in their order; others are passed over."""
    return [_verdict(subject, control) for control in controls if control.target == subject.kind]


def _verdict(subject: Subject, control: Control) -> Verdict:
    actual = ""
    result = _applies(subject, control)
    if result is None:
        try:
            value = _read(subject, control)
        except _Unread as unread:
            result = unread.result
            if result.outcome is not Outcome.ERROR:
                actual = "未设置"
        else:
            result = expects.compare(control.expect, value)
            bad = result.outcome in {Outcome.FAIL, Outcome.MANUAL}
            actual = _shown(expects.culprits(control.expect, value) if bad else value)
            if (
                result.outcome is Outcome.PASS
                and control.read.kind == "table"
                and not subject.tables[control.read.table]
            ):
                # Nothing was read, so nothing was found wrong: that is no pass.
                result = expects.Result(Outcome.ERROR, f"{control.read.table} 为空，不能据此判定为符合")
    return Verdict(
        control=control.id,
        target=subject.target,
        location=subject.location,
        outcome=result.outcome,
        actual=actual,
        expected=one_line(expects.wanted(control.expect)),
        reason=one_line(result.reason),
    )


def _shown(value: expects.Value) -> str:
    if isinstance(value, str):
        text = "；".join(line.strip() for line in value[: expects.LIMIT].splitlines() if line.strip())
    else:
        text = "；".join(f"{key} = {item}" for key, item in value.items())
    return one_line(text) or "（空）"


def _applies(subject: Subject, control: Control) -> expects.Result | None:
    """Return None when the control is to be judged, else why it is not (or why that is not known)."""
    applies = control.applies
    if applies.when and (wrong := _when(subject, applies.when)):
        return wrong
    if applies.family:
        if not subject.family:
            return expects.Result(Outcome.ERROR, "系统家族未知，不能判断是否适用")
        if subject.family not in applies.family:
            return expects.Result(Outcome.NOT_APPLICABLE, f"不适用于 {subject.family}")
    if applies.version:
        hit = _LEADING.match(subject.version)
        if hit is None:
            return expects.Result(Outcome.ERROR, "版本未知，不能判断是否适用")
        if not all(_holds(hit.group(), each) for each in applies.version.split(",")):
            return expects.Result(Outcome.NOT_APPLICABLE, f"不适用于版本 {subject.version}")
    return None


def _when(subject: Subject, wanted: Sequence[str]) -> expects.Result | None:
    """Return why the features rule the control out; None when they do not."""
    if FEATURES in subject.missing:
        # What could not be looked for is not absent: not applicable would read as mended.
        return expects.Result(Outcome.ERROR, f"不能判断是否适用：{subject.missing[FEATURES]}")
    for feature in wanted:
        name = feature.removeprefix("!")
        if (name in subject.features) == feature.startswith("!"):
            return expects.Result(Outcome.NOT_APPLICABLE, f"{'存在' if feature.startswith('!') else '没有'} {name}")
    return None


def _dotted(text: str, width: int) -> tuple[int, ...]:
    parts = [int(part) for part in text.split(".")]
    return (*parts, *[0] * (width - len(parts)))


def _holds(version: str, comparison: str) -> bool:
    hit = COMPARISON.fullmatch(comparison)
    if hit is None:  # refused when playbooks are loaded
        raise ValueError(f"version comparison {comparison!r}")
    sign, other = hit.groups()
    width = max(version.count("."), other.count(".")) + 1
    left, right = _dotted(version, width), _dotted(other, width)
    return {">=": left >= right, "<=": left <= right, "==": left == right, "<": left < right, ">": left > right}[sign]


def _read(subject: Subject, control: Control) -> expects.Value:
    if control.read.kind == "table":
        return _table(subject, control)
    reading = subject.reads.get(control.id)
    if reading is None:
        raise _Unread(expects.Result(Outcome.ERROR, "没有读取结果"))
    if reading.error:
        raise _Unread(expects.Result(Outcome.ERROR, f"读取出错：{reading.error}"))
    if reading.rc not in _ANSWERED:
        raise _Unread(expects.Result(Outcome.ERROR, f"读取出错：退出码 {reading.rc}"))
    return reading.text


def _keyed(expect: Expect) -> bool:
    """Whether each key is judged by itself, so that the whole mapping is the value."""
    return expect.op == "kv" or (expect.op in {"all", "any"} and any(map(_keyed, expect.every)))


def _table(subject: Subject, control: Control) -> expects.Value:
    read, expect = control.read, control.expect
    if read.table in subject.missing:
        raise _Unread(expects.Result(Outcome.ERROR, f"没有读到 {read.table}：{subject.missing[read.table]}"))
    table = subject.tables.get(read.table)
    if table is None:
        raise _Unread(expects.Result(Outcome.ERROR, f"没有读到 {read.table}"))
    if not read.keys:
        return dict(table)
    found = {key: table[key] for key in read.keys if key in table}
    if _keyed(expect) or expect.op == "manual":
        return found
    for key in read.keys:
        if key not in table:
            raise _Unread(expects.absent(expect, key))
    return found[read.keys[0]] if len(read.keys) == 1 else found


def findings(
    verdicts: Iterable[Verdict], controls: Iterable[Control], layer: Layer, evidence: tuple[int, ...]
) -> list[Finding]:
    """Turn verdicts into findings: fail is open, manual manual, error unknown; pass and not_applicable are none.

    Raises:
        KeyError: a verdict names a control that is not among `controls`.
    """
    known = {control.id: control for control in controls}
    rows = []
    for verdict in verdicts:
        control = known[verdict.control]
        state = _STATES.get(verdict.outcome)
        if state is None:
            continue
        rows.append(
            Finding(
                target=verdict.target,
                layer=layer,
                kind=FindingKind.CONTROL,
                check=control.id,
                location=verdict.location,
                title=control.title,
                severity=control.severity,
                state=state,
                actual=verdict.actual,
                expected=verdict.expected,
                remedy=control.remedy,
                clause=control.clause,
                evidence=evidence,
                detail=verdict.reason,
            )
        )
    return rows
