"""Pictures on their way: several at once, never an archive before them, each trouble its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from msgspec.structs import replace

from tests.backup.test_pictures import PICTURE, blobs, picture
from tests.backup.test_run import archives
from tests.backup.world import POD_KEY, World
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.report import RunReport
from vaultd.backup.run.run import run_backup
from vaultd.config import Backup
from vaultd.errors import PlaceError
from vaultd.restore.verify import verify_place

PATIENCE = 30.0  # seconds after which a test that hangs fails


class Slow(MemoryBackend):
    """Has every picture wait for `before`; notes what it was asked, and how many at once."""

    def __init__(self, before: Callable[[str], object] = lambda _: None) -> None:
        super().__init__()
        self.before = before
        self.asked: list[str] = []
        self.now = self.most = 0
        self.early: list[str] = []
        self.guard = threading.Lock()

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        with self.guard:
            self.asked.append(name)
            self.now += 1
            self.most = max(self.most, self.now)
            if "/blob-" not in name and self.now > 1:
                self.early.append(name)
        try:
            if "/blob-" in name:
                self.before(name)
            super().create(name, data, size)
        finally:
            with self.guard:
                self.now -= 1

    def pictures(self) -> list[str]:
        return [name for name in self.asked if "/blob-" in name]


def _all_there(count: int) -> Callable[[str], object]:
    barrier = threading.Barrier(count)

    def wait(_: str) -> None:
        barrier.wait(PATIENCE)
        threading.Event().wait(0.05)  # an archive that does not wait is early now

    return wait


def _photos(world: World, count: int, who: str = "alice", first: int = 0) -> None:
    for number in range(first, first + count):
        world.source.files[f"{who}{number}.png"] = f"{number} of {who}".encode() + PICTURE
        world.source.people[who].photo(f"{who}{number}", f"{who}{number}.png")


def _uploads(world: World, count: int) -> None:
    world.config = replace(world.config, limits=replace(world.config.limits, uploads=count))


def test_pictures_of_several_accounts_go_side_by_side_and_before_their_archives(
    world: World,
) -> None:
    place = world.targets["main"] = Slow(_all_there(8))
    world.person("bob")
    for who in ("alice", "bob"):
        _photos(world, 4, who)
    assert len(world.run().changed) == 2
    assert len(place.pictures()) == 8
    assert place.early == []
    assert picture(world, "alice3") == b"3 of alice" + PICTURE
    assert world.run().unchanged


@pytest.mark.parametrize("uploads", [1, 3])
def test_no_more_are_on_their_way_than_the_limit(world: World, uploads: int) -> None:
    place = world.targets["main"] = Slow(lambda _: threading.Event().wait(0.002))
    _uploads(world, uploads)
    _photos(world, 20)
    assert world.run().changed
    assert len(blobs(place)) == 20
    assert place.most <= uploads


def test_a_picture_on_its_way_is_not_sent_again(world: World) -> None:
    third = threading.Event()
    place = world.targets["main"] = Slow(lambda _: third.wait(PATIENCE))
    world.source.files.update({"a.png": PICTURE, "b.png": PICTURE, "c.png": b"other"})
    for number, name in enumerate("abc"):
        world.alice.photo(f"f{number}", f"{name}.png")
    opened = world.source.open_file

    def open_file(name: str) -> BinaryIO:
        if name == "c.png":
            third.set()
        return opened(name)

    world.source.open_file = open_file  # type: ignore[method-assign]
    assert world.run().changed
    assert len(place.pictures()) == 2
    assert third.is_set()
    for photo in ("f0", "f1"):
        assert picture(world, photo) == PICTURE


def test_a_place_that_fails_under_way_fails_alone_and_what_arrived_is_remembered(
    world: World,
) -> None:
    chance = iter(range(100))
    lock = threading.Lock()

    def some_fail(_: str) -> None:
        with lock:
            number = next(chance)
        if number % 5 == 4:
            raise PlaceError("The place is away.")

    world.targets.clear()
    broken, fine = Slow(), Slow()
    world.targets.update(broken=broken, fine=fine)
    world.run()
    _photos(world, 30)
    broken.before = some_fail
    report = world.run()
    assert [a.reason for a in report.failed] == ["broken: The place is away."]
    assert len(blobs(fine)) == 30
    assert archives(fine) == [1, 2]
    assert archives(broken) == [1]
    there = blobs(broken)
    assert 0 < len(there) < 30
    broken.before = lambda _: None
    broken.asked.clear()
    world.alice.put("post", "p2", {"text": "two"})
    assert not world.run().failed
    assert not set(there) & set(broken.asked)
    for target in ("broken", "fine"):
        for photo in range(30):
            assert picture(world, f"alice{photo}", target) == f"{photo} of alice".encode() + PICTURE


def test_a_bug_in_an_upload_is_one_accounts_trouble(world: World) -> None:
    def breaks(name: str) -> None:
        if name.startswith(world.secrets["alice"].recipient.vault_id):
            raise KeyError("secret text of alice")

    world.targets["main"] = Slow(breaks)
    world.person("bob")
    for who in ("alice", "bob"):
        _photos(world, 3, who)
    report = world.run()
    assert [a.username for a in report.failed] == ["alice"]
    assert "KeyError" in report.failed[0].reason
    assert "secret" not in report.failed[0].reason
    assert [a.username for a in report.changed] == ["bob"]


def _run(world: World, should_stop: Callable[[], bool]) -> RunReport:
    return run_backup(
        world.config, world.state, world.source, world.targets, POD_KEY, should_stop=should_stop
    )


def test_a_stop_waits_for_those_under_way_and_remembers_them(world: World) -> None:
    place = world.targets["main"] = Slow()
    world.run()
    _photos(world, 50)
    _uploads(world, 4)
    assert _run(world, lambda: len(place.pictures()) >= 10).interrupted
    there = place.pictures()
    assert 10 <= len(there) <= 15
    assert archives(place) == [1]
    place.asked.clear()
    assert world.run().changed
    assert len(place.pictures()) == 50 - len(there)
    assert not set(there) & set(place.pictures())


def test_the_size_limit_counts_what_is_on_its_way_and_the_report_what_arrived(
    world: World,
) -> None:
    place = world.targets["main"] = Slow()
    _photos(world, 30)
    world.config = replace(world.config, backup=Backup(account_bytes=5 * len(PICTURE)))
    (account,) = world.run().failed
    assert "more than" in account.reason
    assert 0 < len(blobs(place)) <= 5
    assert account.targets[0].blobs == sum(len(place.objects[name]) for name in blobs(place))
    world.config = replace(world.config, backup=Backup())
    assert world.run().changed
    assert len(blobs(place)) == 30


def test_a_kill_under_way_loses_nothing(tmp_path: Path) -> None:
    class Deadly(FolderBackend):
        """Kills the process when six pictures are on their way and two have arrived."""

        barrier = threading.Barrier(6)
        arrived = threading.Semaphore(0)

        def create(self, name: str, data: BinaryIO, size: int) -> None:
            number = self.barrier.wait(PATIENCE) if "/blob-" in name else 5
            if number == 0:
                for _ in range(2):
                    self.arrived.acquire(timeout=PATIENCE)
                os.kill(os.getpid(), signal.SIGKILL)
            if number <= 3:
                data.read(1)
                threading.Event().wait(PATIENCE)
            super().create(name, data, size)
            self.arrived.release()

    place = FolderBackend(tmp_path / "place", create=True)
    world = World(tmp_path / "state", {"main": place})
    world.run()
    world.state.close()
    child = os.fork()
    if child == 0:
        try:
            dying = World.reopen(tmp_path / "state", {"main": Deadly(tmp_path / "place")})
            _photos(dying, 6)
            dying.run()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert verify_place(place).problems == []
    names = {item.name for item in place.list()}
    assert len([name for name in names if "/blob-" in name]) == 2
    world = World.reopen(tmp_path / "state", {"main": place})
    _photos(world, 6)
    assert world.run().changed
    assert names < {item.name for item in place.list()}
    assert len(list(place.list())) == 8
    for number in range(6):
        assert picture(world, f"alice{number}") == f"{number} of alice".encode() + PICTURE
    world.state.close()
