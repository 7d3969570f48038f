"""Patience: what is tried again, how often, and what an unknown effect turns out to be."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.backends.conformance import BackendConformance, FailingReader, TroubleError
from vaultd.backends.base import Backend, ObjectInfo
from vaultd.backends.memory import MemoryBackend
from vaultd.backends.wrappers.circuit import Circuit
from vaultd.backends.wrappers.retrying import RetryingBackend, RetryPolicy
from vaultd.errors import ObjectExists, ObjectMissing, PlaceBusy, PlaceError, PlaceRefused


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


class Moody(MemoryBackend):
    """Raises what `moods` says, one per call, before or after the effect."""

    def __init__(self, *moods: Exception | None, after: bool = False) -> None:
        super().__init__()
        self.moods = list(moods)
        self.after = after
        self.calls = 0

    def _mood(self) -> None:
        self.calls += 1
        if self.moods and (mood := self.moods.pop(0)) is not None:
            raise mood

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        if not self.after:
            self._mood()
        super().create(name, data, size)
        if self.after:
            self._mood()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        self._mood()
        return super().read(name, offset, length)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        items = list(super().list(prefix))
        for number, item in enumerate(items):
            if number == 2:
                self._mood()
            yield item


def busy(**more: float) -> PlaceBusy:
    return PlaceBusy("The place is busy.", retry_after=more.get("retry_after"))


def patient(inner: Backend, clock: Clock, **more: float) -> RetryingBackend:
    patience = RetryPolicy(tries=4, first=1.0, longest=8.0, budget=more.get("budget", 100.0))
    return RetryingBackend(
        inner, "main", patience, clock=clock, sleep=clock.sleep, chance=random.Random(1)
    )


class TestConformance(BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        return RetryingBackend(MemoryBackend(), "main")


def test_only_what_may_pass_is_tried_again_with_growing_pauses() -> None:
    clock = Clock()
    place = Moody(busy(), busy(), busy())
    place.objects["a"] = b"x"
    backend = patient(place, clock)
    assert backend.read("a") == b"x"
    assert place.calls == 4
    assert [round(s, 3) for s in clock.slept] == sorted(round(s, 3) for s in clock.slept)
    assert all(low <= s <= low * 2 for s, low in zip(clock.slept, (0.5, 1, 2), strict=True))
    assert backend.meter.retries == {"read": 3}
    for error in (ObjectMissing("x"), PlaceRefused("x"), PlaceError("x")):
        place = Moody(error)
        with pytest.raises(type(error)):
            patient(place, Clock()).read("a")
        assert place.calls == 1


def test_tries_and_budget_end() -> None:
    place = Moody(*[busy() for _ in range(9)])
    with pytest.raises(PlaceBusy):
        patient(place, Clock()).read("a")
    assert place.calls == 4
    clock = Clock()
    place = Moody(busy(retry_after=90), busy(retry_after=90))
    with pytest.raises(PlaceBusy):
        patient(place, clock).read("a")
    assert clock.slept == [90]
    assert place.calls == 2


def test_a_create_that_arrived_although_it_failed_is_found_out() -> None:
    place = Moody(busy(), after=True)
    patient(place, Clock()).create("a", io.BytesIO(b"mine"), 4)
    assert place.objects == {"a": b"mine"}


@pytest.mark.parametrize("theirs", [b"other", b"min", b"mine and more", b""])
def test_what_another_writer_stored_meanwhile_is_never_taken_for_ours(theirs: bytes) -> None:
    class Raced(Moody):
        def create(self, name: str, data: BinaryIO, size: int) -> None:
            if not self.calls:
                self.objects[name] = theirs
            super().create(name, data, size)

    place = Raced(busy())
    with pytest.raises(ObjectExists):
        patient(place, Clock()).create("a", io.BytesIO(b"mine"), 4)
    assert place.objects == {"a": theirs}


def test_what_was_there_before_the_first_try_is_not_read_back() -> None:
    place = Moody()
    place.objects["a"] = b"mine"
    with pytest.raises(ObjectExists):
        patient(place, Clock()).create("a", io.BytesIO(b"mine"), 4)
    assert place.calls == 1


def test_the_data_is_sent_from_where_it_began_and_only_if_it_can_be_rewound() -> None:
    place = Moody(None, busy(), after=True)
    data = io.BytesIO(b"front mine")
    data.seek(6)
    backend = patient(place, Clock())
    backend.create("a", data, 4)
    assert place.objects == {"a": b"mine"}
    place.moods = [busy()]
    place.after = False
    with pytest.raises(PlaceBusy):
        backend.create("b", FailingReader(4, TroubleError()), 4)  # type: ignore[arg-type]


def test_a_listing_that_breaks_off_goes_on_where_it_was() -> None:
    clock = Clock()
    place = Moody(busy(), busy())
    for name in "abcde":
        place.objects[name] = b"x"
    assert [item.name for item in patient(place, clock).list()] == list("abcde")
    assert len(clock.slept) == 2
    place.moods = [busy() for _ in range(9)]
    with pytest.raises(PlaceBusy):
        list(patient(place, Clock()).list())


def test_a_place_that_is_away_is_left_alone_and_then_asked_once() -> None:
    clock = Clock()
    place = Moody(*[busy() for _ in range(12)])
    place.objects["a"] = b"x"
    backend = patient(place, clock)
    for _ in range(3):
        with pytest.raises(PlaceBusy):
            backend.read("a")
    assert place.calls == 12
    with pytest.raises(PlaceBusy, match="left alone for"):
        backend.read("a")
    assert place.calls == 12
    clock.at += 61
    assert backend.read("a") == b"x"
    assert backend.read("a") == b"x"


def test_the_rest_grows_while_a_place_stays_away() -> None:
    clock = Clock()
    circuit = Circuit("main", failures=2, rest=10, clock=clock)
    waits = []
    for _ in range(8):
        circuit.check()
        circuit.failed(busy())
        try:
            circuit.check()
        except PlaceBusy as error:
            waits.append(error.retry_after)
            clock.at += error.retry_after or 0
    assert waits == [10, 20, 40, 80, 160, 160, 160]


def test_data_of_the_vault_can_be_rewound(tmp_path: Path) -> None:
    from vaultd.vault.writer import _Joined

    joined = _Joined(b"front", io.BytesIO(b" spool "), b"behind")
    assert joined.read(3) == b"fro"
    assert joined.seek(0) == 0
    assert b"".join(iter(lambda: joined.read(4), b"")) == b"front spool behind"
    assert joined.tell() == 18
    with pytest.raises(OSError, match="start"):
        joined.seek(1)


def test_listings_that_fail_open_the_circuit_and_wait_for_nothing_then() -> None:
    clock = Clock()
    place = Moody(*[busy() for _ in range(1000)])
    place.objects = dict.fromkeys("abc", b"x")
    backend = patient(place, clock)
    for _ in range(3):
        with pytest.raises(PlaceBusy, match="is busy"):
            list(backend.list())
    assert backend.resting
    asked, slept = place.calls, len(clock.slept)
    with pytest.raises(PlaceBusy, match="left alone"):
        list(backend.list())
    assert (place.calls, len(clock.slept)) == (asked, slept)
