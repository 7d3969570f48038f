"""What a place that a stranger named may cost."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from vaultd.backends.base import ObjectInfo
from vaultd.backends.memory import MemoryBackend
from vaultd.backends.wrappers.bounded import Allowance, BoundedBackend
from vaultd.backends.wrappers.failing import FailingBackend
from vaultd.errors import PlaceBusy, PlaceError, PlaceRefused, UsageError, WrongKeyError


class Slow(MemoryBackend):
    """Every verb, and every object of a listing, takes a minute of `now`."""

    now = 0.0

    def create(self, name: str, data: io.BytesIO, size: int) -> None:  # type: ignore[override]
        self.now += 60
        super().create(name, data, size)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for item in super().list(prefix):
            self.now += 60
            yield item


def test_the_time_of_all_verbs_together_is_bounded() -> None:
    slow = Slow()
    place = BoundedBackend(slow, Allowance("it", 150, clock=lambda: slow.now))
    for number in range(2):
        place.create(f"a{number}", io.BytesIO(b"x"), 1)
    for verb in (
        lambda: place.create("a2", io.BytesIO(b"x"), 1),  # ends amid its work
        lambda: place.create("b", io.BytesIO(b"x"), 1),
        lambda: place.read("a0"),
        lambda: list(place.list()),
        lambda: place.delete("a0"),
        place.space,
        place.probe,
    ):
        with pytest.raises(PlaceBusy, match="took more than 150 s"):
            verb()
    assert len(slow.objects) == 2
    assert slow.now == 180


def test_turns_at_the_same_time_count_once() -> None:
    moment = 0.0
    allowance = Allowance("it", 150, clock=lambda: moment)
    with allowance.turn(), allowance.turn():
        moment = 100
        allowance.check()
    with allowance.turn():
        moment = 149
        allowance.check()
        moment = 150
        with pytest.raises(PlaceBusy):
            allowance.check()


def test_what_we_do_between_the_verbs_costs_nothing() -> None:
    slow = Slow()
    place = BoundedBackend(slow, Allowance("it", 150, clock=lambda: slow.now))
    place.create("a", io.BytesIO(b"x"), 1)
    slow.now += 10_000
    for _ in place.list():
        slow.now += 10_000
    assert place.read("a") == b"x"


def test_a_listing_in_which_every_object_comes_late_ends() -> None:
    slow = Slow()
    slow.objects = {f"a{number:03}": b"" for number in range(100)}
    place = BoundedBackend(slow, Allowance("it", 150, clock=lambda: slow.now))
    with pytest.raises(PlaceBusy):
        list(place.list())


def test_a_listing_without_end_ends() -> None:
    memory = MemoryBackend()
    memory.objects = {f"a{number:03}": b"" for number in range(11)}
    with pytest.raises(PlaceError, match="more than 10 objects"):
        list(BoundedBackend(memory, Allowance("it", 60), most_objects=10).list())
    assert len(list(BoundedBackend(memory, Allowance("it", 60), most_objects=11).list())) == 11


def test_a_place_that_could_not_be_opened_says_why_to_everything() -> None:
    place = FailingBackend(WrongKeyError("Another key.", hint="Put it back."))
    for verb in (
        lambda: place.create("b", io.BytesIO(b"x"), 1),
        lambda: place.read("a0"),
        lambda: list(place.list()),
        lambda: place.delete("a0"),
        place.space,
        place.probe,
    ):
        with pytest.raises(PlaceRefused, match=r"Another key\. Put it back\."):
            verb()


def test_a_place_that_could_not_be_asked_keeps_whose_move_it_is() -> None:
    for why, move in (
        (PlaceBusy("No DNS.", unknown=False), "wait"),
        (UsageError("No host."), "fix"),
        (WrongKeyError("Another key."), "alarm"),
    ):
        with pytest.raises(PlaceError) as raised:
            FailingBackend(why).space()
        assert (raised.value.move, str(raised.value)) == (move, str(why))
