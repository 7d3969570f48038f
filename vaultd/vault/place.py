"""What the vault layer needs of a place to read from; every backend has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class StoredObject(Protocol):
    """One object in a listing."""

    @property
    def name(self) -> str:
        """The object's name."""
        ...

    @property
    def size(self) -> int:
        """Its size in bytes."""
        ...


class Place(Protocol):
    """Ranged reads and listings, as `vaultd.backends.base.Backend` describes them."""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; raises ObjectMissing or PlaceError."""
        ...

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the complete objects under a prefix, sorted by name."""
        ...
