"""What is sealed of a host's answer: both streams as they came, and what is needed to read them again.

secops-host 1
{"banner": ..., "err": bytes, "nonce": ..., "out": bytes, "rc": ..., "seconds": ...}
standard output, then standard error, byte by byte
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from agent.model.errors import UnreachedError
from agent.model.session import Result

MAGIC = b"secops-host 1\n"


@dataclass(frozen=True, slots=True)
class Payload:
    """A host's answer as it came, unsealed."""

    nonce: str
    banner: str
    result: Result


def pack(result: Result, nonce: str, banner: str = "") -> bytes:
    """The payload that is sealed for one collection."""
    head = {
        "banner": banner,
        "err": len(result.stderr),
        "nonce": nonce,
        "out": len(result.stdout),
        "rc": result.rc,
        "seconds": round(result.seconds, 3),
    }
    line = json.dumps(head, sort_keys=True).encode()
    return b"".join((MAGIC, line, b"\n", result.stdout, result.stderr))


def _garbled(problem: str) -> UnreachedError:
    message = f"the sealed answer cannot be read: {problem}"
    return UnreachedError("garbled", message, remedy="run `agent evidence verify`, then scan the host again")


def unpack(payload: bytes) -> Payload:
    """Read a sealed payload again.

    Raises:
        UnreachedError: `garbled`, the payload is not one that `pack` wrote, or was cut.
    """
    try:
        end = payload.index(b"\n", len(MAGIC))
        head = json.loads(payload[len(MAGIC) : end])
        out, err = int(head["out"]), int(head["err"])
        body = payload[end + 1 :]
        result = Result(int(head["rc"]), body[:out], body[out:], float(head["seconds"]))
        sealed = Payload(str(head["nonce"]), str(head["banner"]), result)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise _garbled(str(error)) from None
    if not payload.startswith(MAGIC) or min(out, err) < 0 or len(body) != out + err:
        raise _garbled(f"{len(body)} bytes where {out} + {err} were announced")
    return sealed
