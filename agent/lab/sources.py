"""This machine's own package sources, read for a build; a mirror's address is never written into the project."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.lab.run import run, write
from agent.model.errors import ToolError

INSIDE = "/run/agentlab"
"""Where a build sees them: on the container's own tmpfs, so that nothing stays behind."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Files for apt, prepared in `folder`."""

    folder: Path
    binds: tuple[str, ...]
    """For systemd-nspawn, without the leading `--bind`."""
    inside_main: str = f"{INSIDE}/main.conf"
    """$APT_CONFIG inside a build: the main suite alone."""
    inside_all: str = f"{INSIDE}/all.conf"
    """$APT_CONFIG inside a build: the main and the security suite."""


def machine_sources(folder: Path, suite: str, etc: Path = Path("/etc/apt")) -> Sources:
    """Write apt configuration for builds into `folder`, from what this machine uses.

    Raises:
        ToolError: the machine names no source of that Debian suite.
    """
    lines = list(one_line_sources(etc))
    main = [line for line in lines if re.search(rf"\s{suite}\s", line)]
    security = [line for line in lines if re.search(rf"\s{suite}-security\s", line)]
    if not main or not security:
        raise ToolError(
            f"this machine has no apt source of Debian {suite} and {suite}-security to build the lab from",
            where=str(etc),
            remedy=f"add both suites (component main), e.g. in {etc}/sources.list.d/debian.sources",
        )
    write(folder / "main.list", "\n".join(main) + "\n")
    write(folder / "all.list", "\n".join(main + security) + "\n")
    acquire = [line for line in run("apt-config", "dump").splitlines() if line.startswith("Acquire::")]
    write(folder / "acquire.conf", "\n".join(acquire) + "\n")
    for name in ("main", "all"):
        text = [
            f'Dir::Etc::SourceList "{INSIDE}/{name}.list";',
            'Dir::Etc::SourceParts "/dev/null";',
            f'Dir::State::Lists "{INSIDE}/lists";',
            'APT::Install-Recommends "false";',
            'APT::Sandbox::User "root";',
            *acquire,
        ]
        write(folder / f"{name}.conf", "\n".join(text) + "\n")
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    binds = [f"={folder}:{INSIDE}", "-ro=/usr/share/keyrings", "-ro=/etc/resolv.conf:/etc/resolv.conf"]
    return Sources(folder, tuple(binds))


def one_line_sources(etc: Path) -> Iterator[str]:
    """Every binary source below an apt folder, in the one-line form, one suite a line."""
    for file in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        if file.is_file():
            for line in file.read_text(encoding="utf-8").splitlines():
                if line.startswith("deb "):
                    yield line.split("#")[0].strip()
    for file in sorted((etc / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", file.read_text(encoding="utf-8")):
            yield from _stanza(stanza)


def _stanza(stanza: str) -> Iterator[str]:
    """Lines of one deb822 stanza; comments and disabled stanzas give none."""
    text = "\n".join(line for line in stanza.splitlines() if not line.startswith("#"))
    fields = {
        name.lower(): " ".join(value.split())
        for name, value in re.findall(r"^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)", text, flags=re.MULTILINE)
    }
    if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
        return
    signed = fields.get("signed-by", "")
    option = f"[signed-by={signed}] " if signed.startswith("/") else ""
    for uri in fields.get("uris", "").split():
        for suite in fields.get("suites", "").split():
            yield f"deb {option}{uri} {suite} {fields.get('components', '')}".rstrip()
