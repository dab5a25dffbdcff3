"""Write agent/observe/debian-sources.txt anew: which source a Debian binary package is built from.

python tools/debian_sources.py LIST... : sources that the security tracker's lists (or lines of JSON with a field
`source`) name, and what this machine's apt lists say is built of them or of another series (python3.9, python3.11).
`dpkg -l` tells no source, and advisories are about sources.
"""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

OUT = Path(__file__).parents[1] / "agent" / "observe" / "debian-sources.txt"
HEAD = """\
# Debian 12: source package and the binary packages built of it whose name is another. Sources that ever had a security
# advisory only. Made by tools/debian_sources.py from apt's package lists.
"""


def built() -> dict[str, str]:
    """Binary to source, from apt's lists."""
    found = {}
    for path in sorted(Path("/var/lib/apt/lists").glob("*_Packages*")):
        done = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", str(path)], capture_output=True, check=True)
        for stanza in done.stdout.decode().split("\n\n"):
            name = re.search(r"^Package: (\S+)", stanza, re.MULTILINE)
            source = re.search(r"^Source: (\S+)", stanza, re.MULTILINE)
            if name and source:
                found[name[1]] = source[1]
    return found


def named(paths: list[str]) -> set[str]:
    """Sources that the tracker's lists name."""
    found: set[str] = set()
    for path in paths:
        raw = Path(path).read_bytes()
        text = (gzip.decompress(raw) if path.endswith(".gz") else raw).decode("utf-8")
        found |= set(re.findall(r"^\s+\[\w+\] - (\S+)", text, re.MULTILINE))
        found |= set(re.findall(r'"source": "([^"]+)"', text))
    return found


def series(source: str) -> str:
    """A source's name without its series: python3.11 is python, postgresql-15 is postgresql."""
    return re.sub(r"-?\d[\d.]*$", "", source)


def main() -> None:
    """Write the table."""
    wanted, by_source = named(sys.argv[1:]), {}
    stems = {series(source) for source in wanted if series(source) != source}
    for binary, source in built().items():
        if binary != source and (source in wanted or series(source) in stems):
            by_source.setdefault(source, []).append(binary)
    lines = [f"{source}: {' '.join(sorted(binaries))}\n" for source, binaries in sorted(by_source.items())]
    OUT.write_text(HEAD + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
