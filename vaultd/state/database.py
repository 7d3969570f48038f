"""Opening the state database: file modes, SQLite settings, schema, and errors made clear."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError as SqlError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from vaultd.errors import ConfigError, DamageError, PlaceError, VaultdError
from vaultd.state.key_file import state_key
from vaultd.state.upgrade import upgrade

FILE_NAME: Final = "state.sqlite3"
_MANY: Final = 500
_TIMEOUT: Final = 30  # seconds
_WIPED: Final = 1
_CHECKPOINT: Final = "PRAGMA wal_checkpoint(TRUNCATE)"
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_T = TypeVar("_T")


def prepare_directory(directory: Path) -> None:
    """Make the state folder, readable by its owner only; raises ConfigError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        # SQLite gives its side files (-wal, -shm) the mode of the database file. One that is there
        # is not opened: closing it would drop the locks that SQLite holds in this process.
        with suppress(FileExistsError):
            os.close(os.open(directory / FILE_NAME, _NEW, 0o600))
        (directory / FILE_NAME).chmod(0o600)
    except OSError as error:
        raise ConfigError(
            f"state.path: {directory} cannot be used ({error.strerror}).",
            hint="It must be a folder that belongs to the user that runs vaultd.",
        ) from error


def open_engine(directory: Path) -> tuple[Engine, bytes]:
    """Open (create, upgrade) the state database; return it with the state's key (32 bytes).

    Raises ConfigError, UsageError, DamageError.
    """
    prepare_directory(directory)
    path = directory / FILE_NAME
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _TIMEOUT})
    event.listen(engine, "connect", _configure)
    with clear_errors(path):
        with engine.begin() as connection:
            key = state_key(directory, connection)
            upgrade(connection, key)
        _wipe(engine)
    return engine, key


def _wipe(engine: Engine) -> None:
    """Free pages of earlier versions hold what was deleted: the file is written anew, once."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.exec_driver_sql("PRAGMA user_version").scalar() == _WIPED:
            return
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql(f"PRAGMA user_version = {_WIPED}")
        connection.exec_driver_sql(_CHECKPOINT)


class Database:
    """The open state database of one folder."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._engine, self.key = open_engine(directory)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction; raises PlaceError or DamageError with a clear sentence."""
        with (
            clear_errors(self._path),
            Session(self._engine) as session,
            session.begin(),
        ):
            yield session

    def tidy(self) -> None:
        """Move the write-ahead log into the database and empty it, unless somebody reads."""
        with (
            clear_errors(self._path),
            self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            connection.exec_driver_sql("PRAGMA busy_timeout = 500")
            connection.exec_driver_sql(_CHECKPOINT)
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_TIMEOUT * 1000}")

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def parts(values: Collection[_T]) -> Iterator[list[_T]]:
    """Cut a long list: databases bound the number of values in a statement."""
    listed = list(values)
    for start in range(0, len(listed), _MANY):
        yield listed[start : start + _MANY]


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says into an error that tells what to do; SQL and values stay out of it."""
    try:
        yield
    except SqlError as error:
        raise _explain(path, str(error.orig)) from error


def _explain(path: Path, said: str) -> VaultdError:
    if "not a database" in said or "malformed" in said:
        return DamageError(
            f"The state database {path} is damaged ({said}); no vault is affected.",
            hint="Move it away and enrol the accounts again: vaultd goes on with their vaults.",
        )
    return PlaceError(
        f"The state database {path} cannot be used ({said}).",
        hint="Look at the free space and the owner of the state folder.",
    )
