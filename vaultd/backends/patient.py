"""Patience with places, once for all backends: retries, limits, a circuit breaker, counters.

A backend makes one attempt. Only PlaceBusy is tried again, after a pause that grows, with jitter,
or after what the place asked for. A `create` whose effect is unknown is settled by reading back.
"""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeVar

from vaultd.backends.base import Backend, Finding, ObjectInfo, Space
from vaultd.backends.circuit import Circuit
from vaultd.backends.meter import Meter
from vaultd.backends.trial import Trial, trial_of
from vaultd.errors import ObjectExists, PlaceBusy, PlaceError, VaultdError

_T = TypeVar("_T")
_STEP: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Patience:
    """`tries` per call at most, pauses from `first` doubling to `longest`, `budget` in all (s)."""

    tries: int = 6
    first: float = 0.5
    longest: float = 30.0
    budget: float = 180.0
    at_once: int = 16


class PatientBackend:
    """Wraps a backend; satisfies Backend. `name` is the target's, for messages."""

    def __init__(
        self,
        inner: Backend,
        name: str,
        patience: Patience | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self.inner = inner
        self.name = name
        self.meter = Meter()
        self._patience = patience or Patience()
        self._circuit = Circuit(name, clock=clock)
        self._clock = clock
        self._sleep = sleep
        self._chance = chance or random.Random()  # noqa: S311 - spreads pauses, guards nothing
        self._room = threading.BoundedSemaphore(self._patience.at_once)

    def __repr__(self) -> str:
        return f"PatientBackend({self.name}, {self.inner!r})"

    @property
    def resting(self) -> bool:
        """Whether the place stayed away so often that it is left alone for now."""
        return self._circuit.resting

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create.

        Data that can be rewound is sent again where the place failed; other data is not.
        """
        rewind = _start(data)
        unknown = False

        def attempt() -> None:
            nonlocal unknown
            if rewind is not None:
                data.seek(rewind)
            try:
                self.inner.create(name, data, size)
            except PlaceBusy as error:
                unknown |= error.unknown
                raise
            except ObjectExists:
                # An earlier try of ours may have arrived all the same.
                if not unknown or rewind is None or not self._is_it(name, data, rewind, size):
                    raise

        self._call("create", attempt, up=size, again=rewind is not None)

    def _is_it(self, name: str, data: BinaryIO, rewind: int, size: int) -> bool:
        """Tell whether the stored object is what we wanted to store."""
        data.seek(rewind)
        left = size
        offset = 0
        while left:
            mine = data.read(min(_STEP, left))
            if not mine or self.inner.read(name, offset, len(mine)) != mine:
                return False
            offset += len(mine)
            left -= len(mine)
        return self.inner.read(name, offset, 1) == b""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        return self._call("read", lambda: self.inner.read(name, offset, length), down=len)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name; see Backend.list. A listing that breaks off is begun again."""
        last = ""
        left = self._patience.tries
        begun = self._clock()
        while True:
            self._circuit.check()
            try:
                for item in self._listing(prefix, last):
                    last = item.name
                    yield item
                return
            except PlaceBusy as error:
                left -= 1
                if not left:
                    self._circuit.failed(error)
                    raise
                self._pause(error, self._patience.tries - left, begun)

    def _listing(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        begun = self._clock()
        try:
            # The listing is not held while its reader works: it may want to read in between.
            for item in self.inner.list(prefix):
                if item.name > after:
                    yield item
        except PlaceBusy as error:
            self.meter.failed("list", error.code, again=True)
            raise
        except VaultdError as error:
            self.meter.failed("list", error.code, again=False)
            raise
        self._circuit.answered()
        self.meter.called("list", self._clock() - begun)

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        self._call("delete", lambda: self.inner.delete(name))

    def space(self) -> Space:
        """Return the room in the place; see Backend.space."""
        return self._call("space", self.inner.space)

    def probe(self) -> Sequence[Finding]:
        """Measure the place; see Backend.probe. Not repeated: it leaves traces to clean."""
        return self._call("probe", self.inner.probe, again=False)

    def for_trial(self) -> Trial:
        """Return the same patience with the backend that the inner one is tried with."""
        trial = trial_of(self.inner)
        patient = PatientBackend(
            trial.backend, self.name, self._patience, clock=self._clock, sleep=self._sleep
        )
        return trial._replace(backend=patient)

    def _call(
        self,
        verb: str,
        attempt: Callable[[], _T],
        *,
        up: int = 0,
        down: Callable[[_T], int] | None = None,
        again: bool = True,
    ) -> _T:
        begun = self._clock()
        number = 0
        while True:
            self._circuit.check()
            number += 1
            try:
                with self._room:
                    started = self._clock()
                    result = attempt()
                    taken = self._clock() - started
            except PlaceBusy as error:
                more = again and number < self._patience.tries
                self.meter.failed(verb, error.code, again=more)
                if not more:
                    self._circuit.failed(error)
                    raise
                self._pause(error, number, begun)
                continue
            except VaultdError as error:
                self.meter.failed(verb, error.code, again=False)
                if isinstance(error, PlaceError):
                    self._circuit.answered()
                raise
            self._circuit.answered()
            size = down(result) if down is not None else 0
            self.meter.called(verb, taken, up=up, down=size)
            return result

    def _pause(self, error: PlaceBusy, number: int, begun: float) -> None:
        """Sleep before the next try; raises the error when the budget does not allow it."""
        longest = min(self._patience.longest, self._patience.first * 2 ** (number - 1))
        pause = self._chance.uniform(longest / 2, longest)
        if error.retry_after is not None:
            pause = max(pause, error.retry_after)
        if self._clock() - begun + pause > self._patience.budget:
            self._circuit.failed(error)
            raise error
        self._sleep(pause)


def _start(data: BinaryIO) -> int | None:
    """Return where the data starts, None where it cannot be rewound."""
    try:
        return data.tell() if data.seekable() else None
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return None
