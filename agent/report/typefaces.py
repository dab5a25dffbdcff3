"""Where the Chinese fonts of this machine lie; PDF and charts embed them."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/texmf/fonts/opentype",
    "~/.local/share/fonts",
    "~/.fonts",
)
# Serif for the body (it stands in for 仿宋), sans for headings (for 黑体); names as Debian, Fedora, Kylin and
# openEuler package them: one collection for all languages, or one file for each.
_NEEDLES = ("notoserifcjk", "notosanscjk", "notoserifsc", "notosanssc", "sourcehanserif", "sourcehansans")
_OWN = ("fangsong", "simfang", "fzxbs", "fzxiaobiaosong", "simhei", "simkai", "kaiti")
_SUFFIXES = {".ttf", ".ttc", ".otf", ".otc"}


def _fits(name: str) -> bool:
    plain = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    if any(plain.startswith(own) for own in _OWN):
        return True
    if not any(plain.startswith(needle) for needle in _NEEDLES):
        return False
    # Nine weights of each would cost start time and memory for nothing.
    return any(weight in plain for weight in ("regular", "bold", "vf", "[wght]")) and "semibold" not in plain


@cache
def fonts() -> tuple[Path, ...]:
    """Font files with Chinese glyphs, sorted; empty when there are none (apt install fonts-noto-cjk)."""
    found: set[Path] = set()
    for folder in FOLDERS:
        for base, _folders, files in os.walk(Path(folder).expanduser()):
            found.update(Path(base) / name for name in files if Path(name).suffix.lower() in _SUFFIXES and _fits(name))
    return tuple(sorted(found))


def folders() -> list[str]:
    """The folders of those files, as Typst wants them."""
    return sorted({str(path.parent) for path in fonts()})
