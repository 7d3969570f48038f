"""Full places: a warning before, no new vaults first, never half an object, the others go on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.backends.s3.conftest import new_bucket, raw_client
from tests.backends.servers.nextcloud import CloudServer
from tests.backends.servers.running import PASSWORD, USER
from tests.backends.servers.swift_s3 import ACCESS_KEY, REGION, SECRET_KEY, start_swift
from tests.backup.world import World
from vaultd.backends.base import Backend, Space
from vaultd.backends.memory import MemoryBackend
from vaultd.backends.opening import open_place
from vaultd.backup.checks.checks import check_all
from vaultd.backup.report import AccountReport, RunReport, Status, TargetResult
from vaultd.backup.room import Room, Rooms
from vaultd.config import Target
from vaultd.errors import PlaceFull
from vaultd.restore.verify import verify_place


def world_on(folder: Path, target: Target) -> World:
    """A world whose target `far` may fill up, and whose `near` has all the room there is."""
    place = open_place(target.url, target, name="far", create=True)
    world = World(folder / "state", {"far": place, "near": MemoryBackend()})
    targets = {"far": target, "near": Target("memory:near")}
    world.config = msgspec.structs.replace(world.config, targets=targets)
    return world


def account(report: RunReport, username: str) -> AccountReport:
    return next(a for a in report.accounts if a.username == username)


def at(report: RunReport, username: str, target: str) -> TargetResult:
    return next(t for t in account(report, username).targets if t.target == target)


def grow(world: World, username: str, number: int, size: int) -> None:
    text = os.urandom(size // 2).hex()
    world.source.people[username].put("post", f"big{number}", {"text": text})


def fill(world: World, rounds: int = 40, size: int = 20_000) -> RunReport:
    """Let alice's vault grow until the far target is full; nothing is ever half there."""
    for number in range(rounds):
        grow(world, "alice", number, size)
        report = world.run()
        assert verify_place(world.targets["far"]).problems == []
        assert at(report, "alice", "near").status is Status.WRITTEN
        assert account(report, "alice").reason.count("bug") == 0
        if account(report, "alice") in report.failed:
            return report
    raise AssertionError("it never was full")


@pytest.fixture(scope="module")
def cloud() -> Iterator[CloudServer]:
    server = CloudServer()
    yield server
    server.stop()


def cloud_world(cloud: CloudServer, folder: Path, reserve: str) -> World:
    cloud.reset()
    url = f"nextcloud://{USER}@127.0.0.1:{cloud.port}/vaultd"
    return world_on(folder, Target(url, password=PASSWORD, insecure=True, reserve=reserve, tries=1))


def test_new_vaults_stop_first_and_old_ones_go_on_until_a_cloud_is_full(
    cloud: CloudServer, tmp_path: Path
) -> None:
    world = cloud_world(cloud, tmp_path, "100KB")
    assert not world.run().failed
    cloud.quota = cloud.tree.used() + 250_000
    grow(world, "alice", 99, 1000)
    (room,) = world.run().rooms
    assert (room.low, room.tight) == (False, False)
    cloud.quota = cloud.tree.used() + 150_000
    grow(world, "alice", 98, 1000)
    (room,) = world.run().rooms
    assert (room.low, room.tight) == (True, False)
    assert "KiB left; below 97.7 KiB no new vaults are begun there." in room.sentence
    cloud.quota = cloud.tree.used() + 90_000
    world.person("bob")
    grow(world, "alice", 97, 1000)
    report = world.run()
    assert [a.username for a in report.failed] == ["bob"]
    assert at(report, "bob", "far").code == "place-full"
    assert "less than its reserve of 97.7 KiB: no new vaults" in at(report, "bob", "far").reason
    assert at(report, "bob", "near").status is Status.WRITTEN
    assert at(report, "alice", "far").status is Status.WRITTEN
    vault = world.secrets["bob"].recipient.vault_id
    assert list(world.targets["far"].list(f"{vault}/")) == []
    full = fill(world)
    assert at(full, "alice", "far").code == "place-full"
    assert cloud.leftovers() == []
    assert world.restored(target="far")
    cloud.quota = -3
    assert not world.run().failed
    for username in ("alice", "bob"):
        assert world.restored(username, "far") == world.source.people[username].content()


def test_a_new_vault_is_not_begun_by_copying_it_from_a_sibling_either(
    cloud: CloudServer, tmp_path: Path
) -> None:
    world = cloud_world(cloud, tmp_path, "1MB")
    far = world.targets.pop("far")
    world.run()
    world.targets["far"] = far
    cloud.quota = cloud.tree.used() + 500_000
    report = world.run()
    assert at(report, "alice", "far").code == "place-full"
    assert list(far.list()) == []


def test_check_says_what_is_left(cloud: CloudServer, tmp_path: Path) -> None:
    world = cloud_world(cloud, tmp_path, "100KB")
    world.run()
    for free, fine, said in (
        (1_000_000, True, "KiB left."),
        (150_000, True, "below 97.7 KiB no new vaults"),
        (50_000, False, "no new vaults are begun there"),
    ):
        cloud.quota = cloud.tree.used() + free
        (found,) = [c for c in check_all(world.config, "far") if " left" in c.sentence]
        assert found.fine is fine
        assert said in found.sentence


def test_a_quota_of_an_object_store_lets_the_other_targets_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    swift = start_swift()
    try:
        bucket = new_bucket(raw_client(swift.endpoint))
        swift.set_quota(bucket, 60_000)
        target = Target(
            f"s3://{bucket}/vaults", endpoint=swift.endpoint, region=REGION, tries=1,
            access_key=ACCESS_KEY, secret_key=SECRET_KEY, path_style=True,
        )  # fmt: skip
        world = world_on(tmp_path, target)
        report = fill(world)
        assert at(report, "alice", "far").code == "place-full"
        assert "room" in at(report, "alice", "far").reason
        swift.set_quota(bucket, 10_000_000)
        assert not world.run().failed
        assert world.restored(target="far") == world.alice.content()
    finally:
        swift.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("this user may not mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_runs_full(tmp_path: Path, small_disk: Path) -> None:
    world = world_on(tmp_path, Target((small_disk / "vaults").as_uri(), reserve="200KiB"))
    report = fill(world, rounds=60)
    assert at(report, "alice", "far").code == "place-full"
    assert not [p for p in small_disk.rglob("*") if p.is_file() and "tmp" in p.name]
    assert report.rooms[0].tight
    world.person("bob")
    assert at(world.run(), "bob", "far").code == "place-full"


class _Asked(MemoryBackend):
    """Memory that says how much is free, and counts how often it is asked."""

    def __init__(self, free: int | None) -> None:
        super().__init__()
        self.free, self.asked = free, 0

    def space(self) -> Space:
        self.asked += 1
        return Space(None, self.free)


def test_a_place_is_asked_for_its_room_twice_a_minute_at_most() -> None:
    now = 0.0
    rooms = Rooms({"main": Target("x:", reserve="100")}, clock=lambda: now)
    place = _Asked(100)
    for _ in range(1000):
        rooms.check_new("main", place)
    assert place.asked == 1
    place.free, now = 99, 31.0
    with pytest.raises(
        PlaceFull,
        match=r"main has 99 B left, less than its reserve of 100 B.*targets\.main\.reserve",
    ):
        rooms.check_new("main", place)
    rooms.check_new("own", place)
    assert place.asked == 2


def test_a_place_that_does_not_tell_its_room_takes_new_vaults() -> None:
    Rooms({"main": Target("x:", reserve="1TB")}).check_new("main", _Asked(None))
    room = Room("main", Space(None, None), 10)
    assert (room.low, room.tight) == (False, False)
    assert "does not tell" in room.sentence


def test_a_run_in_which_nothing_changes_asks_no_place(tmp_path: Path) -> None:
    place: Backend = _Asked(10**12)
    world = World(tmp_path / "state", {"main": place})
    assert isinstance(place, _Asked)
    world.run()
    asked = place.asked
    world.run()
    assert place.asked == asked
