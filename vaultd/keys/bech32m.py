"""Bech32m (BIP 350) without the 90-character limit, for recipients and pod keys."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import xor
from typing import Final

_CHARSET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
# Each letter's value; 255 for what is none.
_VALUES: Final = bytes(_CHARSET.find(chr(code)) & 255 for code in range(256))
_DIGITS: Final = str.maketrans(_CHARSET, "0123456789abcdefghijklmnopqrstuv")
_CONST: Final = 0x2BC830A3
_MAX_TEXT: Final = 1024
_GENERATORS: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# What each value of the five bits shifted out adds: a run reads a recipient per account.
_FOLDED: Final = tuple(
    reduce(xor, (g for bit, g in enumerate(_GENERATORS) if top >> bit & 1), 0) for top in range(32)
)


def _polymod(values: Iterable[int]) -> int:
    checksum = 1
    for value in values:
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value ^ _FOLDED[checksum >> 25]
    return checksum


def _expand(hrp: str) -> list[int]:
    return [ord(c) >> 5 for c in hrp] + [0] + [ord(c) & 31 for c in hrp]


def _letters(data: bytes) -> list[int]:
    """Return the bits of `data` in groups of five, filled up with zero bits."""
    count = -(-len(data) * 8 // 5)
    number = int.from_bytes(data, "big") << (count * 5 - len(data) * 8)
    return [number >> 5 * (count - 1 - place) & 31 for place in range(count)]


def _bytes(letters: str) -> bytes | None:
    """Return the bytes that these letters are; None when they end within one."""
    spare = len(letters) * 5 % 8
    number = int(letters.translate(_DIGITS), 32) if letters else 0
    if spare >= 5 or number & ((1 << spare) - 1):
        return None
    return (number >> spare).to_bytes(len(letters) * 5 // 8, "big")


def encode(hrp: str, data: bytes) -> str:
    """Return `hrp` + "1" + data + checksum, in lower case."""
    values = _letters(data)
    checksum = _polymod(_expand(hrp) + values + [0] * 6) ^ _CONST
    values += [checksum >> 5 * (5 - i) & 31 for i in range(6)]
    return f"{hrp}1" + "".join(_CHARSET[v] for v in values)


def decode(text: str) -> tuple[str, bytes]:
    """Return (human part, data); raises ValueError with what is wrong."""
    if len(text) > _MAX_TEXT:
        raise ValueError("it is far too long")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("it has characters that never occur in one")
    if text.lower() != text and text.upper() != text:
        raise ValueError("it mixes upper and lower case")
    text = text.lower()
    hrp, one, rest = text.rpartition("1")
    if not one or not hrp or len(rest) < 6:
        raise ValueError("it is incomplete")
    values = rest.encode("ascii").translate(_VALUES)
    if 255 in values:
        raise ValueError(f"the character {rest[values.index(255)]!r} never occurs in one")
    if _polymod([*_expand(hrp), *values]) != _CONST:
        raise ValueError("its checksum does not match, so it was mistyped or cut")
    data = _bytes(rest[:-6])
    if data is None:
        raise ValueError("it ends in the middle of a byte")
    return hrp, bytes(data)
