"""Durable jobs: due times, claims, leases, catch-up; and the engine that runs tasks on a thread pool."""
