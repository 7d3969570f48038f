"""Reading a caller's data piece by piece, held to the size it promised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from vaultd.errors import PlaceError

_PIECE: Final = 256 * 1024


def promised_pieces(data: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield pieces of at most 256 KiB that add up to exactly `size` bytes.

    Raises PlaceError when `data` is shorter or longer, and passes on what `data.read` raises.
    The last piece is yielded only when nothing follows it, so that a consumer has not got all
    of an object that is too long.
    """
    left = size
    held = b""
    while left:
        piece = data.read(min(left, _PIECE))
        if not piece:
            raise PlaceError(f"The data ended {left} bytes before its promised size.")
        left -= len(piece)
        if held:
            yield held
        held = piece
    if data.read(1):
        raise PlaceError(f"The data is longer than its promised {size} bytes.")
    if held:
        yield held
