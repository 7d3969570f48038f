"""A moment of the whole database: equal at two times only if nothing was written in between."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from vaultd.sources.diaspora.changes.hashing import READING

# The checkpoint tells a crash, after which transactions that were lost give their numbers back.
_POSTGRESQL: Final = """
SELECT {prefix}xmin({snapshot}) = {prefix}xmax({snapshot}) AND NOT pg_is_in_recovery(),
       CAST({snapshot} AS text), CAST(pg_postmaster_start_time() AS text),
       (SELECT CAST(oid AS text) FROM pg_database WHERE datname = current_database()),
       (SELECT CAST(system_identifier AS text) FROM pg_control_system()),
       (SELECT CAST(checkpoint_lsn AS text) FROM pg_control_checkpoint())
"""
_NEW: Final = {"prefix": "pg_snapshot_", "snapshot": "pg_current_snapshot()"}
_OLD: Final = {"prefix": "txid_snapshot_", "snapshot": "txid_current_snapshot()"}
_HEADER: Final = 100


def moment(connection: Connection) -> bytes | None:
    """Return what identifies the state of the database, None where the engine cannot tell.

    PostgreSQL: the snapshot, if no transaction that writes is open. SQLite without a
    write-ahead log: the header's change counter and the file itself. MySQL: None.
    """
    name, found = connection.dialect.name, None
    if name == "postgresql":
        found = _postgresql(connection)
    elif name == "sqlite":
        found = _sqlite(connection)
    return None if found is None else b"%d\0%b" % (READING, found)


def _postgresql(connection: Connection) -> bytes | None:
    version = connection.dialect.server_version_info or (0,)
    if version < (10,):  # pg_control_checkpoint has other columns
        return None
    question = _POSTGRESQL.format_map(_NEW if version >= (13,) else _OLD)
    quiet, *parts = connection.execute(text(question)).one()
    return "\0".join(map(str, parts)).encode() if quiet else None


def _sqlite(connection: Connection) -> bytes | None:
    rows = connection.exec_driver_sql("PRAGMA database_list").all()
    path = Path(next((str(file) for _, name, file in rows if name == "main" and file), ""))
    # Bytes 18 and 19 of the header are 2 with a write-ahead log; 24 to 27 count the changes.
    with path.open("rb") as file:
        header, status = file.read(_HEADER), path.stat()
    if header[18:20] != b"\1\1" or path.with_name(path.name + "-journal").exists():
        return None
    parts = (header[24:28].hex(), status.st_size, status.st_ino, status.st_mtime_ns)
    return repr(parts).encode()
