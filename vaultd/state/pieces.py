"""Reading an index back from the pieces that it is stored in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import zstandard

STEP: Final = 64 * 1024


class Pieces:
    """The stored pieces as one readable stream, hashed along the way."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._hash = hashlib.blake2b(digest_size=16)
        self._left = memoryview(b"")
        self.empty = True

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end."""
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
            self._hash.update(self._left)
            self.empty = self.empty and not self._left
        data, self._left = self._left[:size], self._left[size:]
        return bytes(data)

    def digest(self) -> bytes:
        """Return the BLAKE2b-128 of all pieces that were begun."""
        return self._hash.digest()


def exactly(reader: zstandard.ZstdDecompressionReader, size: int) -> bytes:
    """Return `size` bytes; raises ValueError when there are fewer."""
    data = reader.read(size)
    if len(data) != size:
        raise ValueError("it is cut")
    return data


def fill(reader: zstandard.ZstdDecompressionReader, room: memoryview) -> None:
    """Fill `room`; raises ValueError when there is too little."""
    while room:
        size = reader.readinto(room[:STEP])
        if not size:
            raise ValueError("it is cut")
        room = room[size:]
