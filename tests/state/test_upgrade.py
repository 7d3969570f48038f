"""States that earlier versions wrote go on where they stood."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from vaultd.state.database import FILE_NAME
from vaultd.state.store import State


def state_of(revision: str, folder: Path) -> Path:
    """Make the database of an earlier schema."""
    config = Config()
    config.set_main_option("script_location", str(files("vaultd.state").joinpath("migrations")))
    with create_engine(f"sqlite:///{folder / FILE_NAME}").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return folder / FILE_NAME


def test_0004_own_targets_that_failed_are_failing_since_then(tmp_path: Path) -> None:
    with sqlite3.connect(state_of("0004", tmp_path)) as database:
        database.executemany(
            "INSERT INTO own_target VALUES (?, 'webdavs://h/x', 0, x'00', 'k', 'set', ?, ?)",
            [("bad", "2026-11-20T03:00:00Z", "It is full."), ("good", "2026-11-20T03:00:00Z", ""),
             ("new", None, "")],
        )  # fmt: skip
    database.close()
    state = State(tmp_path)
    found = {each.guid: (each.failing_since, each.move) for each in state.own_targets.all()}
    assert found == {
        "bad": ("2026-11-20T03:00:00Z", "wait"),
        "good": (None, ""),
        "new": (None, ""),
    }
    state.close()
