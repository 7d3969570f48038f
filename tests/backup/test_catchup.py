"""A target that was away catches up from its sibling; whole places are copied without keys."""

from __future__ import annotations

from pathlib import Path
from threading import Barrier
from typing import BinaryIO

import pytest

from tests.backup.world import World
from tests.faults.backend import Fault, FaultyBackend
from vaultd.backends.base import Backend
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.copying import copy_place
from vaultd.errors import PlaceFull
from vaultd.restore.verify import verify_place
from vaultd.vault.layout import parse_archive_name


def grow(world: World, days: int) -> None:
    for day in range(days):
        world.alice.put("post", f"p{day}", {"text": f"day {day}"})
        world.run()


@pytest.fixture
def first() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def second() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def world(tmp_path: Path, first: MemoryBackend, second: MemoryBackend) -> World:
    targets: dict[str, Backend] = {"first": first, "second": second}
    world = World(tmp_path, targets)
    world.source.files["a.png"] = b"picture" * 1000
    world.alice.photo("f1", "a.png")
    return world


def test_a_new_target_gets_all_of_the_history(
    world: World, first: MemoryBackend, second: MemoryBackend
) -> None:
    del world.targets["second"]
    grow(world, 4)
    world.targets["second"] = second
    report = world.run()
    assert not report.failed
    assert second.objects == first.objects
    grow(world, 6)
    assert second.objects == first.objects
    assert len(first.objects) == 7


def test_a_target_that_was_away_gets_what_it_missed(
    tmp_path: Path, first: MemoryBackend, second: MemoryBackend
) -> None:
    away = FaultyBackend(second)
    world = World(tmp_path, {"first": first, "second": away})
    grow(world, 2)
    away.replay(dict.fromkeys(range(10_000), (Fault.BEFORE, 0.5)))
    world.alice.put("post", "missed", {"text": "while it was away"})
    assert world.run().failed
    away.quiet()
    before = len(world.source.batches)
    assert not world.run().failed
    assert second.objects == first.objects
    assert len(world.source.batches) == before + 1
    assert not world.run().changed


def test_a_vault_that_went_its_own_way_is_packed_from_the_source(
    world: World, first: MemoryBackend, second: MemoryBackend
) -> None:
    grow(world, 1)
    del world.targets["first"]
    grow(world, 3)
    del world.targets["second"]
    world.targets["first"] = first
    world.alice.put("post", "elsewhere", {"text": "x"})
    world.run()
    world.targets["second"] = second
    world.alice.put("post", "last", {"text": "y"})
    assert not world.run().failed
    for target in ("first", "second"):
        assert ("post", "last") in world.restored(target=target)


def test_damage_is_not_passed_on(world: World, first: MemoryBackend, second: MemoryBackend) -> None:
    del world.targets["second"]
    grow(world, 3)
    name = next(n for n in first.objects if "/0000000002-" in n)
    data = bytearray(first.objects[name])
    data[-1] ^= 1
    first.objects[name] = bytes(data)
    world.targets["second"] = second
    assert not world.run().failed
    assert name not in second.objects
    assert verify_place(second).problems == []
    assert world.restored(target="second").keys() == world.alice.content().keys()


def test_a_copied_place_is_the_same_and_twice_is_once(
    world: World, first: MemoryBackend, tmp_path: Path
) -> None:
    grow(world, 3)
    copy = FolderBackend(tmp_path / "copy", create=True)
    report = copy_place(first, copy)
    assert report.objects == len(first.objects)
    assert report.bytes == sum(map(len, first.objects.values()))
    assert report.problems == []
    assert {item.name: copy.read(item.name) for item in copy.list()} == first.objects
    again = copy_place(first, copy)
    assert (again.vaults, again.objects) == (1, 0)


class _Watched(MemoryBackend):
    """Waits in each upload of a picture until two are there, and notes the order of uploads."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []
        self.together = Barrier(2)

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        if "/blob-" in name and len([n for n in self.order if "/blob-" in n]) < 2:
            self.together.wait(60)
        super().create(name, data, size)
        self.order.append(name)


def test_a_copy_takes_pictures_side_by_side_and_archives_in_order_after_them(
    world: World, first: MemoryBackend
) -> None:
    world.source.files["b.png"] = b"another" * 1000
    world.alice.photo("f2", "b.png")
    grow(world, 4)
    assert len([name for name in first.objects if "/blob-" in name]) >= 2
    target = _Watched()
    assert copy_place(first, target).problems == []
    assert target.objects == first.objects
    archives = [name for name in target.order if parse_archive_name(name) is not None]
    assert archives == sorted(archives)
    assert target.order[-len(archives) :] == archives


def test_a_copy_ends_for_a_vault_whose_place_is_in_trouble(
    world: World, first: MemoryBackend
) -> None:
    grow(world, 4)

    class _Full(MemoryBackend):
        def create(self, name: str, data: BinaryIO, size: int) -> None:
            raise PlaceFull("It is full.")

    report = copy_place(first, _Full())
    assert report.objects == 0
    assert 1 <= len(report.problems) <= 16  # those on their way, and no archive
    assert set(report.problems) == {"It is full."}


def test_a_copy_leaves_damage_out_and_says_so(world: World, first: MemoryBackend) -> None:
    grow(world, 2)
    blob = next(n for n in first.objects if "/blob-" in n)
    data = bytearray(first.objects[blob])
    data[len(data) // 2] ^= 1
    first.objects[blob] = bytes(data)
    copy = MemoryBackend()
    report = copy_place(first, copy)
    assert blob not in copy.objects
    assert len(report.problems) == 1
    assert blob in report.problems[0]
    assert len(copy.objects) == len(first.objects) - 1
