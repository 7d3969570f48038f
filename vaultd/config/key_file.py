"""The key that seals credentials of users: 32 bytes from a file or a systemd credential."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vaultd.errors import ConfigError

KEY_BYTES: Final = 32
_LONGEST: Final = 1024
_OF_SERVICE: Final = "/run/credentials/vaultd.service"
_HOW: Final = "`(umask 077; openssl rand -base64 32 > FILE)` makes one."


def credential_path(name: str, where: str) -> Path:
    """Return the file of a systemd credential; raises ConfigError where there is none."""
    # Beside the running service a command by hand finds what systemd gave to that.
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "") or _OF_SERVICE
    if not folder or name != Path(name).name or not (Path(folder) / name).is_file():
        raise ConfigError(
            f"{where}: there is no systemd credential {name[:80]!r} here.",
            hint="Add LoadCredential= to the unit; it is there while the service runs.",
        )
    return Path(folder) / name


def read_key(given: Mapping[str, str], where: str) -> bytes:
    """Return the 32 bytes of a key given as `{ file = … }` or `{ credential = … }`.

    The file holds them raw, as base64 or as hex; nobody but its owner may read it. Raises
    ConfigError.
    """
    if set(given) == {"file"}:
        return _read(Path(given["file"]), where, closed_to=0o077)
    if set(given) == {"credential"}:
        # systemd lets the service in by an access list, which shows as the group's permission.
        return _read(credential_path(given["credential"], where), where, closed_to=0o007)
    raise ConfigError(f"{where}: this must be {{ file = … }} or {{ credential = … }}.", hint=_HOW)


def _read(path: Path, where: str, *, closed_to: int) -> bytes:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_IMODE(found.st_mode) & closed_to:
                raise ConfigError(
                    f"{where}: {path} can be read by others than its owner.",
                    hint="chmod 600 it, and make a new key if somebody may have read it.",
                )
            if found.st_uid not in (0, os.geteuid()):
                raise ConfigError(
                    f"{where}: {path} belongs to another user.", hint="chown it to vaultd's user."
                )
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise ConfigError(
            f"{where}: {path} cannot be read ({error.strerror}).",
            hint=f"{_HOW} A lost key opens nothing again: users set their targets anew.",
        ) from error
    key = _decoded(data)
    if key is None:
        raise ConfigError(f"{where}: {path} holds no key of {KEY_BYTES} random bytes.", hint=_HOW)
    return key


def _decoded(data: bytes) -> bytes | None:
    """Return the key, None for what is none: also for text, as a typed password is no key."""
    if len(data) == KEY_BYTES and not (data.isascii() and data.decode("ascii").isprintable()):
        return data
    text = data.strip()
    try:
        key = (
            bytes.fromhex(text.decode("ascii"))
            if len(text) == KEY_BYTES * 2
            else base64.b64decode(text, validate=True)
        )
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == KEY_BYTES else None
