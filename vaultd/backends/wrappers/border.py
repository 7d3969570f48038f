"""The border of a backend: whatever its code or a library raises comes out as a PlaceError."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, TypeVar

from vaultd.backends.transport.watched_data import WatchedData
from vaultd.errors import PlaceError, UsageError, VaultdError, whereabouts

_T = TypeVar("_T")
_PASS: Final = (UsageError, PlaceError)


class OwnData(WatchedData):
    """A caller's data: what its reading raises is the caller's own, and is kept as `raised`."""

    def __init__(self, data: BinaryIO) -> None:
        super().__init__(data)
        self.raised: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        return self._own(lambda: self._data.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position in the data."""
        return self._own(lambda: self._data.seek(offset, whence))

    def _own(self, step: Callable[[], _T]) -> _T:
        try:
            return step()
        except BaseException as error:
            self.raised = error
            raise


@contextmanager
def border(name: str, verb: str, data: OwnData | None = None) -> Iterator[None]:
    """Let through PlaceError, UsageError and what the caller's data raised; translate all else.

    A library's own text is left out: it may quote a secret.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, _PASS) or (data is not None and error is data.raised):
            raise
        if isinstance(error, VaultdError):
            raise PlaceError(error.message, hint=error.hint) from error
        raise foreign(name, verb, error) from error


def foreign(name: str, verb: str, error: Exception) -> PlaceError:
    """Return the error for an exception that no backend should let out."""
    if isinstance(error, MemoryError):
        return PlaceError(f"{name}: there was not enough memory to {verb}.")
    return PlaceError(
        f"{name} gave an answer that vaultd does not understand when asked to {verb} "
        f"({whereabouts(error)}).",
        hint="Its other uses go on; please report this as a bug in vaultd.",
    )
