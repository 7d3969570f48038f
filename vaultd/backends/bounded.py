"""What a place that a stranger named may cost: seconds in all, and objects in a listing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Final

from vaultd.backends.base import Backend, Finding, ObjectInfo, Space
from vaultd.errors import PlaceBusy, PlaceError

MOST_OBJECTS: Final = 200_000


class BoundedBackend:
    """Wraps a backend; satisfies Backend. After `seconds` of work in all every verb is refused.

    A verb in flight is not cut off: each of its requests has its own bounds beneath. The time
    between the verbs costs nothing.
    """

    def __init__(
        self,
        inner: Backend,
        name: str,
        seconds: float,
        *,
        most_objects: int = MOST_OBJECTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.inner = inner
        self._name = name
        self._seconds = seconds
        self._spent = 0.0
        self._most = most_objects
        self._clock = clock

    def __repr__(self) -> str:
        return f"BoundedBackend({self.inner!r})"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Give one verb its turn unless the time is used up, and count what it takes."""
        if self._spent >= self._seconds:
            raise PlaceBusy(
                f"{self._name} took more than {self._seconds:,.0f} s in this run.",
                hint="The next run goes on.",
                unknown=False,
            )
        begun = self._clock()
        try:
            yield
        finally:
            self._spent += self._clock() - begun

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create."""
        with self._turn():
            self.inner.create(name, data, size)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        with self._turn():
            return self.inner.read(name, offset, length)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name; see Backend.list. Raises PlaceError when they do not end."""
        found, number = self.inner.list(prefix), 0
        while True:
            with self._turn():
                item = next(found, None)
            if item is None:
                return
            number += 1
            if number > self._most:
                raise PlaceError(
                    f"{self._name} lists more than {self._most:,} objects.",
                    hint="Give vaultd a folder of its own.",
                )
            yield item

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        with self._turn():
            self.inner.delete(name)

    def space(self) -> Space:
        """Return the room in the place; see Backend.space."""
        with self._turn():
            return self.inner.space()

    def probe(self) -> Sequence[Finding]:
        """Measure the place; see Backend.probe."""
        with self._turn():
            return self.inner.probe()
