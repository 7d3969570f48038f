"""What the state knows of one vault on one target: the newest archive and what it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from vaultd.errors import DamageError


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """One archive as it was created: sequence, object name, bytes, hash."""

    sequence: int
    name: str
    size: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class VaultPoint:
    """The committed point of a vault.

    `last` is None when the next archive must stand on its own (new target, lost or old state);
    `sequence` is then the number that it must go beyond. `archives` together, `last` included,
    make the account; `photos` is what PhotoCache dumped. The index is kept beside, in pieces.
    """

    sequence: int
    last: StoredArchive | None
    archives: tuple[StoredArchive, ...]
    records: int
    photos: bytes


@dataclass(frozen=True, slots=True)
class VaultSummary:
    """What `status` shows of a vault."""

    username: str
    target: str
    last_sequence: int
    last_at: str | None
    records: int
    archives: int


_decoder: Final = msgspec.msgpack.Decoder(list[tuple[int, str, int, bytes]])

NOTHING: Final = VaultPoint(0, None, (), 0, b"")


def pack_archives(archives: tuple[StoredArchive, ...]) -> bytes:
    """Encode the list for its column."""
    return msgspec.msgpack.encode([(a.sequence, a.name, a.size, a.hash) for a in archives])


def unpack_archives(data: bytes) -> tuple[StoredArchive, ...]:
    """Decode the column; raises DamageError."""
    try:
        return tuple(StoredArchive(*item) for item in _decoder.decode(data))
    except msgspec.DecodeError as error:
        raise DamageError("An archive list in the state database is damaged.") from error
