"""What the state knows of one vault on one target: its archives, the newest point, its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from vaultd.errors import DamageError


class StoredArchive(msgspec.Struct, frozen=True, array_like=True):
    """One archive as it was created: sequence, object name, bytes, hash.

    `time` is RFC 3339, empty where nobody knows; `records` counts what was written into it,
    tombstones included; `needs` are the sequences of the archives that it stands on; `bad` was
    found damaged or missing and waits for being written again; `foreign` was found in the vault and
    is not known to be this account's, so it is never deleted.
    """

    sequence: int
    name: str
    size: int
    hash: bytes
    time: str = ""
    records: int = 0
    needs: tuple[int, ...] = ()
    bad: bool = False
    foreign: bool = False


class StoredBlob(msgspec.Struct, frozen=True, array_like=True):
    """One picture object: its keyed hash, bytes on the target, and the sequence of the first
    archive whose point does without it (0 while the newest point needs it). `foreign`: perhaps
    another account's, so it is never deleted."""

    digest: bytes
    size: int
    gone: int = 0
    bad: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class VaultPoint:
    """The committed point of a vault.

    `last` is None when the next archive must stand on its own (new target, lost or old state);
    `sequence` is then the number that it must go beyond. `archives` are all that the vault is
    known to hold, by sequence; `photos` is what PhotoCache dumped. The index is kept beside.
    """

    sequence: int
    last: StoredArchive | None
    archives: tuple[StoredArchive, ...]
    records: int
    photos: bytes
    blobs: tuple[StoredBlob, ...] = ()
    scrubbed_at: str | None = None

    @property
    def live(self) -> tuple[StoredArchive, ...]:
        """The archives that together make the newest point, `last` at the end."""
        if self.last is None:
            return ()
        needed = {*self.last.needs, self.last.sequence}
        return tuple(a for a in self.archives if a.sequence in needed)


@dataclass(frozen=True, slots=True)
class VaultSummary:
    """What `status` shows of a vault."""

    username: str
    target: str
    last_sequence: int
    last_at: str | None
    records: int
    archives: int
    scrubbed_at: str | None = None


_archives: Final = msgspec.msgpack.Decoder(tuple[StoredArchive, ...])
_blobs: Final = msgspec.msgpack.Decoder(tuple[StoredBlob, ...])

NOTHING: Final = VaultPoint(0, None, (), 0, b"")


def pack_archives(archives: tuple[StoredArchive, ...]) -> bytes:
    """Encode the list for its column."""
    return msgspec.msgpack.encode(archives)


def unpack_archives(data: bytes) -> tuple[StoredArchive, ...]:
    """Decode the column; raises DamageError."""
    try:
        return _archives.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise DamageError("An archive list in the state database is damaged.") from error


def pack_blobs(blobs: tuple[StoredBlob, ...]) -> bytes:
    """Encode the list for its column."""
    return msgspec.msgpack.encode(blobs)


def unpack_blobs(data: bytes) -> tuple[StoredBlob, ...]:
    """Decode the column; raises DamageError."""
    try:
        return _blobs.decode(data)
    except (msgspec.DecodeError, ValueError) as error:
        raise DamageError("A picture list in the state database is damaged.") from error
