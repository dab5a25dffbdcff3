"""Text as XML bears it: escaped, without the characters that XML 1.0 forbids even when escaped."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@lru_cache(maxsize=8192)  # the same words stand at many targets
def legal(text: str) -> str:
    """Text for element content or a quoted attribute."""
    if not text.isprintable():
        text = _ILLEGAL.sub("", text)
    return escape(text)
