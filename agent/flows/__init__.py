"""Flows join the columns: each a short story told with the columns' words."""
