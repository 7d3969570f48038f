"""The one error hierarchy: every message says what, where, and what to do next.

Each class carries the exit code the command line ends with and a short `code`, a stable
word for `--json` and for the damage lists of `verify` and `restore`.
"""

from __future__ import annotations

import traceback
from datetime import datetime
from pathlib import Path
from typing import ClassVar


class VaultdError(Exception):
    """Base of everything vaultd raises on purpose; `str()` is one clear sentence or two."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(VaultdError):
    """A command, an option or a name that cannot be carried out as given."""

    exit_code = 2
    code = "usage"


class ConfigError(VaultdError):
    """The configuration cannot be used; the message starts with the path of the key."""

    exit_code = 2
    code = "config"


class AccountsFailed(VaultdError):
    """Some accounts failed; all the others are done."""

    exit_code = 3
    code = "accounts-failed"


class DamageError(VaultdError):
    """Stored bytes are not what was written: flipped, missing, swapped or truncated."""

    exit_code = 4
    code = "damaged"


class ForgeryError(DamageError):
    """Stored bytes are whole, but not written by whom they claim (or not for this vault)."""

    code = "forged"


class TooLargeError(VaultdError):
    """Stored bytes unpack to far more than such an account can be."""

    exit_code = 4
    code = "too-large"


class WrongKeyError(VaultdError):
    """The words or the key do not open this vault, or are not valid words at all."""

    exit_code = 5
    code = "wrong-key"


class NoVaultError(WrongKeyError):
    """The words are valid, but the place holds no vault that they open."""


class PlaceError(VaultdError):
    """A place (target) cannot be reached, read or written.

    `move` says whose turn it is: `wait` (it may work later by itself), `fix` (somebody must
    change something: credentials, room, certificate), `alarm` (stored bytes are not what they
    should be, or the sealing key is not: the podmin must look).
    """

    exit_code = 6
    code = "place"
    move: ClassVar[str] = "fix"


class NothingHere(PlaceError):
    """The place can be read, but holds no vault at all."""

    code = "no-vault"


class PlaceBusy(PlaceError):
    """The place does not answer, is busy or broke off; the same again may work.

    `retry_after` is what it asked for, in seconds. Where `unknown`, the request may have taken
    effect all the same.
    """

    code = "place-busy"
    move = "wait"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
        unknown: bool = True,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        self.unknown = unknown


class PlaceRefused(PlaceError):
    """The place does not let us in: credentials, permission, certificate, host name."""

    code = "place-refused"


class PlaceClosed(PlaceRefused):
    """The place lets us in nowhere, whatever we ask for: credentials, certificate, host key, no
    such bucket. Nothing more is asked of it in the same run."""


class PlaceLockedAway(PlaceRefused):
    """A user's target cannot be opened for a reason of the pod's: the key is gone or another one,
    or the sealed credentials are damaged."""

    code = "place-locked-away"
    move = "alarm"


class PlaceFull(PlaceError):
    """The place has no room left."""

    code = "place-full"


class ObjectLocked(PlaceError):
    """An object may not be deleted before a moment (`until`)."""

    code = "locked-object"

    def __init__(self, message: str, *, until: datetime, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.until = until


class ObjectMissing(PlaceError):
    """The named object is not in the place."""

    code = "missing"


class ObjectExists(PlaceError):
    """An object of that name is already there; stored objects are never replaced."""

    code = "exists"


class DatabaseError(VaultdError):
    """The pod's database cannot be reached, read, or is not a diaspora* database."""

    exit_code = 6
    code = "database"


class DatabaseLost(DatabaseError):
    """The connection to the pod's database ended before the answer came; another may be made."""


class AccountError(VaultdError):
    """One account cannot be backed up now; the others go on."""

    exit_code = 3
    code = "account"


class ExportFileError(VaultdError):
    """A diaspora* export file cannot be read as one."""

    exit_code = 4
    code = "export-file"


class LockedError(VaultdError):
    """Another vaultd works on the same state."""

    exit_code = 2
    code = "locked"


def whereabouts(error: BaseException) -> str:
    """Say what kind of error happened in which line; its own text may quote a user's data."""
    frames = traceback.extract_tb(error.__traceback__)
    name = type(error).__name__
    return f"{name} at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else name
