"""Lost states, old states, vanished archives: the vault goes on, and says why."""

from __future__ import annotations

import shutil

from sqlalchemy import update

from tests.backup.test_run import archives
from tests.backup.world import World
from tests.faults.backend import Fault, FaultyBackend
from vaultd.backends.memory import MemoryBackend
from vaultd.state.models import PieceRow
from vaultd.state.store import State
from vaultd.vault.listing import open_vault


def copy_state(world: World, name: str) -> None:
    world.state.close()
    shutil.copytree(world.folder, world.folder.parent / name)
    world.state = State(world.folder)


def put_state_back(world: World, name: str) -> None:
    world.state.close()
    shutil.rmtree(world.folder)
    shutil.copytree(world.folder.parent / name, world.folder)
    world.state = State(world.folder)


def test_a_lost_state_goes_on_after_the_highest_archive_with_a_whole_one(world: World) -> None:
    world.run()
    world.alice.put("post", "p2", {"text": "two"})
    world.run()
    world.lose_state()
    report = world.run()
    assert "state was lost" in report.accounts[0].notes[0]
    assert archives(world.memory) == [1, 2, 3]
    assert world.snapshot().manifest.archives == ()
    assert world.restored() == world.alice.content()
    assert open_vault(world.memory, world.secrets["alice"].recipient.vault_id).problems == []
    assert world.run().unchanged


def test_an_old_state_put_back_is_noticed_and_both_branches_restore(world: World) -> None:
    world.run()
    copy_state(world, "old")
    world.alice.put("post", "p2", {"text": "written after the copy"})
    world.run()
    branch = world.restored()
    put_state_back(world, "old")
    assert world.run().accounts[0].notes[0].startswith("main: the vault holds an archive 2")
    assert archives(world.memory) == [1, 2, 3]
    assert world.snapshot().manifest.archives == ()
    assert world.restored() == world.alice.content()
    assert world.restored(at="2") == branch
    assert world.run().unchanged


def test_a_fork_of_two_writers_is_noticed(world: World) -> None:
    world.run()
    copy_state(world, "other")
    world.alice.put("post", "p2", {"text": "two"})
    world.run()
    copy_state(world, "first")
    mine = dict(world.memory.objects)
    put_state_back(world, "other")
    world.memory.objects = {n: c for n, c in mine.items() if "/0000000002-" not in n}
    world.run()
    world.memory.objects.update(mine)
    assert archives(world.memory) == [1, 2, 2]
    world.alice.put("post", "p3", {"text": "three"})
    assert "two writers" in world.run().accounts[0].notes[0]
    assert archives(world.memory) == [1, 2, 2, 3]
    assert world.snapshot().manifest.archives == ()
    assert world.restored() == world.alice.content()


def test_a_vanished_archive_makes_the_next_one_stand_on_its_own(world: World) -> None:
    world.run()
    world.alice.put("post", "p2", {"text": "two"})
    world.run()
    world.memory.objects = {
        n: c for n, c in world.memory.objects.items() if "/0000000002-" not in n
    }
    world.alice.put("post", "p3", {"text": "three"})
    report = world.run()
    assert (
        "archive 2, the newest that this state knows, is not in the vault"
        in (report.accounts[0].notes[0])
    )
    assert archives(world.memory) == [1, 3]
    assert world.restored() == world.alice.content()


def test_an_old_listing_does_not_make_an_archive_lost(world: World) -> None:
    place = FaultyBackend(world.memory)
    world.targets["main"] = place
    world.run()
    for number in range(2, 4):
        world.alice.put("post", f"p{number}", {"text": str(number)})
        if number == 3:
            place.replay({1: (Fault.STALE, 0.0)})
        report = world.run()
    assert report.accounts[0].notes == (
        "main: its listing is old, archive 2 is not in it and yet there.",
    )
    assert world.snapshot().manifest.archives != ()
    assert world.restored() == world.alice.content()


def test_a_target_that_starts_empty_gets_everything(world: World) -> None:
    world.run()
    world.targets["second"] = MemoryBackend()
    report = world.run()
    assert [t.status.value for t in report.accounts[0].targets] == ["unchanged", "unchanged"]
    assert report.accounts[0].notes == ("second: it lagged behind; 1 object was copied from main.",)
    assert world.restored(target="second") == world.alice.content()
    world.alice.put("post", "p2", {"text": "two"})
    world.run()
    for target in world.targets:
        assert world.restored(target=target) == world.alice.content()


def test_a_damaged_index_costs_a_whole_archive_and_nothing_else(world: World) -> None:
    world.run()
    with world.state._session() as session:
        session.execute(update(PieceRow).values(data=b"junk"))
    world.alice.put("post", "p2", {"text": "two"})
    report = world.run()
    assert "index in the state database is damaged" in report.accounts[0].notes[0]
    assert archives(world.memory) == [1, 2]
    assert world.restored() == world.alice.content()


def test_one_target_that_must_start_over_does_not_disturb_the_other(world: World) -> None:
    other = MemoryBackend()
    world.targets["other"] = other
    world.run()
    world.memory.objects.clear()
    world.alice.put("post", "p2", {"text": "two"})
    report = world.run()
    assert report.failed == []
    assert archives(other) == [1, 2]
    assert archives(world.memory) == [2]
    for target in world.targets:
        assert world.restored(target=target) == world.alice.content()
