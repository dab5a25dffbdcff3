"""The one place where text from a target becomes safe to show (rule 9)."""

from __future__ import annotations

import re
import unicodedata

CAP = 400
"""Most characters of one hostile text in a report; the whole lies in the evidence."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[@-Z\\-_])")
_NONCHARACTER = 0xFFFE
"""The last two code points of every plane are no characters (Unicode 23.7)."""
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


def decode(raw: bytes) -> str:
    r"""Decode bytes from a target: UTF-8, else GB 18030, else UTF-8 with `\\x..` for what is not."""
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("utf-8", "backslashreplace")


def _shown(char: str) -> str:
    if char in "\n\t":
        return char
    code = ord(char)
    category = unicodedata.category(char)
    if category in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} or char in _BIDI or (code & _NONCHARACTER) == _NONCHARACTER:
        return f"\\x{code:02x}"
    return char


def clean(text: str, cap: int | None = None) -> str:
    r"""Strip ANSI sequences, show control, bidi and non-characters as `\\x..`, cut at `cap` characters."""
    if not text.isascii() or not text.isprintable():
        text = "".join(map(_shown, _ANSI.sub("", text)))
    if cap is not None and len(text) > cap:
        return text[:cap] + "…（全文见证据）"
    return text


def one_line(text: str, cap: int = CAP) -> str:
    """Clean and fold to one line."""
    return clean(" ".join(text.split()), cap)
