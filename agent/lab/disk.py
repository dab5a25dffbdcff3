"""A disk of feeds for the lab: what its RPM vendors published, and advisories for what was put there by hand."""

from __future__ import annotations

from pathlib import Path

import yaml

from agent.lab.cache import recipe
from agent.lab.rpmrepo import updateinfo
from agent.lab.run import write


def write_disk(folder: Path) -> Path:
    """Write the feeds below the folder, as they would come over the air gap; return it."""
    for family, declared in yaml.safe_load(recipe("rpm-packages.yaml")).items():
        write(folder / f"{family}-updateinfo.xml", updateinfo(declared))
    for name in ("advisories.csv", "kev.json"):
        write(folder / name, recipe(name))
    return folder
