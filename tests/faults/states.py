"""States of processes that may die, made and opened cheaply: a history needs many."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import Dialect, event

from tests.faults.backend import Fate
from vaultd.state.database import FILE_NAME, Database
from vaultd.state.store import State

_compiled: list[tuple[Dialect, Any]] = []


@functools.cache
def _fresh() -> bytes:
    # Making the schema takes longer than a run.
    with tempfile.TemporaryDirectory() as folder:
        Database(Path(folder)).close()
        return (Path(folder) / FILE_NAME).read_bytes()


def fresh_state(folder: Path) -> None:
    """Put an empty state into a folder."""
    folder.mkdir(exist_ok=True)
    (folder / FILE_NAME).write_bytes(_fresh())


def open_state(folder: Path, fate: Fate) -> State:
    """Open the state of a folder; when its process is dead it does and commits nothing more."""
    state = State(folder)
    engine = state._database._engine
    # Statements are compiled once for all states: that took a quarter of the time.
    _compiled.append((engine.dialect, engine._compiled_cache))
    del _compiled[1:]
    engine.dialect, engine._compiled_cache = _compiled[0]
    for moment in ("before_cursor_execute", "commit"):
        event.listen(engine, moment, fate.check)
    return state
