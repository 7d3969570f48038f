"""A place that could not be opened yet: each verb tries again, as a disk may be mounted later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from vaultd.backends.base import Backend, Finding, ObjectInfo, Space


class LateBackend:
    """Satisfies Backend; `inner` is what `open_it` gave, None as long as it raises PlaceError."""

    def __init__(self, open_it: Callable[[], Backend]) -> None:
        self._open = open_it
        self.inner: Backend | None = None

    def _opened(self) -> Backend:
        if self.inner is None:
            self.inner = self._open()
        return self.inner

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create."""
        self._opened().create(name, data, size)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        return self._opened().read(name, offset, length)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name; see Backend.list."""
        yield from self._opened().list(prefix)

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        self._opened().delete(name)

    def space(self) -> Space:
        """Return the room in the place; see Backend.space."""
        return self._opened().space()

    def probe(self) -> Sequence[Finding]:
        """Measure the place; see Backend.probe."""
        return self._opened().probe()
