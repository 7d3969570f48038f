"""Scratch databases of a restore: without a name on disk, and what people wrote only sealed."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import nacl.secret
import nacl.utils

_SETTINGS: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -4096;
"""


class Sealer:
    """Seals bytes with a key that only this process has, and only as long as it lives."""

    def __init__(self) -> None:
        self._box = nacl.secret.Aead(nacl.utils.random(nacl.secret.Aead.KEY_SIZE))

    def seal(self, plain: bytes) -> bytes:
        """Return the sealed bytes, 40 more."""
        return bytes(self._box.encrypt(plain))

    def open(self, sealed: bytes) -> bytes:
        """Return what was sealed."""
        return self._box.decrypt(sealed)


@contextmanager
def scratch_database(folder: Path, tables: str) -> Iterator[sqlite3.Connection]:
    """Open an empty database in a file of `folder` that has no name from the first moment on.

    The kernel frees it however the process ends. Raises OSError, sqlite3.Error.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".restoring-", dir=folder)
    os.close(handle)
    try:
        database = sqlite3.connect(name, isolation_level=None)
        try:
            database.executescript(_SETTINGS + tables)
            Path(name).unlink()
            database.execute("BEGIN")
            yield database
        finally:
            database.close()
    finally:
        Path(name).unlink(missing_ok=True)
