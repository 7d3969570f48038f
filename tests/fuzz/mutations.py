"""Damaged and hostile variants of valid inputs, and what every parser must do with them."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from vaultd.errors import VaultdError

T = TypeVar("T")

# What a length becomes: the largest of each kind, in both orders, with msgpack's markers.
_LENGTHS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
            b"\xdc\xff\xff", b"\xc9\xff\xff\xff\xff\x01", b"\xd6\xff\xff\xff\xff\xff")  # fmt: skip


def examples(count: int) -> settings:
    """Return settings: this many examples in CI, times VAULTD_TEST_FUZZ for a long look."""
    times = int(os.environ.get("VAULTD_TEST_FUZZ", "1"))
    return settings(max_examples=count * times, deadline=None, database=None)


@st.composite
def mutated(draw: st.DrawFn, valid: Sequence[bytes]) -> bytes:
    """Flip, cut, splice, repeat or blow up something in one of the valid inputs."""
    data = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 16)))
        how = draw(st.integers(0, 6))
        if how == 0 and start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif how == 1:
            del data[start:]
        elif how == 2:
            data[start:end] = draw(st.binary(max_size=12))
        elif how == 3:
            other = draw(st.sampled_from(valid))
            begin = draw(st.integers(0, len(other)))
            data[start:end] = other[begin : begin + draw(st.integers(0, 64))]
        elif how == 4:
            data[start:start] = bytes(data[start:end]) * draw(st.integers(1, 20))
        elif how == 5:
            length = draw(st.sampled_from(_LENGTHS))
            data[start : start + len(length)] = length
        else:
            del data[start:end]
    return bytes(data)


def hostile(*valid: bytes, max_size: int = 300) -> st.SearchStrategy[bytes]:
    """Arbitrary bytes, or (mostly) something nearly right."""
    return st.one_of(st.binary(max_size=max_size), mutated(valid), mutated(valid), mutated(valid))


def typed(parse: Callable[..., T], *arguments: Any, **more: Any) -> T | None:
    """Parse; a VaultdError is as good as a value, and anything else is a bug."""
    try:
        return parse(*arguments, **more)
    except VaultdError as error:
        assert str(error)
        return None


def peak(action: Callable[[], object]) -> int:
    """Return the most bytes that were in use at once during `action` (a VaultdError is fine)."""
    tracemalloc.start()
    try:
        typed(action)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
