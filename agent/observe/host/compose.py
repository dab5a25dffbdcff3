"""The one script of a host: base sections, the reads of controls, the middleware's sections."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.model.control import Control
from agent.model.frames import Section, compose
from agent.observe import middleware, software
from agent.observe.host import shell, shell_packages

PREFIX = "control."
"""Key of a control's own read: `control.<id>`."""


def script(controls: Sequence[Control], nonce: str) -> str:
    """POSIX sh for one host: what all hosts are asked, and what the selected controls read.

    Args:
        controls: the selected controls of every kind; those of `linux` are read here.
        nonce: letters and digits that the target cannot know beforehand (see observe.frames).

    Raises:
        ValueError: the nonce holds something else, or two controls have one id.
    """
    if not re.fullmatch(r"[A-Za-z0-9]{16,64}", nonce):
        raise ValueError("a nonce is 16 to 64 letters and digits")
    own = [control for control in controls if control.target == "linux"]
    named = {
        table: {key for control in own if control.read.table == table for key in control.read.keys}
        for table in ("sysctl", "file")
    }
    sections = shell.sections(named["sysctl"], named["file"])
    sections += [Section(PREFIX + one.id, one.read.text) for one in own if one.read.kind == "sh"]
    sections += middleware.sections(controls)
    sections += software.sections()
    # the package managers stand last: what is slowest must not cost the rest when the deadline comes
    sections += shell_packages.sections()
    keys = [section.key for section in sections]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a section twice: {sorted(key for key in keys if keys.count(key) > 1)}")
    return compose(sections, nonce)
