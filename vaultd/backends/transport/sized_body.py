"""The body of an upload: exactly as many bytes as promised, read piece by piece and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from vaultd.errors import PlaceError

_PIECE: Final = 256 * 1024


class SizedBody:
    """`size` bytes of `data`, which may trickle and need not be seekable.

    Whatever stops it, `data.read` or a wrong length, is kept in `failure`: an HTTP library in
    between may say something else.
    """

    def __init__(self, data: BinaryIO, size: int) -> None:
        self.size = size
        self.left = size
        self.failure: Exception | None = None
        self._data = data
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of what was read till now."""
        return self._sha256.hexdigest()

    def pieces(self, count: int) -> Iterator[bytes]:
        """Yield the next `count` bytes; before the last piece of all, the data must have ended.

        Raises what `data.read` raises, and PlaceError for data of another length.
        """
        try:
            while count:
                piece = self._data.read(min(count, _PIECE))
                if not piece:
                    raise PlaceError(f"The data ended {self.left} bytes before its promised size.")
                count -= len(piece)
                self.left -= len(piece)
                self._sha256.update(piece)
                if not self.left:
                    self._check_end()
                yield piece
        except Exception as error:
            self.failure = error
            raise

    def whole(self) -> bytes:
        """Return all of it, for bodies small enough; raises like `pieces`."""
        if not self.size:
            self._check_end()
        return b"".join(self.pieces(self.left))

    def _check_end(self) -> None:
        if self._data.read(1):
            raise PlaceError(f"The data is longer than its promised {self.size} bytes.")
