"""The index of one vault: which records its archives hold, in about 45 bytes of memory a record.

It answers what changed and what is missing without trusting any timestamp of the source. Per
record it keeps a key digest, a body digest, the kind and the id (a tombstone needs the id).
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO, Final, cast

import msgspec
import zstandard

from vaultd.errors import DamageError
from vaultd.state.digests import Digests
from vaultd.state.table import KeyTable

_VERSION: Final = 1
_PASSIVE: Final = 0x80
_GUID: Final = 0  # an id of 32 hex digits follows as 16 bytes
_LONG: Final = 255  # a 4-byte length follows
_STEP: Final = 64 * 1024
_PIECE: Final = 256 * 1024
_MOST: Final = 20_000_000

_head: Final = msgspec.msgpack.Decoder(tuple[int, str, list[str], int, int])


class Change(Enum):
    """What `observe` found."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "same"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Missing:
    """A record that the vault holds and the source no longer has."""

    kind: str
    id: str
    passive: bool


class AccountIndex:
    """Observe every record of a run, then ask what is missing, then dump for the next run.

    `mark` is equal for indexes that were loaded from the same bytes, empty for a new one.
    """

    def __init__(self, digests: Digests) -> None:
        self.mark = b""
        self._digests = digests
        self._table = KeyTable()
        self._bodies: array[int] = array("Q")
        self._kinds = bytearray()
        self._seen = bytearray()
        self._ids = bytearray()
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}

    @classmethod
    def load(cls, digests: Digests, pieces: Iterable[bytes]) -> AccountIndex:
        """Read what `dump` yielded (no pieces: an empty index); raises DamageError."""
        index = cls(digests)
        joined = _Pieces(pieces)
        try:
            with zstandard.ZstdDecompressor().stream_reader(cast(BinaryIO, joined)) as reader:
                size = reader.read(4)
                if not size and joined.empty:
                    return index
                head = _exactly(reader, int.from_bytes(size, "little"))
                version, order, names, count, ids = _head.decode(head)
                if version != _VERSION or order != sys.byteorder:
                    raise ValueError("another version")
                if not 0 <= count <= _MOST or not 0 <= ids <= _MOST * 64:
                    raise ValueError("impossible sizes")
                keys = array("Q", [0]) * count
                index._bodies = array("Q", [0]) * count
                index._kinds, index._ids = bytearray(count), bytearray(ids)
                for column in (keys, index._bodies, index._kinds, index._ids):
                    _fill(reader, memoryview(column).cast("B"))
                if reader.read(1):
                    raise ValueError("it goes on after its end")
        except (zstandard.ZstdError, msgspec.DecodeError, ValueError) as error:
            raise DamageError(
                f"An index in the state database is damaged ({error}); no vault is affected.",
                hint="The account's next archive will hold everything again.",
            ) from error
        index._table = KeyTable(keys)
        index._seen = bytearray(count)
        index._names = list(names)
        index._numbers = {name: number for number, name in enumerate(names)}
        index.mark = joined.digest()
        return index

    def __len__(self) -> int:
        return len(self._table)

    def observe(self, kind: str, record_id: str, body: int, passive: bool = False) -> Change:
        """Note a record that the source has, with its body digest; say how it differs.

        Raises UnicodeEncodeError when the id is no valid text.
        """
        key = self._digests.key(kind, record_id)
        position = self._table.find(key)
        number = self._number(kind) | (_PASSIVE if passive else 0)
        if position < 0:
            self._table.add(key)
            self._bodies.append(body)
            self._kinds.append(number)
            self._seen.append(1)
            self._ids += _pack_id(record_id)
            return Change.ADDED
        if self._seen[position]:
            return Change.REPEATED
        self._seen[position] = 1
        self._kinds[position] = number
        if self._bodies[position] == body:
            return Change.SAME
        self._bodies[position] = body
        return Change.CHANGED

    def keep(self, kind: str, record_id: str) -> None:
        """Take a record that could not be read as still there, as the vault has it."""
        position = self._table.find(self._digests.key(kind, record_id))
        if position >= 0:
            self._seen[position] = 1

    def keep_kind(self, kind: str) -> None:
        """Take all records of a kind as still there: the source could not read them all."""
        number = self._numbers.get(kind)
        if number is not None:
            for position, each in enumerate(self._kinds):
                if each & ~_PASSIVE == number:
                    self._seen[position] = 1

    def missing(self) -> Iterator[Missing]:
        """Yield the records that were neither observed nor kept."""
        if 0 not in self._seen:
            return
        offset = 0
        for position, seen in enumerate(self._seen):
            end = _id_end(self._ids, offset)
            if not seen:
                number = self._kinds[position]
                yield Missing(
                    self._names[number & ~_PASSIVE],
                    _unpack_id(self._ids[offset:end]),
                    bool(number & _PASSIVE),
                )
            offset = end

    def counts(self) -> dict[str, int]:
        """Return the number of records by kind, without the missing ones."""
        tally = [0] * len(self._names)
        for number, seen in zip(self._kinds, self._seen, strict=True):
            if seen:
                tally[number & ~_PASSIVE] += 1
        return {name: n for name, n in zip(self._names, tally, strict=True) if n}

    def dump(self) -> Iterator[bytes]:
        """Yield the index without the missing records, compressed, in pieces of 256 KiB.

        In pieces, because a database needs several times a value's size to store it.
        """
        packer = zstandard.ZstdCompressor(level=1).compressobj()
        piece = bytearray()
        for plain in self._plain():
            piece += packer.compress(plain)
            if len(piece) >= _PIECE:
                yield bytes(piece)
                piece.clear()
        piece += packer.flush()
        yield bytes(piece)

    def _plain(self) -> Iterator[bytes | memoryview]:
        seen = self._seen
        count = seen.count(1)
        ids = sum(len(piece) for piece in self._live_ids())
        head = msgspec.msgpack.encode((_VERSION, sys.byteorder, self._names, count, ids))
        yield len(head).to_bytes(4, "little") + head
        for column in (self._table.keys, self._bodies):
            live = column if count == len(seen) else array("Q", _live(column, seen))
            yield from _slices(memoryview(live).cast("B"))
        yield bytes(_live(self._kinds, seen))
        yield from self._live_ids()

    def _live_ids(self) -> Iterator[bytes | memoryview]:
        """Yield the ids that stay, in pieces of about 64 KiB."""
        if 0 not in self._seen:
            yield from _slices(memoryview(self._ids))
            return
        piece, offset = bytearray(), 0
        for seen in self._seen:
            end = _id_end(self._ids, offset)
            if seen:
                piece += self._ids[offset:end]
            offset = end
            if len(piece) >= _STEP:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)

    def _number(self, kind: str) -> int:
        number = self._numbers.get(kind)
        if number is None:
            number = self._numbers[kind] = len(self._names)
            self._names.append(kind)
        return number


class _Pieces:
    """The stored pieces as one readable stream, hashed along the way."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._hash = hashlib.blake2b(digest_size=16)
        self._left = memoryview(b"")
        self.empty = True

    def read(self, size: int) -> bytes:
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
            self._hash.update(self._left)
            self.empty = self.empty and not self._left
        data, self._left = self._left[:size], self._left[size:]
        return bytes(data)

    def digest(self) -> bytes:
        return self._hash.digest()


def _slices(data: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(data), _STEP):
        yield data[start : start + _STEP]


def _live(column: array[int] | bytearray, seen: bytearray) -> Iterator[int]:
    return (value for value, flag in zip(column, seen, strict=True) if flag)


def _exactly(reader: zstandard.ZstdDecompressionReader, size: int) -> bytes:
    data = reader.read(size)
    if len(data) != size:
        raise ValueError("it is cut")
    return data


def _fill(reader: zstandard.ZstdDecompressionReader, room: memoryview) -> None:
    while room:
        size = reader.readinto(room[:_STEP])
        if not size:
            raise ValueError("it is cut")
        room = room[size:]


def _pack_id(record_id: str) -> bytes:
    data = record_id.encode()
    if len(data) == 32:
        try:
            raw = bytes.fromhex(record_id)
        except ValueError:
            raw = b""
        if raw.hex() == record_id:
            return bytes([_GUID]) + raw
    if 0 < len(data) < _LONG:
        return bytes([len(data)]) + data
    return bytes([_LONG]) + len(data).to_bytes(4, "little") + data


def _id_end(ids: bytearray, offset: int) -> int:
    first = ids[offset]
    if first == _GUID:
        return offset + 17
    if first == _LONG:
        return offset + 5 + int.from_bytes(ids[offset + 1 : offset + 5], "little")
    return offset + 1 + first


def _unpack_id(data: bytes | bytearray) -> str:
    if data[0] == _GUID:
        return data[1:].hex()
    return data[5 if data[0] == _LONG else 1 :].decode()
