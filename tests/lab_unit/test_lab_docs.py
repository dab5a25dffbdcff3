"""docs/lab.md cannot drift: it lists each control once, and as proven exactly what the lab plants."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("proven", "file-only", "vm-only", "not-provable")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
REMEDY = "list it in docs/lab.md under `file-only`, or plant it (expected.yaml, agent/lab/plant) and list it as proven"


def _listed() -> dict[str, list[str]]:
    text = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
    lists = {kind: re.search(rf"<!-- {kind} -->(.*?)<!-- /{kind} -->", text, re.DOTALL)[1] for kind in KINDS}
    return {kind: re.findall(r"[A-Z]{2,3}-[A-Z]{2}-[A-Z0-9-]+", block) for kind, block in lists.items()}


def _controls() -> set[str]:
    found = set()
    for file in (ROOT / "playbooks").glob("*.yaml"):
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=LOADER)  # the one that reads them in earnest
        found |= {control["id"] for control in document["controls"]}
    return found


def test_each_control_is_listed_once():
    listed = [control for block in _listed().values() for control in block]
    assert len(listed) == len(set(listed))
    assert _controls() - set(listed) == set(), REMEDY
    assert set(listed) - _controls() == set(), "no such control in playbooks/"


def test_proven_is_what_the_lab_plants():
    planted = yaml.safe_load((ROOT / "tests" / "lab" / "expected.yaml").read_text(encoding="utf-8"))["planted"]
    assert set(_listed()["proven"]) == {line["check"] for line in planted} & _controls()
