"""Bringing the state database to the newest schema."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from sqlalchemy import Connection, inspect, text

from vaultd.errors import UsageError
from vaultd.state.index.piece_seal import PieceSeal

HEAD: Final = "0011"  # a test compares it with the newest file in migrations/versions


def current_revision(connection: Connection) -> str | None:
    """Return the schema's revision, None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if revision is None else str(revision)


def upgrade(connection: Connection, key: bytes) -> None:
    """Apply what is missing, with the state's key (32 bytes) at hand.

    Raises UsageError when a newer vaultd wrote the database.
    """
    revision = current_revision(connection)
    if revision == HEAD:
        return
    if revision is not None and revision > HEAD:
        raise UsageError(
            f"The state database has schema {revision}; this vaultd knows only {HEAD}.",
            hint="Run the newer vaultd that wrote it.",
        )
    # Alembic is imported only when there is work: it is the slowest import of a start.
    from alembic import command
    from alembic.config import Config

    config = Config()
    location = str(files("vaultd.state").joinpath("migrations"))
    config.set_main_option("script_location", location.replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["seal"] = PieceSeal(key).seal
    command.upgrade(config, "head")
