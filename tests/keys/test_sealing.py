"""Sealed credentials: only with the key, and only for what they belong to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.errors import DamageError, WrongKeyError
from vaultd.keys import SealingKey

KEY = SealingKey(bytes(range(32)))


@given(st.binary(max_size=200), st.lists(st.text(max_size=20), max_size=3))
def test_what_was_sealed_opens_where_it_belongs_only(plain: bytes, belongs: list[str]) -> None:
    sealed = KEY.seal(plain, belongs)
    assert KEY.open(sealed, belongs, KEY.id) == plain
    for other in ([*belongs, ""], ["x", *belongs]):
        with pytest.raises(DamageError, match="another account"):
            KEY.open(sealed, other, KEY.id)


def test_parts_do_not_run_into_each_other() -> None:
    sealed = KEY.seal(b"x", ("ab", "c"))
    with pytest.raises(DamageError):
        KEY.open(sealed, ("a", "bc"), KEY.id)


def test_the_same_twice_looks_different_and_shows_nothing() -> None:
    one, two = (KEY.seal(b"hunter2", ("a",)) for _ in range(2))
    assert one != two
    assert b"hunter2" not in one + two


@given(st.integers(0, 46), st.integers(1, 255))
def test_every_flipped_bit_is_found(place: int, flip: int) -> None:
    sealed = bytearray(KEY.seal(b"hunter2", ("a",)))
    sealed[place] ^= flip
    with pytest.raises(DamageError):
        KEY.open(bytes(sealed), ("a",), KEY.id)


@given(st.binary(max_size=60))
def test_bytes_of_anybody_are_an_error(data: bytes) -> None:
    with pytest.raises(DamageError):
        KEY.open(data, ("a",), KEY.id)


def test_another_key_is_named_and_says_what_to_do() -> None:
    other = SealingKey(bytes(32))
    with pytest.raises(WrongKeyError, match=rf"{KEY.id}; the one here is {other.id}.*reseal"):
        other.open(KEY.seal(b"x", ()), (), KEY.id)
