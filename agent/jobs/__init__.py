"""Durable jobs: due times, claims, leases, catch-up; and the engine that runs tasks on a thread pool."""

from agent.jobs.claims import mark_done, retry
from agent.jobs.engine import Engine
from agent.jobs.planned import ZONE, Planned, plan, today
from agent.jobs.rows import Policy, Slot, slots
from agent.jobs.runner import Ran, run_due
from agent.jobs.year import Row, overview

__all__ = [
    "ZONE",
    "Engine",
    "Planned",
    "Policy",
    "Ran",
    "Row",
    "Slot",
    "mark_done",
    "overview",
    "plan",
    "retry",
    "run_due",
    "slots",
    "today",
]
