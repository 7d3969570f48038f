"""What a place that a stranger named may cost: seconds in all, and objects in a listing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

from vaultd.backends.base import Backend, Finding, ObjectInfo, Space
from vaultd.backends.transport.watched_data import WatchedData
from vaultd.backends.trial import Trial, trial_of
from vaultd.errors import PlaceBusy, PlaceError

MOST_OBJECTS: Final = 200_000


class Allowance:
    """The `seconds` of work that a place called `name` may cost in all; what lies between its
    turns costs nothing, and turns at the same time count once."""

    def __init__(
        self, name: str, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._seconds = seconds
        self._clock = clock
        self._spent = 0.0
        self._turns = 0
        self._begun = 0.0
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raise PlaceBusy when all is spent; asked before each request, too."""
        with self._lock:
            spent = self._spent + (self._clock() - self._begun if self._turns else 0.0)
        if spent >= self._seconds:
            raise PlaceBusy(
                f"{self.name} took more than {self._seconds:,.0f} s in this run.",
                hint="The next run goes on.",
                unknown=False,
            )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Give one verb its turn unless all is spent, and count what it takes."""
        self.check()
        with self._lock:
            if not self._turns:
                self._begun = self._clock()
            self._turns += 1
        try:
            yield
        finally:
            with self._lock:
                self._turns -= 1
                if not self._turns:
                    self._spent += self._clock() - self._begun


class _Checked(WatchedData):
    """Data whose reading ends when the allowance does: an upload in flight ends with it."""

    def __init__(self, data: BinaryIO, allowance: Allowance) -> None:
        super().__init__(data)
        self._allowance = allowance

    def read(self, size: int = -1) -> bytes:
        self._allowance.check()
        return self._data.read(size)


class BoundedBackend:
    """Wraps a backend; satisfies Backend. After the allowance is spent every verb is refused.

    A verb in flight ends with the next piece of data that it wants to send, or the next request
    where the backend asks the same allowance; one request has its own bounds beneath.
    """

    def __init__(
        self, inner: Backend, allowance: Allowance, *, most_objects: int = MOST_OBJECTS
    ) -> None:
        self.inner = inner
        self._name = allowance.name
        self._turn = allowance.turn
        self._allowance = allowance
        self._most = most_objects

    def __repr__(self) -> str:
        return f"BoundedBackend({self.inner!r})"

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create."""
        with self._turn():
            self.inner.create(name, cast(BinaryIO, _Checked(data, self._allowance)), size)

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

    def for_trial(self) -> Trial:
        """Return the backend that the inner one is tried with, within the same allowance."""
        with self._turn():
            trial = trial_of(self.inner)
        bounded = BoundedBackend(trial.backend, self._allowance, most_objects=self._most)
        return trial._replace(backend=bounded)
