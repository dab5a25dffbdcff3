"""Alembic's folder: one module a revision, never changed once released."""
