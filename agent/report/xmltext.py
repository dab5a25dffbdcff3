"""Text as XML bears it: escaped, without the characters that XML 1.0 forbids even when escaped."""

from __future__ import annotations

import re
from html import escape

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal(text: str) -> str:
    """Text for element content or a quoted attribute."""
    if not text.isprintable():
        text = _ILLEGAL.sub("", text)
    return escape(text)
