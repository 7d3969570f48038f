"""Patience is a matter of time: an outage is waited out, whatever the number of tries."""

from __future__ import annotations

import io
import random

import pytest

from tests.backends.test_patient import Clock
from vaultd.backends.memory import MemoryBackend
from vaultd.backends.wrappers.retrying import RetryingBackend, RetryPolicy
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError, PlaceFull, PlaceRefused


class Away(MemoryBackend):
    """Does not answer until a moment of the clock; `asked` counts."""

    def __init__(self, clock: Clock, until: float, only: str = "") -> None:
        super().__init__()
        self.clock, self.until, self.only, self.asked = clock, until, only, 0

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        self.asked += 1
        if self.clock.at < self.until and name.startswith(self.only):
            raise PlaceBusy("It does not answer.")
        return b"x"


def _patient(place: MemoryBackend, clock: Clock, **more: float) -> RetryingBackend:
    return RetryingBackend(
        place, "main", RetryPolicy(**more), clock=clock, sleep=clock.sleep, chance=random.Random(1)
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [1, 12, 60, 150])
def test_an_outage_within_three_minutes_fails_nothing(seconds: float) -> None:
    clock = Clock()
    place = Away(clock, clock.at + seconds)
    assert _patient(place, clock).read("a") == b"x"
    assert place.asked <= 8 + seconds / 15  # and it is not asked all the time


def test_a_longer_one_is_given_up_and_then_left_alone_at_once() -> None:
    clock = Clock()
    begun = clock.at
    place = Away(clock, begun + 1000)
    backend = _patient(place, clock)
    with pytest.raises(PlaceBusy, match=r"It does not answer\."):
        backend.read("a")
    assert 140 < clock.at - begun <= 180
    clock.at = begun + 185
    with pytest.raises(PlaceBusy):
        backend.read("a")
    asked, at = place.asked, clock.at
    with pytest.raises(PlaceBusy, match=r"main could not be used and is left alone for \d+ s more"):
        backend.read("a")
    assert (place.asked, clock.at) == (asked, at)
    clock.at = begun + 1001
    assert backend.read("a") == b"x"


def test_what_fails_while_others_work_is_tried_six_times() -> None:
    clock = Clock()
    place = Away(clock, clock.at + 1000, only="bad")

    class Beside(RetryingBackend):
        def _nap(self, seconds: float) -> None:
            clock.sleep(seconds)
            assert self.inner.read("good")
            self._circuit.worked()

    backend = Beside(place, "main", RetryPolicy(), clock=clock, chance=random.Random(1))
    with pytest.raises(PlaceBusy):
        backend.read("bad")
    assert place.asked == 11  # six of them bad


def test_a_person_does_not_wait_three_minutes_for_a_place_that_never_answered() -> None:
    clock = Clock()
    begun = clock.at
    place = Away(clock, begun + 1000)
    backend = _patient(place, clock, first_contact=20)
    with pytest.raises(PlaceBusy):
        backend.read("a")
    assert clock.at - begun <= 20
    place.until = 0
    assert backend.read("a")
    place.until = clock.at + 100
    assert backend.read("a")


def test_a_stop_ends_the_waiting() -> None:
    stopped: list[bool] = []
    clock = Clock()
    place = Away(clock, clock.at + 1000)

    def sleep(seconds: float) -> None:
        clock.at += seconds
        stopped.append(True)

    backend = RetryingBackend(place, "main", clock=clock, sleep=sleep)
    backend.begin(lambda: bool(stopped))
    with pytest.raises(PlaceBusy):
        backend.read("a")
    assert place.asked == 1


class Refusing(MemoryBackend):
    def __init__(self, error: PlaceError) -> None:
        super().__init__()
        self.error, self.asked = error, 0

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        self.asked += 1
        raise self.error

    def create(self, name: str, data: object, size: int) -> None:  # type: ignore[override]
        self.asked += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "asked"), [(PlaceClosed("No."), 1), (PlaceRefused("No."), 3), (PlaceError("No."), 9)]
)
def test_who_lets_us_in_nowhere_is_not_asked_again_in_the_same_run(
    error: PlaceError, asked: int
) -> None:
    place = Refusing(error)
    backend = RetryingBackend(place, "main")
    for _ in range(9):
        with pytest.raises(type(error), match="No"):
            backend.read("a")
    assert place.asked == asked
    backend.begin()
    with pytest.raises(type(error)):
        backend.read("a")
    assert place.asked == asked + 1


def test_a_full_place_is_not_sent_what_is_as_large_again() -> None:
    place = Refusing(PlaceFull("It is full."))
    backend = RetryingBackend(place, "main")
    asked = []
    for size in (1000, 1000, 5000, 999, 999, 10):
        with pytest.raises(PlaceFull):
            backend.create("a", io.BytesIO(b"x" * size), size)
        asked.append(place.asked)
    assert asked == [1, 1, 1, 2, 2, 3]
    backend.delete("b")  # room may have come
    with pytest.raises(PlaceFull):
        backend.create("a", io.BytesIO(b"x" * 1000), 1000)
    assert place.asked == 4
