"""Whatever the cuts between frames: the records, and the error, that one unpacker over all gives."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaultd.errors import DamageError
from vaultd.records import (
    MAX_DEPTH,
    MAX_MAP,
    MAX_RECORD_BYTES,
    StoredRecord,
    check_stored,
    record_unpacker,
)
from vaultd.vault.coding.record_stream import RecordStream
from vaultd.vault.layout import FRAME_PLAIN

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
BODIES = st.none() | st.dictionaries(st.text(max_size=8), VALUES, max_size=5)
RECORDS = st.tuples(st.text(max_size=8), st.text(max_size=12), BODIES)


def nested(depth: int) -> object:
    value: object = 1
    for level in range(depth):
        value = {"a": value} if level % 2 else [value]
    return value


# What no writer makes, next to what is only unusual.
ODD = st.sampled_from(
    [
        msgpack.packb(value)
        for value in (
            None, 7, "text", [], ["k", "i"], ["k", "i", None, 1], [1, "i", None], ["k", 2, None],
            ["k", "i", []], ["k", "i", "b"], ["k", "i", {1: 2}], ["k", "i", {b"": 2}],
            ["k", "i", {"a": {b"": 1}}], ["k", "i", {"a": b""}], ["k", "i", {"a": b"x"}],
            ["k", "i", {"a": [{2: 1}]}], ["k", "i", {"a": msgpack.ExtType(5, b"x")}],
            *(["k", "i", {"a": nested(depth)}] for depth in (3, 5, 6, 7, 30, 31, 32, 33, 300)),
        )
    ]
    + [
        b"\xc1", b"\x93\xa1k\xa1i", b"\x93\xa1k\xa2\xff\xfe\xc0", b"\xdd\xff\xff\xff\xff", b"\x91" * 2000,
        b"\xdb\xff\xff\xff\xff", b"\x93\xa1k\xa1i\x82\xa1a\x01\xa1a\x02", b"\x93\xa1k\xa1i\x81\xa1a\xca?\x80\0\0",
        b"\xd6\xff\0\0\0\0", b"\x93\xa1k\xa1i\x81\xa1a\xd6\xff\0\0\0\0", b"\x93\xa1k\xa1i\x81\xa1a\xa3\xed\xa0\xbd",
    ]
)  # fmt: skip


def expected(whole: bytes) -> tuple[list[StoredRecord], bool]:
    """Return the records before the first error, and whether there is one."""
    unpacker = record_unpacker()
    unpacker.feed(whole)
    records: list[StoredRecord] = []
    end = 0
    try:
        for value in unpacker:
            records.append(check_stored(value))
            end = unpacker.tell()
    except (msgpack.UnpackException, ValueError, RecursionError, DamageError):
        return records, True
    return records, end != len(whole)


def found(frames: list[bytes]) -> tuple[list[StoredRecord], bool]:
    stream = RecordStream("x")
    records: list[StoredRecord] = []
    try:
        for frame in frames:
            for batch in stream.feed(frame):
                records += batch
        stream.end()
    except DamageError:
        return records, True
    return records, False


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(whole), *(place % (len(whole) + 1) for place in places)})
    return [whole[a:b] for a, b in pairwise(edges)]


def same(one: list[StoredRecord], other: list[StoredRecord]) -> bool:
    """Tell 1, 1.0 and True apart, which are equal in Python."""
    return repr(one) == repr(other)


@given(st.lists(RECORDS, max_size=200), st.lists(st.integers(0, 2**30), max_size=6))
@settings(deadline=None)
def test_records_come_back_wherever_frames_cut_them(
    records: list[tuple[str, str, Any]], places: list[int]
) -> None:
    whole = b"".join(msgpack.packb(list(record)) for record in records)
    got, damaged = found(cut(whole, places))
    assert not damaged
    assert same(got, [StoredRecord(*record) for record in records])


@given(
    st.lists(
        RECORDS.map(lambda r: msgpack.packb(list(r))) | ODD | st.binary(max_size=12), max_size=90
    ),
    st.lists(st.integers(0, 2**30), max_size=6),
    st.booleans(),
)
@settings(deadline=None, max_examples=400)
def test_a_hostile_stream_gives_the_records_before_its_first_error(
    parts: list[bytes], places: list[int], one_by_one: bool
) -> None:
    whole = b"".join(parts)
    frames = [whole[i : i + 1] for i in range(len(whole))] if one_by_one else cut(whole, places)
    got, damaged = found(frames)
    wanted, wrong = expected(whole)
    assert damaged == wrong
    assert same(got, wanted)


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH])
def test_depth_is_bounded_alike_in_a_frame_and_across_frames(depth: int) -> None:
    whole = msgpack.packb(["k", "i", {"a": nested(depth)}])
    for frames in ([whole], [whole[:9], whole[9:]], [b"\x93\xa1k\xa1j\xc0" + whole]):
        records, damaged = found(frames)
        assert damaged == (depth >= MAX_DEPTH)
        assert [r.id for r in records] == ["j"] * (len(frames[0]) > len(whole)) + ["i"] * (
            not damaged
        )


def head(size: int) -> bytes:
    """Return the start of a record whose text brings it to `size` bytes in all."""
    start = b"\x93\xa1k\xa1i\x81\xa1a\xdb"
    return start + struct.pack(">I", size - len(start) - 4)


@pytest.mark.parametrize("more", [0, 1])
def test_a_record_has_at_most_sixteen_mebibytes(more: int) -> None:
    size = MAX_RECORD_BYTES + more
    whole = head(size) + bytes(size - len(head(size))) + b"\x93\xa1k\xa1j\xc0"
    records, damaged = found(
        [whole[i : i + FRAME_PLAIN] for i in range(0, len(whole), FRAME_PLAIN)]
    )
    assert damaged == bool(more)
    assert [r.id for r in records] == ([] if more else ["i", "j"])


def test_many_small_values_do_not_make_a_record_larger_than_that() -> None:
    count = 17
    part = b"\xdc" + struct.pack(">H", 2**16 - 1) + b"\xcd\x01\x00" * (2**16 - 1)
    body = b"\x93\xa1k\xa1i\x81\xa1a\xdd" + struct.pack(">I", count * 6) + part * (count * 6)
    assert len(body) > MAX_RECORD_BYTES
    assert found([body[i : i + FRAME_PLAIN] for i in range(0, len(body), FRAME_PLAIN)]) == (
        [],
        True,
    )


@pytest.mark.parametrize("more", [0, 1])
def test_a_map_has_at_most_so_many_keys_alike_in_a_frame_and_across_frames(more: int) -> None:
    # Equal keys, so that the map fits into one frame.
    whole = (
        b"\x93\xa1k\xa1i\xdf" + struct.pack(">I", MAX_MAP + more) + b"\xa0\x01" * (MAX_MAP + more)
    )
    assert len(whole) < FRAME_PLAIN
    for frames in ([whole], [whole[:50], whole[50:]]):
        assert found(frames)[1] == bool(more)


def test_a_stream_that_ends_between_a_records_parts_is_cut() -> None:
    for end in range(1, 6):
        assert found([b"\x93\xa1k\xa1i\xc0", b"\x93\xa1k\xa1j\xc0"[:end]]) == (
            [StoredRecord("k", "i", None)],
            True,
        )
