"""Which pictures a vault already holds, so that an unchanged file is not even read again."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import zstandard

from vaultd.errors import DamageError
from vaultd.state.index.digests import Digests
from vaultd.state.index.pieces import Pieces, Rows, packed
from vaultd.state.index.table import KeyTable

_ENTRY: Final = struct.Struct("<32sQqQ")
_KEY: Final = struct.Struct("<Q")
_NONE: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class KnownPhoto:
    """A stored picture: its keyed hash, and the file's size, mtime and inode at that time.

    `mtime_ns` is 0 where the source does not tell one; such a file is read at every run.
    """

    digest: bytes
    size: int
    mtime_ns: int
    inode: int


class PhotoCache:
    """Pictures by (photo id, file name); only those used in this run are dumped."""

    def __init__(self, digests: Digests, data: bytes = b"") -> None:
        self._digests = digests
        self._table = KeyTable()
        self._values = bytearray()
        self._used = bytearray()
        self.dirty = False
        if data:
            self._load(data)

    def _load(self, data: bytes) -> None:
        width = _KEY.size + _ENTRY.size
        try:
            plain = Rows(Pieces([data], self._digests.seal), self._digests.checksum()).rest()
            if len(plain) % width:
                raise ValueError("it is cut")
        except (zstandard.ZstdError, ValueError) as error:
            raise DamageError(
                f"A picture list in the state database is damaged ({error}); no vault is affected.",
                hint="The account's next archive will hold everything again.",
            ) from error
        for offset in range(0, len(plain), width):
            self._table.add(_KEY.unpack_from(plain, offset)[0])
            self._values += plain[offset + _KEY.size : offset + width]
        self._used = bytearray(len(self._table))

    def get(self, photo_id: str, file: str) -> KnownPhoto | None:
        """Return what is known of a photo's file, and keep it for the next run."""
        position = self._table.find(self._digests.key("photo file", f"{photo_id}\0{file}"))
        if position < 0:
            return None
        known = KnownPhoto(*_ENTRY.unpack_from(self._values, position * _ENTRY.size))
        if known.digest == _NONE:
            return None
        self._used[position] = 1
        return known

    def put(self, photo_id: str, file: str, photo: KnownPhoto) -> None:
        """Note that the vault holds this picture now."""
        key = self._digests.key("photo file", f"{photo_id}\0{file}")
        value = _ENTRY.pack(photo.digest, photo.size, photo.mtime_ns, photo.inode)
        position = self._table.find(key)
        self.dirty = True
        if position < 0:
            self._table.add(key)
            self._values += value
            self._used.append(1)
        else:
            start = position * _ENTRY.size
            self._values[start : start + _ENTRY.size] = value
            self._used[position] = 1

    def forget(self, digests: Collection[bytes]) -> None:
        """Drop pictures that the vault does not hold any more, so that they are stored again."""
        for position in range(len(self._table)):
            start = position * _ENTRY.size
            if bytes(self._values[start : start + 32]) in digests:
                self._values[start : start + _ENTRY.size] = _ENTRY.pack(_NONE, 0, 0, 0)

    def keep_all(self) -> None:
        """Take every known picture as still in use: the source could not read them all."""
        self._used = bytearray(b"\1") * len(self._table)

    def used(self) -> dict[bytes, int]:
        """Return the pictures used in this run: keyed hash and plain bytes."""
        found: dict[bytes, int] = {}
        for position, used in enumerate(self._used):
            digest, size, _, _ = _ENTRY.unpack_from(self._values, position * _ENTRY.size)
            if used and digest != _NONE:
                found[digest] = size
        return found

    def dump(self, *, everything: bool = False) -> bytes:
        """Return the pictures used in this run (or all that are known), compressed."""
        return b"".join(
            packed(self._rows(everything), self._digests.checksum(), self._digests.seal)
        )

    def _rows(self, everything: bool) -> Iterator[bytes]:
        for position, key in enumerate(self._table.keys):
            start = position * _ENTRY.size
            wanted = everything or self._used[position]
            if wanted and self._values[start : start + 32] != _NONE:
                yield _KEY.pack(key) + self._values[start : start + _ENTRY.size]
