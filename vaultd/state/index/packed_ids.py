"""Record ids in little room: a guid of 32 hex digits takes 17 bytes, other ids their length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

_GUID: Final = 0  # an id of 32 hex digits follows as 16 bytes
_LONG: Final = 255  # a 4-byte length follows
_MANY: Final = 16  # from here on, packing guids column by column pays


def pack_id(record_id: str) -> bytes:
    """Return an id as bytes that tell their own length; raises UnicodeEncodeError."""
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


def pack_ids(ids: Sequence[str]) -> bytes | bytearray:
    """Return ids packed one after the other; raises UnicodeEncodeError."""
    if len(ids) >= _MANY and set(map(len, ids)) == {32}:
        joined = "".join(ids)
        try:
            raw = bytes.fromhex(joined)
        except ValueError:
            raw = b""
        if raw.hex() == joined:
            packed = bytearray(17 * len(ids))
            for column in range(16):
                packed[column + 1 :: 17] = raw[column::16]
            return packed
    return b"".join(map(pack_id, ids))


def id_end(ids: bytearray, offset: int) -> int:
    """Return where the packed id that starts at `offset` ends."""
    first = ids[offset]
    if first == _GUID:
        return offset + 17
    if first == _LONG:
        return offset + 5 + int.from_bytes(ids[offset + 1 : offset + 5], "little")
    return offset + 1 + first


def unpack_id(data: bytes | bytearray) -> str:
    """Return the id that `pack_id` packed."""
    if data[0] == _GUID:
        return data[1:].hex()
    return data[5 if data[0] == _LONG else 1 :].decode()


def unpack_ids(ids: bytearray) -> Iterator[str]:
    """Yield the ids that were packed one after the other."""
    offset = 0
    while offset < len(ids):
        if not ids[offset]:
            yield ids[offset + 1 : offset + 17].hex()
            offset += 17
        else:
            end = id_end(ids, offset)
            yield unpack_id(ids[offset:end])
            offset = end
