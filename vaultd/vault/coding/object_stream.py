"""Stored objects as streams: bounded ranged reads with the whole's hash kept along the way."""

from __future__ import annotations

from typing import Final

from vaultd.errors import DamageError
from vaultd.vault.layout import object_hash
from vaultd.vault.place import Place

_FIRST: Final = 16 * 1024
_STEP: Final = 1024 * 1024


class ObjectStream:
    """Reads one object front to back; `digest()` is the hash of all that was consumed.

    `size`, where it is known, tells how much of the object is worth a single read.
    """

    def __init__(self, place: Place, name: str, size: int | None = None) -> None:
        self._place = place
        self._name = name
        # One more byte than there should be shows in the same read that this is the end.
        self._first = _FIRST if size is None else min(size + 1, _STEP)
        self._buffer = b""
        self._start = 0
        self._offset = 0
        self._ended = False
        self._hash = object_hash()
        self.position = 0

    def _fill(self, wanted: int) -> None:
        left = self._buffer[self._start :]
        have = len(left)
        pieces = [left] if left else []
        while have < wanted and not self._ended:
            step = max(self._first if self._offset == 0 else _STEP, wanted - have)
            piece = self._place.read(self._name, self._offset, step)
            self._ended = len(piece) < step
            self._offset += len(piece)
            have += len(piece)
            pieces.append(piece)
        self._buffer = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._start = 0

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes ahead without consuming them."""
        if len(self._buffer) - self._start < size:
            self._fill(size)
        return self._buffer[self._start : self._start + size]

    def read_exact(self, size: int) -> bytes:
        """Consume exactly `size` bytes; raises DamageError when the object ends before."""
        data = self.peek(size)
        if len(data) < size:
            raise self._cut(len(data))
        self._consume(data)
        return data

    def skip(self, size: int) -> None:
        """Consume exactly `size` bytes that only the hash is to see, without copying them.

        Raises DamageError when the object ends before.
        """
        while size:
            if self._start == len(self._buffer):
                self._fill(1)
            piece = memoryview(self._buffer)[self._start : self._start + size]
            if not piece:
                raise self._cut(0)
            self._consume(piece)
            size -= len(piece)

    def _consume(self, piece: bytes | memoryview) -> None:
        self._start += len(piece)
        self.position += len(piece)
        self._hash.update(piece)

    def _cut(self, more: int) -> DamageError:
        return DamageError(f"{self._name} is cut: it ends after {self.position + more} bytes.")

    def digest(self) -> bytes:
        """Return the BLAKE2b-256 of everything consumed so far."""
        return self._hash.copy().digest()

    def at_end(self) -> bool:
        """Tell whether nothing is left."""
        return not self.peek(1)
