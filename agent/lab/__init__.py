"""The lab: 23 real hosts and 3 real databases on one machine, for the demo, the tests and the benchmarks.

Root file systems are built once into a cache and stacked by overlayfs; each host is a
systemd-nspawn container in a network namespace of its own. Nothing is a mock.
"""

from __future__ import annotations

from agent.lab.disk import write_disk
from agent.lab.needs import missing
from agent.lab.world import MachineState, down, status, up

__all__ = ["MachineState", "down", "missing", "status", "up", "write_disk"]
