"""The trial of a place: a green one means that a run's own verbs work there."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest

from tests.backends.servers.nextcloud import CloudServer
from tests.backends.servers.running import PASSWORD, USER
from vaultd.backends.base import Backend, ObjectInfo
from vaultd.backends.memory import MemoryBackend
from vaultd.backends.nextcloud.backend import NextcloudBackend, NextcloudSettings
from vaultd.backends.trial import FOLDER, Trial, measure, try_out
from vaultd.backends.wrappers.bounded import Allowance, BoundedBackend
from vaultd.backends.wrappers.retrying import RetryingBackend
from vaultd.errors import PlaceRefused


class Overwriting(MemoryBackend):
    def create(self, name: str, data: BinaryIO, size: int) -> None:
        self.delete(name)
        super().create(name, data, size)


class Losing(MemoryBackend):
    """Says that it stored what it did not."""

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        if size < 100_000:
            super().create(name, data, size)


class Hiding(MemoryBackend):
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        yield from list(super().list(prefix))[1:]


class Halving(MemoryBackend):
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return (ObjectInfo(each.name, each.size // 2) for each in super().list(prefix))


class Shifting(MemoryBackend):
    """Skips an offset twice."""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        return super().read(name, 2 * offset, length)


class Keeping(MemoryBackend):
    def delete(self, name: str) -> None:
        if name not in self.objects:
            super().delete(name)


class Refusing(MemoryBackend):
    def create(self, name: str, data: BinaryIO, size: int) -> None:
        raise PlaceRefused("It takes nothing.")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Overwriting, "replaces the first"), (Losing, "does not list"), (Hiding, "does not list"),
        (Halving, "without their right length"), (Shifting, "other bytes than asked for"),
        (Keeping, "still there"), (Refusing, "what a run does fails: It takes nothing"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda inner: inner,
        lambda inner: BoundedBackend(RetryingBackend(inner, "main"), Allowance("it", 60)),
    ],
)
def test_a_place_that_fails_a_verb_of_a_run_is_found_unfit(
    kind: type[MemoryBackend], said: str, wrapped: Callable[[Backend], Backend]
) -> None:
    inner = kind()
    finding = try_out(wrapped(inner), sleep=lambda _: None)
    assert not finding.fine
    assert finding.grave
    assert said in finding.sentence
    assert kind is Keeping or inner.objects == {}


def test_a_good_place_is_fine_and_left_as_it_was() -> None:
    backend = MemoryBackend()
    backend.objects["v/one"] = b"x"
    assert [finding.fine for finding in measure(backend)] == [True, True]
    assert list(backend.objects) == ["v/one"]


def test_what_trials_left_a_day_ago_is_removed() -> None:
    backend = MemoryBackend()
    fresh = f"{FOLDER}/{0x2_0000_0000:010x}-00-11"
    for name in (f"{FOLDER}/0000000001-00-11", fresh, f"{FOLDER}/other", "v/one"):
        backend.create(name, io.BytesIO(b"x"), 1)
    assert try_out(backend).fine
    assert sorted(backend.objects) == sorted([fresh, f"{FOLDER}/other", "v/one"])


def test_a_place_that_lists_late_is_waited_for() -> None:
    class Late(MemoryBackend):
        looks = 0

        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            self.looks += 1
            return super().list(prefix if self.looks > 3 else "nothing")

    slept: list[float] = []
    assert try_out(Late(), sleep=slept.append).fine
    assert len(slept) == 2


def test_what_is_locked_is_deleted_after_its_time() -> None:
    class Locking(MemoryBackend):
        waited = 0.0

        def for_trial(self) -> Trial:
            return Trial(self, 10_000, 15.0)

        def delete(self, name: str) -> None:
            if name in self.objects and self.waited < 15:
                raise PlaceRefused("It is locked.")
            super().delete(name)

    backend = Locking()

    def sleep(seconds: float) -> None:
        backend.waited += seconds

    assert try_out(RetryingBackend(backend, "main"), sleep=sleep).fine


@pytest.fixture
def cloud() -> Iterator[CloudServer]:
    server = CloudServer()
    yield server
    server.stop()


def test_a_trial_of_a_cloud_sends_parts_as_a_run_does(cloud: CloudServer) -> None:
    place = NextcloudBackend(NextcloudSettings(cloud.url, USER, PASSWORD), create=True)
    assert try_out(place).fine
    assert any("/uploads/" in path for method, path in cloud.requests if method == "MOVE")
    assert cloud.leftovers() == []
    cloud.breaks_joining = True
    found = try_out(place)
    assert not found.fine
    assert "what a run does fails" in found.sentence
    assert cloud.leftovers() == []
