"""Patience with places, once for all backends: retries, limits, a circuit breaker, counters.

A backend makes one attempt. Only PlaceBusy is tried again, after a pause that grows, with jitter,
or after what the place asked for, as long as time allows. A `create` whose effect is unknown is
settled by reading back. Here is the border, too: whatever a backend raises, PlaceError comes out.
"""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeVar, cast

from vaultd.backends.base import Backend, Finding, ObjectInfo, Space
from vaultd.backends.trial import Trial, trial_of
from vaultd.backends.wrappers.border import OwnData, border
from vaultd.backends.wrappers.circuit import Circuit, LeftAlone
from vaultd.backends.wrappers.meter import Meter
from vaultd.errors import (
    ObjectExists,
    ObjectMissing,
    PlaceBusy,
    PlaceClosed,
    PlaceError,
    PlaceFull,
    VaultdError,
)

_T = TypeVar("_T")
_STEP: Final = 1024 * 1024
_PATIENT: Final = 6  # tries of one call while others of the same place work
_NAP: Final = 0.5  # seconds between two looks whether the run was asked to stop
_OF_DATA: Final = frozenset({"create", "read", "list"})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Pauses from `first` doubling to `longest` (s) while nothing works, for `budget` s at most.

    `tries` per call at most, where they are not 0. A place that never answered yet gets
    `first_contact` seconds in place of the budget, where given: a person waits.
    """

    tries: int = 0
    first: float = 0.5
    longest: float = 30.0
    budget: float = 180.0
    at_once: int = 16
    first_contact: float | None = None


class RetryingBackend:
    """Wraps a backend; satisfies Backend. `name` is the target's, for messages."""

    def __init__(
        self,
        inner: Backend,
        name: str,
        patience: RetryPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.inner = inner
        self.name = name
        self.meter = Meter()
        self._patience = patience or RetryPolicy()
        self._circuit = Circuit(name, budget=self._patience.budget, clock=clock)
        self._clock = clock
        self._sleep = sleep or self._nap
        self._chance = chance or random.Random()  # noqa: S311 - spreads pauses, guards nothing
        self._room = threading.BoundedSemaphore(self._patience.at_once)
        self._should_stop: Callable[[], bool] = lambda: False
        self._full: tuple[int, PlaceFull] | None = None
        self._first = threading.Lock()
        self._let_in = False

    def __repr__(self) -> str:
        return f"RetryingBackend({self.name}, {self.inner!r})"

    @property
    def resting(self) -> bool:
        """Whether the place stayed away so often that it is left alone for now."""
        return self._circuit.resting

    def begin(self, should_stop: Callable[[], bool] | None = None) -> None:
        """A new run begins: what refused everything in the last one is asked again.

        Pauses end soon once `should_stop` says so; None leaves that as it is.
        """
        self._should_stop, self._full = should_stop or self._should_stop, None
        self._let_in = False
        self._circuit.begin()

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create.

        Data that can be rewound is sent again where the place failed; other data is not. What is
        not smaller than an object for which there was no room is not tried in the same run.
        """
        full = self._full
        if full is not None and size >= full[0]:
            raise copy(full[1])
        own = OwnData(data)
        try:
            self._create(name, own, size)
        except PlaceFull as error:
            if error is not own.raised:
                self._full = (size, error)
            raise

    def _create(self, name: str, own: OwnData, size: int) -> None:
        data = cast(BinaryIO, own)
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

        self._call("create", attempt, up=size, again=rewind is not None, data=own)

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
        last, number, begun = "", 0, self._clock()
        answers = self._circuit.answers
        while True:
            self._circuit.check()
            try:
                for item in self._listing(prefix, last):
                    if item.name > last:
                        number, begun, answers = 0, self._clock(), self._circuit.answers
                    last = item.name
                    yield item
                return
            except LeftAlone:
                raise
            except PlaceBusy as error:
                number += 1
                self._pause(error, number, begun, answers)

    def _listing(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        begun = self._clock()
        items: Iterator[ObjectInfo] | None = None
        try:
            while True:
                # The listing is not held while its reader works: it may read in between.
                with self._turn(), border(self.name, "list objects"):
                    items = iter(self.inner.list(prefix)) if items is None else items
                    item = next(items, None)
                if item is None:
                    break
                if item.name > after:
                    yield item
        except LeftAlone:
            raise
        except PlaceBusy as error:
            self.meter.failed("list", error.code, again=True)
            raise
        except VaultdError as error:
            self.meter.failed("list", error.code, again=False)
            self._refused("list", error)
            raise
        self._circuit.worked()
        self.meter.called("list", self._clock() - begun)

    def _refused(self, verb: str, error: VaultdError) -> None:
        """Take note of an answer that was not the wished one."""
        if not isinstance(error, PlaceError):
            return
        if isinstance(error, ObjectMissing | ObjectExists):
            self._circuit.worked()
        elif verb in _OF_DATA:
            self._circuit.refused(error)
        else:
            self._circuit.answered()

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        self._call("delete", lambda: self.inner.delete(name))
        self._full = None

    def space(self) -> Space:
        """Return the room in the place; see Backend.space."""
        return self._call("space", self.inner.space)

    def probe(self) -> Sequence[Finding]:
        """Measure the place; see Backend.probe. Not repeated: it leaves traces to clean."""
        return self._call("probe", self.inner.probe, again=False)

    def for_trial(self) -> Trial:
        """Return the same patience with the backend that the inner one is tried with."""
        trial = trial_of(self.inner)
        patient = RetryingBackend(
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
        data: OwnData | None = None,
    ) -> _T:
        begun, answers = self._clock(), self._circuit.answers
        number = 0
        while True:
            self._circuit.check()
            number += 1
            try:
                with self._turn(), self._room, border(self.name, f"{verb} objects", data):
                    started = self._clock()
                    result = attempt()
                    taken = self._clock() - started
            except PlaceBusy as error:
                if isinstance(error, LeftAlone) or (data is not None and error is data.raised):
                    raise
                self.meter.failed(verb, error.code, again=again)
                if not again:
                    self._circuit.trouble()
                    self._circuit.failed(error)
                    raise
                self._pause(error, number, begun, answers)
                continue
            except VaultdError as error:
                if data is None or error is not data.raised:
                    self.meter.failed(verb, error.code, again=False)
                    self._refused(verb, error)
                raise
            self._circuit.worked()
            size = down(result) if down is not None else 0
            self.meter.called(verb, taken, up=up, down=size)
            return result

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Let one call at a time try whether the place lets us in; then as many as want."""
        if self._let_in:
            yield
            return
        with self._first:
            self._circuit.check_shut()
            try:
                yield
            except PlaceClosed as error:
                self._circuit.refused(error)
                raise
            except (ObjectMissing, ObjectExists):
                self._let_in = True
                raise
            self._let_in = True

    def _pause(self, error: PlaceBusy, number: int, begun: float, answers: int) -> None:
        """Sleep before the next try; raises the error when it is time to give up.

        `number` tries failed since `begun`, when the place had answered `answers` times.
        """
        patience, away = self._patience, self._circuit.trouble()
        exponent = min(number - 1, 30)
        longest = min(patience.longest, patience.first * 2.0**exponent)
        pause = self._chance.uniform(longest / 2, longest)
        if error.retry_after is not None:
            pause = max(pause, error.retry_after)
        budget = patience.budget
        if patience.first_contact is not None and not self._circuit.answers:
            budget = min(budget, patience.first_contact)
        waited = max(away, self._clock() - begun)
        others_work = self._circuit.answers > answers
        most = patience.tries or (_PATIENT if others_work else number + 1)
        if number >= most or waited + pause > budget:
            self._circuit.failed(error)
            raise error
        self._sleep(pause)
        if self._should_stop():
            raise error

    def _nap(self, seconds: float) -> None:
        """Sleep, but not on after the run was asked to stop."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self._should_stop():
            time.sleep(min(left, _NAP))


def begin_run(place: object, should_stop: Callable[[], bool] | None = None) -> None:
    """Tell a backend that a run begins, and how it is asked to stop; a folder needs no word."""
    found = retrying_part(place)
    if found is not None:
        found.begin(should_stop)


def retrying_part(place: object) -> RetryingBackend | None:
    """Return the patience that lies in or beneath a backend, None where there is none."""
    while place is not None and not isinstance(place, RetryingBackend):
        place = getattr(place, "inner", None)
    return place


def _start(data: BinaryIO) -> int | None:
    """Return where the data starts, None where it cannot be rewound."""
    try:
        return data.tell() if data.seekable() else None
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return None
