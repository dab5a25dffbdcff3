"""Every control of playbooks/ has a case in which it fails and one in which it passes, as data.

`cases/<CONTROL ID>.yaml` maps an outcome to one case or a list of cases:

    fail: ...            # judged so, or the test fails; `fail` and `pass` are both required,
    pass: ...            # for a control that expects `manual`, `manual` alone is required (with `pass`, if it is one
                         # of several under `any`)
    error: ...           # welcome: what must not be judged
    not_applicable: ...

A case says what the target looks like, by how the control is read:

    tables: {sshd: {permitrootlogin: "yes"}}      # read.table: the tables as the collector fills them
    rows: "root | %"                              # read.sql: rows as lines, columns joined by ` | `
    files:                                        # read.sh: the fake root, $R
      /etc/login.defs: "UMASK 022"                #   a text, or
      /etc/shadow: {text: "root:*:1::::::", mode: 0644, days: 3}   # with mode and age in days, or
      /var/log/audit: {dir: true, mode: 0700}     #   a folder, or
      /etc/localtime: {link: /usr/share/x}        #   a link
    commands:                                     # fake programs on PATH (nothing but coreutils, findutils,
      ss: "LISTEN 0 128 0.0.0.0:23 0.0.0.0:*"     #   grep, sed, awk and gzip is there besides): an output, or
      systemctl:                                  #   answers by arguments (a shell pattern), first match wins;
      - {args: "is-active *", out: inactive, rc: 3}   # no match: no output, exit code 1
    vars: {CONF: $R/etc/nginx/nginx.conf, PID: 1} # what a middleware snippet gets beside $R
    subject: {family: rhel, version: 7, features: [sshd]}   # default: what `applies` asks for, version 12

Snippets are run by dash and by bash, framed as on a target, without root. On a host on which nothing
can be seen (empty root, no programs) no snippet may pass: it says `exit 2` instead.

For SQL, an `error` case is made of itself: rows with exit code 2 never pass.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.declared.playbooks import load_playbooks, shipped_playbooks
from agent.declared.yamlfile import load
from agent.judge.controls import judge
from agent.model.control import Control, Outcome, Verdict
from agent.model.facts import Reading, Subject
from agent.model.frames import Section, compose, split

CASES = Path(__file__).parent / "cases"
OUTCOMES = ("fail", "pass", "manual", "error", "not_applicable")
KEYS = {"tables", "files", "commands", "rows", "vars", "subject", "note"}
SHELLS = tuple(shell for shell in ("dash", "bash") if shutil.which(shell))
_PLAIN = (
    "awk basename cat cut date dirname egrep expr find fgrep getconf grep gzip head id ls od paste printf readlink "
    "realpath sed sh sleep sort stat tail test timeout tr uniq wc xargs zcat zgrep"
)
UTILITIES = tuple(_PLAIN.split())
"""What a snippet may call without naming it in `commands`: coreutils, findutils, grep, sed, awk, gzip."""
NONCE = "c0ffee00c0ffee00c0ffee00c0ffee00"


@dataclass(frozen=True)
class Case:
    control: Control
    outcome: str
    index: int
    data: dict

    @property
    def name(self) -> str:
        return f"{self.control.id}-{self.outcome}-{self.index}"


def cases_of(control: Control) -> list[Case]:
    path = CASES / f"{control.id}.yaml"
    if not path.exists():
        return []
    data = load(path).data
    assert isinstance(data, dict), path
    unknown = set(data) - set(OUTCOMES)
    assert not unknown, f"{path}: {sorted(unknown)}: a case file's keys are {OUTCOMES}"
    found = []
    for outcome, cases in data.items():
        for index, case in enumerate(cases if isinstance(cases, list) else [cases]):
            assert set(case) <= KEYS, f"{path}: {outcome}: {sorted(set(case) - KEYS)}: a case's keys are {sorted(KEYS)}"
            found.append(Case(control, outcome, index, case))
    return found


def build(root: Path, files: dict) -> None:
    """Make the fake root. Modes of folders are set last, so that they can be filled."""
    root.mkdir()
    modes = []
    for name, spec in files.items():
        assert name.startswith("/"), f"{name}: a path of the fake root is absolute"
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        made = {"text": str(spec)} if not isinstance(spec, dict) else spec
        assert set(made) <= {"text", "dir", "link", "mode", "days"}, name
        if made.get("dir"):
            path.mkdir(exist_ok=True)
        elif "link" in made:
            path.symlink_to(made["link"])
            continue
        else:
            path.write_text(made.get("text", ""), encoding="utf-8")
        modes.append((path, int(str(made.get("mode", "0755" if made.get("dir") else "0644")), 8)))
        if "days" in made:
            then = time.time() - 86400 * made["days"]
            os.utime(path, (then, then))
    for path, mode in modes:
        path.chmod(mode)


def programs(folder: Path, commands: dict) -> None:
    """Make the PATH: the plain utilities, and a fake for each of `commands`."""
    folder.mkdir()
    for name in UTILITIES:
        real = shutil.which(name)
        if real and name not in commands:
            (folder / name).symlink_to(real)
    for name, answers in commands.items():
        branches = []
        for answer in [{"out": answers}] if not isinstance(answers, list) else answers:
            assert set(answer) <= {"args", "out", "rc"}, name
            out = str(answer.get("out", ""))
            text = f"printf '%s\\n' {shlex.quote(out.rstrip())}; " if out else ""
            branches.append(f'case "$*" in {answer.get("args", "*")}) {text}exit {answer.get("rc", 0)};; esac')
        path = folder / name
        path.write_text("#!/bin/sh\n" + "\n".join(branches) + "\nexit 1\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def run(case: Case, shell: str, folder: Path) -> Reading:
    """Run the control's snippet, framed as on a target, in a real shell."""
    root, path = folder / "root", folder / "bin"
    build(root, case.data.get("files", {}))
    programs(path, case.data.get("commands", {}))
    prelude = [f"R={shlex.quote(str(root))}", f"PATH={shlex.quote(str(path))}"]
    for name, value in case.data.get("vars", {}).items():
        prelude.append(f"{name}={shlex.quote(str(value).replace('$R', str(root)))}")
    script = compose([Section(case.control.id, "\n".join([*prelude, case.control.read.text]))], NONCE)
    real = shutil.which(shell)
    assert real is not None
    done = subprocess.run([real], input=script.encode(), capture_output=True, timeout=60, check=False, env={})
    answer = split(done.stdout, done.stderr, NONCE)[case.control.id]
    return Reading(answer.text, answer.rc, "")


def verdict(case: Case, reading: Reading | None) -> Verdict:
    control, data = case.control, case.data
    given = data.get("subject", {})
    asked = {name for name in control.applies.when if not name.startswith("!")}
    subject = Subject(
        kind=control.target,
        target="host",
        family=given.get("family", (*control.applies.family, "debian")[0]),
        version=str(given.get("version", "12")),
        tables={name: {k: str(v) for k, v in table.items()} for name, table in data.get("tables", {}).items()},
        reads={control.id: reading} if reading else {},
        features=frozenset(given.get("features", asked)),
    )
    return judge(subject, [control])[0]


CONTROLS = load_playbooks([shipped_playbooks()])
ALL = [case for control in CONTROLS for case in cases_of(control)]
SNIPPETS = [control for control in CONTROLS if control.read.kind == "sh"]

# An absolute path that does not begin with $R; in a pattern that means text, not a path, write `[/]etc/...`.
ROOTLESS = re.compile(
    r"""(?<![\w}*./\])])(?<!\$R")/(?:etc|var|usr|boot|home|root|run|opt|srv|proc|sys|lib|sbin|bin)\b"""
)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_has_its_cases(control):
    present = {case.outcome for case in cases_of(control)}
    expect = control.expect
    needed = {"manual"} if expect.op == "manual" else {"fail", "pass"}
    if expect.op == "any" and any(each.op == "manual" for each in expect.every):
        needed = {"manual", "pass"}  # something to look at goes to a person, nothing passes
    assert needed <= present, f"tests/playbooks/cases/{control.id}.yaml lacks {sorted(needed - present)}"


def test_no_case_without_its_control():
    assert {path.stem for path in CASES.glob("*.yaml")} <= {control.id for control in CONTROLS}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("case", [c for c in ALL if c.control.read.kind == "sh"], ids=lambda case: case.name)
def test_snippet_is_judged_as_said(case, shell, tmp_path):
    reading = run(case, shell, tmp_path)
    assert verdict(case, reading).outcome == case.outcome, reading


@pytest.mark.parametrize("case", [c for c in ALL if c.control.read.kind == "table"], ids=lambda case: case.name)
def test_table_is_judged_as_said(case):
    assert case.outcome == "error" or case.control.read.table in case.data["tables"]
    said = verdict(case, None)
    assert said.outcome == case.outcome, said


@pytest.mark.parametrize("case", [c for c in ALL if c.control.read.kind == "sql"], ids=lambda case: case.name)
def test_rows_are_judged_as_said(case):
    said = verdict(case, Reading(str(case.data["rows"])))
    assert said.outcome == case.outcome, said
    assert verdict(case, Reading("", 2, "no such table")).outcome in {Outcome.ERROR, Outcome.NOT_APPLICABLE}


@pytest.mark.parametrize("control", SNIPPETS, ids=lambda control: control.id)
def test_nothing_seen_is_no_pass(control, tmp_path):
    case = Case(control, "error", 0, {})
    assert verdict(case, run(case, SHELLS[0], tmp_path)).outcome != Outcome.PASS


@pytest.mark.parametrize("shell", [shell for shell in ("sh", *SHELLS) if shutil.which(shell)])
def test_snippets_are_shell(shell):
    for control in SNIPPETS:
        done = subprocess.run([shell, "-n"], input=control.read.text, text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{control.source} {control.id}: {done.stderr}"


@pytest.mark.parametrize("control", SNIPPETS, ids=lambda control: control.id)
def test_paths_begin_with_the_root(control):
    assert not ROOTLESS.findall(control.read.text), control.read.text


def test_the_detector_of_rootless_paths_detects():
    assert ROOTLESS.findall("cat /etc/passwd")
    assert ROOTLESS.findall('f="/etc/passwd"')
    assert not ROOTLESS.findall('cat $R/etc/passwd ${R}/etc/x $BASE/etc/y "$R"/etc/z')
