"""Keyed digests: the state database must not tell what is in the records it indexes."""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Sequence
from typing import Final

from vaultd.state.index.piece_seal import PieceSeal

_REMEMBERED: Final = 1_000  # as many records as 128,000 known pods make


class Digests:
    """64-bit keyed digests as integers, under the state's 32-byte key; `seal` seals under it."""

    __slots__ = ("_body", "_checksum", "_key", "_shared", "seal")

    def __init__(self, secret: bytes) -> None:
        self.seal = PieceSeal(secret)
        self._key = hashlib.blake2b(digest_size=8, key=secret, person=b"state-key")
        self._body = hashlib.blake2b(digest_size=8, key=secret, person=b"state-body")
        self._shared: dict[bytes, int] = {}
        self._checksum = hashlib.blake2b(digest_size=16, key=secret, person=b"state-checksum")

    def key(self, kind: str, record_id: str) -> int:
        """Return the digest of a record's kind and id; raises UnicodeEncodeError."""
        digest = self._key.copy()
        digest.update(f"{kind}\0{record_id}".encode())
        return int.from_bytes(digest.digest(), "little")

    def body(self, encoded: bytes) -> int:
        """Return the digest of an encoded record."""
        digest = self._body.copy()
        digest.update(encoded)
        return int.from_bytes(digest.digest(), "little")

    def bodies(self, encoded: Sequence[bytes], *, shared: bool = False) -> Sequence[int]:
        """Return the digests of encoded records; `shared` ones come again for other accounts."""
        if shared:
            return self._remembered(encoded)
        begin, found = self._body.copy, []
        for each in encoded:
            digest = begin()
            digest.update(each)
            found.append(digest.digest())
        numbers = array("Q", b"".join(found))
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers

    def _remembered(self, encoded: Sequence[bytes]) -> Sequence[int]:
        known = self._shared
        if len(known) > _REMEMBERED:
            known.clear()
        new = [each for each in encoded if each not in known]
        known.update(zip(new, self.bodies(new), strict=True))
        return [known[each] for each in encoded]

    def checksum(self) -> hashlib.blake2b:
        """Return a keyed hash to be updated with what a value of the state packs."""
        return self._checksum.copy()
