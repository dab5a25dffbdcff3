"""Start programs and write files; failures become one clear sentence."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from agent.model.errors import ToolError

ROOM = "free some disk space (the lab takes about 3 GB), or name another folder with $AGENT_LAB_CACHE"
_NOISE = "Attempted to remove disk file system"
"""systemd-nspawn says this at each clean exit."""


def run(
    *argv: str, stdin: str = "", check: bool = True, timeout: float = 900, env: dict[str, str] | None = None
) -> str:
    """Run a program to its end and return its standard output.

    Args:
        argv: program and arguments; never a secret.
        stdin: text for its standard input; secrets go here.
        check: raise on a non-zero exit code.
        timeout: seconds.
        env: variables added to this process's.

    Raises:
        ToolError: the program is missing, ran too long or (with check) failed.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            env={**os.environ, **(env or {})},
        )
    except FileNotFoundError as error:
        raise ToolError(
            f"{argv[0]} is not installed", remedy="python -m agent.lab.needs lists the packages to install"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{argv[0]} did not end within {timeout:.0f} s", where=" ".join(argv)) from error
    except OSError as error:
        raise explain(error) from error
    if check and done.returncode != 0:
        said = [line for line in (done.stderr.strip() or done.stdout.strip()).splitlines() if _NOISE not in line]
        where = " ".join(argv[:4])[:100]
        if "No space left" in done.stderr:
            raise ToolError("the disk is full", where=where, remedy=ROOM)
        raise ToolError(f"exit code {done.returncode}: {' | '.join(said[-4:]) or 'no output'}", where=where)
    return done.stdout


def explain(error: OSError) -> ToolError:
    """Turn an OSError into a sentence that says what to do."""
    where = str(error.filename or "")
    if error.errno == errno.ENOSPC:
        return ToolError("the disk is full", where=where, remedy=ROOM)
    return ToolError(error.strerror or str(error), where=where)


def write(path: Path, text: str | bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Write a file whole: made with its final mode before its content is there; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode() if isinstance(text, str) else text
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as handle:
        os.fchmod(handle.fileno(), mode)
        if owner:
            os.fchown(handle.fileno(), *owner)
        handle.write(data)
    temporary.replace(path)
