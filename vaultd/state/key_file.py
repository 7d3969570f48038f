"""The state's key: beside the pod key, never in the database that it keys.

Who has only the database, or a copy of it, learns nothing of what accounts have: all ids and
digests of records are keyed or sealed with this key.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from vaultd.errors import ConfigError
from vaultd.keys.secret_file import create_or_keep

KEY_FILE: Final = "state.key"
_SIZE: Final = 32


def state_key(directory: Path, connection: Connection) -> bytes:
    """Read the state's key (32 bytes), or make it; that of an earlier version is taken over.

    With another key than before no index opens: accounts are then written whole once more.
    Raises ConfigError where the file cannot be used.
    """
    path = directory / KEY_FILE
    try:
        create_or_keep(path, (_inside(connection) or os.urandom(_SIZE)).hex() + "\n")
        key = bytes.fromhex(path.read_text("ascii").strip())
        if len(key) != _SIZE:
            raise ValueError("another size")
    except OSError as error:
        raise ConfigError(
            f"The key of the state, {path}, cannot be used ({error.strerror}).",
            hint="It must belong to the user that runs vaultd.",
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"{path} is not a key (64 hex characters).",
            hint="Put it back from a copy, or move it away: each account is then written whole "
            "once more.",
        ) from error
    return key


def _inside(connection: Connection) -> bytes | None:
    """Return the key where an earlier version kept it: in the database."""
    if not inspect(connection).has_table("secret"):
        return None
    value = connection.execute(text("SELECT key FROM secret WHERE id = 1")).scalar()
    return None if value is None else bytes(value)
