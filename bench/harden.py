"""Planning against ansible-core in check mode, and a full hardening of one host. Part of `make bench`.

Ansible needs Python on a target; the lab's hosts have none but for the RPM ones, so one of those lends its own to the
others for the length of the measurement (/opt/bench-python, taken away afterwards).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from agent.app import App
from agent.change.registry import check
from agent.flows import gates
from agent.flows.planning import Reading, UnfilledError, filled
from agent.model.asset import Host
from agent.model.change import Item
from agent.model.session import Command

TASKS = 100
ANSIBLE_HOSTS = 5
"""Ansible takes some 20 s a host here; the ratio is a host's, so five are enough."""
LENDER = "centos-01"
PLACE = "/opt/bench-python"
_PACK = f"""
set -e; rm -rf {PLACE}; mkdir -p {PLACE}/lib
v=$(ls /usr/bin/python3.[0-9]* | grep -E 'python3\\.[0-9]+$' | tail -n 1); cp "$v" {PLACE}/python3
for l in $(ldd "$v" /usr/lib/python3*/lib-dynload/*.so 2>/dev/null | sed -n 's/.*=> \\(.*\\) (.*/\\1/p' | sort -u); do
  case $l in */libc.so*|*/ld-linux*|*/libm.so*|*/libpthread*|*/libdl*) ;; *) cp -L "$l" {PLACE}/lib/ ;; esac
done
cp -a /usr/lib/${{v##*/}} {PLACE}/lib/ && rm -rf {PLACE}/lib/*/test {PLACE}/lib/*/__pycache__
printf '#!/bin/sh\\nLD_LIBRARY_PATH={PLACE}/lib PYTHONHOME={PLACE} exec {PLACE}/python3 "$@"\\n' >{PLACE}/python
mkdir -p {PLACE}/bin; chmod 755 {PLACE} {PLACE}/python
tar -C / -czf - {PLACE.lstrip("/")} | base64 -w 0
"""


def items_for(app: App) -> list[Item]:
    """TASKS items for one host: every automatic Linux control's own fix, filled up with file modes."""
    variables = gates.variables(app)
    items = []
    for control in app.controls:
        if control.target != "linux" or control.fix.get("resource", "manual") == "manual":
            continue
        try:
            fix = filled(dict(control.fix), variables)
        except UnfilledError:
            continue
        options = {key: value for key, value in fix.items() if key not in {"resource", "want"}}
        options |= {"roster": variables.get("roster", ()), "keep": variables.get("keep", ()), "listeners": []}
        options |= {"networks": variables.get("ops_networks", ()), "restart": False, "legacy": False}
        item = Item(f"c{len(items)}", str(fix["resource"]), fix.get("want"), options, control=control.id)
        check(item)
        items.append(item)
    names = ["passwd", "group", "shadow", "gshadow", "crontab", "hosts", "hostname", "fstab", "login.defs", "sudoers"]
    while len(items) < TASKS:
        path = f"/etc/{names[len(items) % len(names)]}"
        items.append(Item(f"c{len(items)}", "file_mode", {path: "0644 root"}))
    return items[:TASKS]


def planning(app: App, hosts: list[Host]) -> float:
    """Seconds in which every host is read once and TASKS items are planned on each."""
    from dataclasses import replace

    items = items_for(app)
    homes = {host.name: host.name for host in hosts}
    every = [replace(item, id=f"{item.id}.{host.name}", target=host.name) for host in hosts for item in items]
    start = time.perf_counter()
    read = Reading(app).read(homes, every, homes)
    took = time.perf_counter() - start
    assert len(read.planned) == len(every), len(read.planned)
    assert not read.unread, read.unread
    app.sessions.close()
    return took


def lend(app: App, hosts: list[Host]) -> None:
    """Put a Python where there is none."""
    with app.sessions.open(app.inventory.host(LENDER), 30) as session:
        pack = session.run(Command(_PACK, privileged=True, deadline=120, limit=200_000_000)).stdout.decode()

    def give(host: Host) -> None:
        script = f"base64 -d <<'E' | tar -C / -xzf -\n{pack}\nE\n{PLACE}/python -c 'import json, ssl'"
        with app.sessions.open(host, 60) as session:
            done = session.run(Command(script, privileged=True, deadline=120))
        assert done.rc == 0, (host.name, done.stderr)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(give, hosts))


def take(app: App, hosts: list[Host]) -> None:
    """Take it away again."""
    for host in hosts:
        with app.sessions.open(host, 30) as session:
            session.run(Command(f"rm -rf {PLACE} /tmp/.ansible /home/ops/.ansible /root/.ansible", privileged=True))


def ansible(hosts: list[Host], key: Path) -> float:
    """Seconds of ansible-core in check mode: TASKS tasks a host, pipelining, 23 forks, no fact gathering."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        venv.create(home / "venv", with_pip=True)
        pip = [str(home / "venv/bin/pip"), "-q", "install", "--disable-pip-version-check", "ansible-core"]
        subprocess.run(pip, check=True, capture_output=True)
        tasks = []
        for number in range(TASKS):
            if number % 2:
                line = {"path": "/etc/login.defs", "regexp": f"^KEY{number} ", "line": f"KEY{number} 1"}
                tasks.append({"ansible.builtin.lineinfile": line})
            else:
                tasks.append({"ansible.builtin.file": {"path": "/etc/passwd", "mode": "0644", "owner": "root"}})
        book = [{"hosts": "all", "gather_facts": False, "become": True, "tasks": tasks}]
        (home / "book.yaml").write_text(yaml.safe_dump(book))
        common = f"ansible_user=ops ansible_ssh_private_key_file={key} ansible_python_interpreter={PLACE}/python"
        (home / "hosts").write_text("".join(f"{h.name} ansible_host={h.address} {common}\n" for h in hosts))
        environment = dict(
            os.environ,
            ANSIBLE_HOST_KEY_CHECKING="False",
            ANSIBLE_PIPELINING="True",
            ANSIBLE_FORKS="23",
            ANSIBLE_LOCAL_TEMP=str(home / "tmp"),
            ANSIBLE_SSH_ARGS="-o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile=/dev/null",
        )
        command = [
            str(home / "venv/bin/ansible-playbook"),
            "--check",
            "-i",
            str(home / "hosts"),
            str(home / "book.yaml"),
        ]
        start = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        took = time.perf_counter() - start
        ok = len(re.findall(r"ok=100\b", done.stdout))
        assert ok == len(hosts), done.stdout[-2000:] + done.stderr[-2000:]
    return took


def main(root: Path) -> None:
    """Print the rows."""
    app = App(root)
    every = list(app.inventory.hosts)
    plain = [host for host in every if host.transport == "ssh" and host.auth == "key" and not host.bastion]
    whole = min(planning(app, every) for _ in range(3))
    print(f"| planning {TASKS} controls on {len(every)} hosts | {whole:.2f} s | < 5 s |", flush=True)
    plain = plain[:ANSIBLE_HOSTS]
    ours = min(planning(app, plain) for _ in range(3)) / len(plain)
    lend(app, plain)
    try:
        theirs = ansible(plain, root / "state/lab/keys/ops_ed25519") / len(plain)
    finally:
        take(app, plain)
    print(
        f"| the same a host, {len(plain)} hosts, against ansible-core in check mode | {ours:.3f} s vs {theirs:.2f} s = "
        f"{theirs / ours:.0f}x | > 50x |",
        flush=True,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1])
