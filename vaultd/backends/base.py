"""The contract every storage backend keeps; `tests/backends/conformance.py` checks it on each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final, Protocol

import msgspec

from vaultd.errors import UsageError

NAME_PART: Final = re.compile(r"[a-z0-9_-]+")
NAME_PATTERN: Final = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+)*")
MAX_NAME: Final = 200


class ObjectInfo(msgspec.Struct, frozen=True):
    """One stored object: its name and its size in bytes."""

    name: str
    size: int


class Space(msgspec.Struct, frozen=True):
    """Bytes in all and bytes free; None where the place does not say."""

    total: int | None
    free: int | None


class Finding(msgspec.Struct, frozen=True):
    """One thing `probe()` measured: what, whether the place honours it, and a clear sentence.

    `grave` is what makes the place unfit; the rest is good to know, and vaultd does without it.
    """

    what: str
    fine: bool
    sentence: str
    grave: bool = True


class Backend(Protocol):
    """A flat store of immutable objects named `[a-z0-9_-]` with `/` between parts."""

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store `size` bytes read from `data` under a new name: complete or absent.

        Raises ObjectExists when the name is there (nothing is ever replaced), PlaceFull, or
        PlaceError. After an error a retry is safe and may see ObjectExists of its own effect.
        """
        ...

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes `offset … offset+length` (to the end if None), fewer only at the end.

        Raises ObjectMissing or PlaceError.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every complete object whose name starts with `prefix`, sorted by name.

        Never yields temporary or foreign names. Raises PlaceError.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove an object; an absent one is fine. Raises PlaceError."""
        ...

    def space(self) -> Space:
        """Return the room in the place. Raises PlaceError."""
        ...

    def probe(self) -> Sequence[Finding]:
        """Measure what the place honours, leaving nothing behind. Raises PlaceError."""
        ...


def check_name(name: str) -> str:
    """Return `name` if it is a legal object name; raises UsageError otherwise."""
    if len(name) > MAX_NAME or not NAME_PATTERN.fullmatch(name):
        raise UsageError(f"{name[:80]!r} is not a legal object name (only a-z 0-9 _ - and /).")
    return name
