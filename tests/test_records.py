"""Records: one encoding, and no hostile shape gets through."""

from __future__ import annotations

import msgpack
import pytest

from vaultd.errors import DamageError
from vaultd.records import (
    MAX_DEPTH,
    MAX_MAP,
    MAX_RECORD_BYTES,
    MAX_VALUES,
    Body,
    check_stored,
    encode_body,
    encode_record,
    is_readable,
    record_unpacker,
)


def test_equal_bodies_are_equal_bytes_whatever_their_order() -> None:
    assert encode_body({"b": 1, "a": [True, None]}) == encode_body({"a": [True, None], "b": 1})


def test_a_record_nested_too_deep_is_damage() -> None:
    body: object = {}
    for _ in range(MAX_DEPTH + 1):
        body = {"x": body}
    with pytest.raises(DamageError, match="nested deeper"):
        check_stored(["post", "1", body])


@pytest.mark.parametrize(
    "value",
    [None, 1, [], ["post", "1"], [1, "x", {}], ["post", 2, {}], ["post", "1", []], {"a": 1}],
)
def test_what_is_no_record_is_damage(value: object) -> None:
    with pytest.raises(DamageError):
        check_stored(value)


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xdd\xff\xff\xff\xff",  # an array of four thousand million
        b"\xdf\xff\xff\xff\xff",  # a map of as many
        b"\xdb\xff\xff\xff\xff",  # a text of 4 GiB
        b"\xc6\xff\xff\xff\xff",  # bytes
        b"\x91" * 5000,  # nesting
    ],
)
def test_msgpack_bombs_do_not_go_off(bomb: bytes) -> None:
    unpacker = record_unpacker()
    unpacker.feed(bomb)
    # A length beyond the buffer only waits for bytes; the reader bounds how many it feeds.
    with pytest.raises((ValueError, msgpack.UnpackException, StopIteration)):
        next(unpacker)


def test_a_record_comes_back_from_its_bytes() -> None:
    unpacker = record_unpacker()
    unpacker.feed(encode_record("post", "é", {"text": "🌻"}) + encode_record("post", "2", None))
    first, second = (check_stored(value) for value in unpacker)
    assert (first.kind, first.id, first.body) == ("post", "é", {"text": "🌻"})
    assert second.body is None


@pytest.mark.parametrize(
    ("body", "fine"),
    [
        ({"a": [1] * (MAX_VALUES - 10)}, True),
        ({"a": [1] * MAX_VALUES}, False),
        ({"a": {str(number): 1 for number in range(MAX_MAP)}}, True),
        ({"a": {str(number): 1 for number in range(MAX_MAP + 1)}}, False),
        ({"a": "x" * (MAX_RECORD_BYTES // 2)}, True),
        ({"a": "x" * MAX_RECORD_BYTES}, False),
    ],
)
def test_what_is_written_is_what_a_reader_takes(body: Body, fine: bool) -> None:
    wire = encode_record("post", "1", body)
    assert is_readable(wire) is fine
    unpacker = record_unpacker()
    try:
        unpacker.feed(wire)
        taken = [check_stored(value) for value in unpacker]
    except (ValueError, DamageError, msgpack.UnpackException):
        taken = []
    assert bool(taken) is fine
