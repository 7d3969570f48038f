"""States that earlier versions wrote go on where they stood."""

from __future__ import annotations

import sqlite3
from importlib.resources import files
from pathlib import Path

import msgspec
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


def test_0005_archives_that_an_account_found_in_its_vault_are_not_its_own(tmp_path: Path) -> None:
    old = [[1, "v/1", 9, b"h", "", 0, [], False], [2, "v/2", 9, b"h", "", 5, [], False]]
    pictures = [[b"d" * 32, 7, 2, False], [b"e" * 32, 7, 0, False]]
    row = (1, "main", 2, "v/2", b"h", 9, "", msgspec.msgpack.encode(old), 5, b"",
           msgspec.msgpack.encode(pictures), None)  # fmt: skip
    with sqlite3.connect(state_of("0005", tmp_path)) as database:
        for number, vault in ((1, "v"), (2, "v"), (3, "w")):
            database.execute(
                "INSERT INTO enrollment VALUES (?, ?, 'g', 'h', 'r', ?, x'00', NULL, 't')",
                (number, f"u{number}", vault),
            )
        database.execute(f"INSERT INTO vault VALUES ({', '.join('?' * 12)})", row)
        database.executemany("INSERT INTO doomed VALUES (?, 'main', 'x', 1)", [(1,), (2,), (3,)])
    database.close()
    state = State(tmp_path)
    point = state.vaults.point(1, "main")
    assert point is not None
    assert [(a.sequence, a.foreign) for a in point.archives] == [(1, True), (2, False)]
    assert [(b.gone, b.foreign) for b in point.blobs] == [(2, True), (0, False)]
    assert list(state.doomed.pending()) == [(3, "main")]
    assert list(state.shared_vaults().values()) == [["u1", "u2"]]
    state.close()
