"""Answers by section, and a note of each that is none: nothing is silently empty (rule 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from agent.model.frames import Answer
from agent.model.text import one_line

T = TypeVar("T")
_ERROR = 2
"""Exit codes from here on are errors; 0 and 1 are answers."""
_TIMED_OUT = (124, 137)
_LENIENT = ("base", "file", "sysctl", "setuid", "mount")
"""Sections whose program answers 1 for one thing of many (a file that vanished); for the others 1 is an error."""


def reason(answer: Answer | None, floor: int = _ERROR) -> str:
    """Why a section is no answer; empty when it is one. Exit codes from `floor` on are errors."""
    if answer is None:
        return "the host did not answer this section"
    if answer.rc in _TIMED_OUT:
        return "timed out on the host"
    if answer.rc >= floor:
        said = one_line(answer.errors) or one_line(answer.text, 120)
        return f"exit code {answer.rc}: {said}" if said else f"exit code {answer.rc}"
    return ""


@dataclass
class Reader:
    """Answers by section, and what could not be seen, noted as it is asked for."""

    answers: Mapping[str, Answer]
    unseen: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    tables: dict[str, dict[str, str]] = field(default_factory=dict)

    def text(self, key: str) -> str | None:
        """The section's text, or None, the reason noted."""
        answer = self.answers.get(key)
        why = reason(answer, floor=_ERROR if key in _LENIENT else 1)
        if why:
            self.unseen[key] = why
            return None
        return answer.text if answer else None

    def table(self, name: str, key: str, read: Callable[[str], dict[str, str]]) -> None:
        """Fill a table from a section, or note it as missing."""
        text = self.text(key)
        if text is None:
            self.missing[name] = self.unseen[key]
        else:
            self.tables[name] = read(text)

    def value(self, key: str, read: Callable[[str], T]) -> T | None:
        """A value from a section, or None, the reason noted."""
        text = self.text(key)
        return None if text is None else read(text)

    def excuse(self, key: str) -> None:
        """A section that this host cannot have (no such program) is not unseen."""
        self.unseen.pop(key, None)
