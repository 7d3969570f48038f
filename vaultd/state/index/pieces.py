"""What the state packs into values of its database: compressed, in sealed pieces, checked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, cast

import zstandard

from vaultd.state.index.piece_seal import PieceSeal

STEP: Final = 64 * 1024
CHECKSUM: Final = 16
_PIECE: Final = 256 * 1024


class Pieces:
    """The stored pieces as one readable stream, opened and hashed along the way.

    Reading raises ValueError for what this state's key did not seal.
    """

    def __init__(self, pieces: Iterable[bytes], seal: PieceSeal) -> None:
        self._pieces = seal.open_all(pieces)
        self._hash = hashlib.blake2b(digest_size=16)
        self._left = memoryview(b"")

    def begun(self) -> bool:
        """Tell whether there is anything at all."""
        self._next()
        return bool(self._left)

    def _next(self) -> None:
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
            self._hash.update(self._left)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end."""
        self._next()
        data, self._left = self._left[:size], self._left[size:]
        return bytes(data)

    def digest(self) -> bytes:
        """Return the BLAKE2b-128 of all pieces that were begun."""
        return self._hash.digest()


class Rows:
    """Reads what was packed, up to the keyed checksum that ends it.

    SQLite does not notice a flipped bit in a value, and a wrong index would keep records out of
    archives for good.
    """

    def __init__(self, pieces: Pieces, checksum: hashlib.blake2b) -> None:
        self._reader = zstandard.ZstdDecompressor().stream_reader(cast(BinaryIO, pieces))
        self._checksum = checksum

    def exactly(self, size: int) -> bytes:
        """Return `size` bytes; raises ValueError when there are fewer, or more than a piece."""
        if size > STEP:
            raise ValueError("impossible sizes")
        data = self._reader.read(size)
        if len(data) != size:
            raise ValueError("it is cut")
        self._checksum.update(data)
        return data

    def column(self, size: int) -> bytearray:
        """Return `size` bytes, of which no more is believed than comes; raises ValueError."""
        column = bytearray()
        while len(column) < size:
            column += self.exactly(min(STEP, size - len(column)))
        return column

    def rest(self) -> bytearray:
        """Return all but the checksum, which is compared; raises ValueError."""
        data = bytearray()
        while piece := self._reader.read(STEP):
            data += piece
        self._checksum.update(data[:-CHECKSUM])
        self._compare(bytes(data[-CHECKSUM:]))
        del data[-CHECKSUM:]
        return data

    def end(self) -> None:
        """Compare the checksum, after which nothing may come; raises ValueError."""
        found = self._reader.read(CHECKSUM)
        self._compare(found)
        if self._reader.read(1):
            raise ValueError("it goes on after its end")

    def _compare(self, found: bytes) -> None:
        if not hmac.compare_digest(found, self._checksum.digest()):
            raise ValueError("its checksum is wrong")


def packed(
    plain: Iterable[bytes | memoryview], checksum: hashlib.blake2b, seal: PieceSeal
) -> Iterator[bytes]:
    """Yield the rows compressed, in sealed pieces of 256 KiB, with the checksum at their end.

    In pieces, because a database needs several times a value's size to store it.
    """
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    piece = bytearray()
    for each in plain:
        checksum.update(each)
        piece += packer.compress(each)
        if len(piece) >= _PIECE:
            yield seal.seal(bytes(piece))
            piece.clear()
    piece += packer.compress(checksum.digest())
    piece += packer.flush()
    yield seal.seal(bytes(piece))
