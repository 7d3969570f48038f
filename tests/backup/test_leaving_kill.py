"""SIGKILL at numbered touches of disk and state while a claimed vault gives way to the new one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backup.test_leaving import KIT, PODMIN, podmin_restores
from tests.backup.world import World
from tests.faults.dying import live
from vaultd.backends.base import Backend
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backup.accounts.enroll import enroll, enroll_all

SHM = Path("/dev/shm")
DEATHS = 25


def opened(folder: Path) -> World:
    targets: dict[str, Backend] = {"main": FolderBackend(folder / "vaults", create=True)}
    world = World.reopen(folder / "state", targets)
    bob = world._add("bob")
    bob.photo("f1", "b.png")
    world.source.files["b.png"] = b"bob" * 9999
    world.secrets["bob"] = KIT
    return world


def claim_and_run(folder: Path) -> None:
    world = opened(folder)
    enroll(world.state, world.source, "bob", KIT.recipient, targets=["main"])
    assert not world.run("bob").failed
    world.state.close()


@pytest.fixture(scope="module")
def before() -> Iterator[Path]:
    """Bob is enrolled by policy and backed up."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        world = opened(Path(name))
        enroll_all(world.state, world.source, world.targets, PODMIN.recipient, only=["bob"])
        assert not world.run("bob").failed
        world.state.close()
        yield Path(name)


def test_at_every_instant_one_of_the_two_vaults_is_whole(before: Path) -> None:
    folder = before.parent / f"{before.name}-copy"

    def play(last: int) -> tuple[bool, int]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)
        return live(lambda: claim_and_run(folder), last)

    try:
        killed, touches = play(0)
        assert not killed
        seen = set()
        for last in range(1, touches, max(1, touches // DEATHS)):
            killed, _ = play(last)
            world = opened(folder)
            place, wanted = world.targets["main"], world.source.people["bob"].content().keys()
            new = any("/0" in item.name for item in place.list(f"{KIT.recipient.vault_id}/"))
            old = podmin_restores(place)
            assert old or (new and world.restored("bob").keys() == wanted), last
            seen.add((old, new))
            if world.state.enrollments(["bob"])[0].recipient != str(KIT.recipient):
                assert old
                world.state.close()
                continue
            world.run("bob")
            assert world.restored("bob").keys() == wanted, last
            assert not podmin_restores(place), last
            assert world.state.old_vaults.count_pending() == 0
            assert {item.name[:32] for item in place.list()} == {KIT.recipient.vault_id}
            world.state.close()
        assert seen == {(True, False), (True, True), (False, True)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
