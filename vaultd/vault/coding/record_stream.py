"""The records section's plain bytes turned back into records, a frame at a time.

Frames cut the stream of records anywhere. What lies whole in a frame is decoded many records at
once, by a decoder that takes less than the format allows; what it refuses, and what a frame cuts,
goes through the bounded unpacker and `check_stored`, which decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap
from typing import Annotated, Any, Final

import msgpack
import msgspec

from vaultd.errors import DamageError
from vaultd.records import (
    MAX_MAP,
    MAX_RECORD_BYTES,
    StoredRecord,
    check_stored,
    record_unpacker,
)

_LEVELS: Final = 5  # the decoder's type doubles with each
_AT_ONCE: Final = 64  # more would outlive young garbage collections and make them long


def _body_type() -> Any:
    size = msgspec.Meta(max_length=MAX_MAP)
    value: Any = None | bool | int | float | str
    for _ in range(_LEVELS):
        body: Any = Annotated[dict[str, value], size]
        value = None | bool | int | float | str | list[value] | body
    return body | None


_decoder: Final[msgspec.msgpack.Decoder[Any]] = msgspec.msgpack.Decoder(
    list[tuple[str, str, _body_type()]]  # type: ignore[misc]
)
_UNREADABLE: Final = (msgpack.UnpackException, ValueError, RecursionError)


class RecordStream:
    """Feed it the frames of the archive `name` in order, then call `end`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._cut: msgpack.Unpacker | None = None
        self._size = 0

    def feed(self, plain: bytes) -> Iterator[list[StoredRecord]]:
        """Yield the records that end in this frame, in order.

        Raises DamageError at the first that is none, after all before it were yielded.
        """
        start = 0
        if self._cut is not None:
            size = self._size
            record = self._continue(self._cut, plain)
            if record is None:
                return
            yield [record]
            start = self._size - size
        self._cut, self._size = None, 0
        for count, end in _whole(plain, start):
            yield from self._decode(memoryview(plain)[start:end], count)
            start = end
        if start < len(plain):
            self._cut = record_unpacker()
            if self._continue(self._cut, plain[start:]) is not None:
                raise DamageError(f"{self._name} holds an unreadable record.")

    def end(self) -> None:
        """Raise DamageError when the stream ended inside a record."""
        if self._cut is not None:
            raise DamageError(f"{self._name} ends inside a record.")

    def _continue(self, cut: msgpack.Unpacker, plain: bytes) -> StoredRecord | None:
        """Return the record that a frame cut, if it ends in `plain`; `_size` is its size so far."""
        plain = plain[: MAX_RECORD_BYTES - self._size]
        try:
            cut.feed(plain)
            for value in cut:
                self._size = cut.tell()
                return check_stored(value)
        except _UNREADABLE as error:
            raise DamageError(f"{self._name} holds an unreadable record.") from error
        self._size += len(plain)
        if self._size >= MAX_RECORD_BYTES:
            raise DamageError(f"{self._name} holds a record of more than 16 MiB.")
        return None

    def _decode(self, whole: memoryview, count: int) -> Iterator[list[StoredRecord]]:
        try:
            records = list(
                starmap(StoredRecord, _decoder.decode(b"".join((_array_of(count), whole))))
            )
        except (msgspec.MsgspecError, ValueError, RecursionError):
            yield from self._decode_each(whole)
        else:
            yield records

    def _decode_each(self, whole: memoryview) -> Iterator[list[StoredRecord]]:
        unpacker = record_unpacker()
        unpacker.feed(whole)
        records: list[StoredRecord] = []
        try:
            records.extend(map(check_stored, unpacker))
        except DamageError:
            yield records
            raise
        except _UNREADABLE as error:
            yield records
            raise DamageError(f"{self._name} holds an unreadable record.") from error
        yield records


def _whole(plain: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Yield the numbers of values that lie whole in `plain` from `start`, and where they end.

    Junk ends the last one too: it is then the start of what the frame seems to cut.
    """
    scanner = record_unpacker()
    scanner.feed(plain[start:] if start else plain)
    skip, tell = scanner.skip, scanner.tell
    count, length = 0, 0
    try:
        while True:
            skip()
            count += 1
            length = tell()
            if count == _AT_ONCE:
                yield count, start + length
                count = 0
    except _UNREADABLE:  # out of data, or junk
        if count:
            yield count, start + length


def _array_of(count: int) -> bytes:
    """Return the msgpack head of an array."""
    return b"\xdd" + count.to_bytes(4, "big")
