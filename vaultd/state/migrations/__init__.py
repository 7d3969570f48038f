"""Alembic migrations of the state database, run from code (no alembic.ini)."""
