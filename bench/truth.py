"""How right the matching is: precision and recall over lists whose right answer somebody else decided.

python bench/truth.py [FOLDER] [--only NAME] [--show]   ($AGENT_TEST_FEEDS, else ../shared/feeds)

`--show` prints the differences too. What each set rests on is said in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.truth_table import HEAD, Tally  # noqa: E402 - the path is set first

SETS = ("alma", "openeuler", "debian", "redhat", "rules", "windows")


def measure(feeds: Path, place: Path, only: str = "") -> Iterator[Tally]:
    """Rows of all sets, as they are done."""
    for name in SETS:
        if only in {"", name} and find_spec(f"bench.truth_{name}"):
            yield from import_module(f"bench.truth_{name}").tallies(feeds, place)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=os.environ.get("AGENT_TEST_FEEDS") or ROOT.parent / "shared/feeds")
    parser.add_argument("--only", default="")
    parser.add_argument("--show", action="store_true")
    asked = parser.parse_args()
    print(HEAD)
    with tempfile.TemporaryDirectory() as place:
        for row in measure(Path(asked.folder), Path(place), asked.only):
            print(row.line(), flush=True)
            if asked.show:
                print("\n".join(f"    {one}" for one in row.differences), file=sys.stderr)


if __name__ == "__main__":
    main()
