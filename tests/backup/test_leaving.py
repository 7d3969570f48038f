"""Claiming a kit and leaving: old vaults go, and only when and where they may."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.backup.test_run import Watched
from tests.backup.world import World
from tests.faults.backend import Fate, Fault, FaultyBackend, Killed
from vaultd.backends.base import Backend
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.accounts.enroll import enroll, enroll_all
from vaultd.backup.accounts.leaving import leaving, unenroll
from vaultd.backup.upkeep.erasing import erase_old_vaults
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.clock import now, rfc3339
from vaultd.config import Target
from vaultd.errors import ObjectLocked, PlaceBusy, UsageError
from vaultd.keys import Secrets
from vaultd.restore.opening.escrow import escrows

PODMIN = Secrets.from_secret(b"the podmin's key")
KIT = Secrets.from_secret(b"bob's first kit.")
OTHER = Secrets.from_secret(b"bob's second kit")


def escrowed(world: World) -> str:
    """Bob is there and enrolled by policy; return his vault's id."""
    world._add("bob").photo("f1", "b.png")
    world.source.files["b.png"] = b"bob" * 99
    (done,) = enroll_all(world.state, world.source, world.targets, PODMIN.recipient).enrolled
    return done.vault_id


def claim(world: World) -> None:
    world.secrets["bob"] = KIT
    enroll(world.state, world.source, "bob", KIT.recipient, targets=list(world.targets))


def sentences(world: World) -> list[str]:
    return [each.sentence for each in leaving(world.config, world.state.old_vaults.all())]


def erase(world: World) -> None:
    erase_old_vaults(world.state, world.targets, OwnPlaces(world.config, world.state))


def of(place: Backend, vault: str) -> list[str]:
    return [item.name for item in place.list(f"{vault}/")]


def podmin_restores(place: Backend) -> bool:
    return any(found.named("bob") for found in escrows(place, PODMIN).found.values())


def test_a_claimed_vault_goes_once_the_new_one_is_whole(world: World) -> None:
    vault = escrowed(world)
    world.run()
    assert podmin_restores(world.memory)
    claim(world)
    assert podmin_restores(world.memory)  # the new one is not there yet
    assert "podmin's words open it until then" in sentences(world)[0]
    report = world.run()
    assert [old.vault_id for old in report.erased] == [vault]
    assert not podmin_restores(world.memory)
    assert of(world.memory, vault) == []
    assert world.restored("bob").keys() == world.source.people["bob"].content().keys()
    assert "was erased at" in sentences(world)[0]
    assert world.run().erased == []


def test_a_target_that_is_away_keeps_the_old_vault_until_it_has_the_new_one(world: World) -> None:
    world.targets["away"] = away = Watched()
    world.config = replace(
        world.config, targets={name: Target(f"memory:{name}") for name in world.targets}
    )
    vault = escrowed(world)
    world.run()
    claim(world)
    away.error = PlaceBusy("The place is away.")
    world.run()
    assert of(world.memory, vault) == []
    away.error = None
    assert podmin_restores(away)
    assert world.state.old_vaults.count_pending() == 1
    world.run()
    assert not podmin_restores(away)
    assert world.state.old_vaults.count_pending() == 0
    assert world.restored("bob", "away").keys() == world.source.people["bob"].content().keys()


def test_a_new_vault_that_lacks_a_picture_lets_nothing_go(world: World) -> None:
    vault = escrowed(world)
    world.run()
    claim(world)
    world.targets["main"] = Locked(world.memory)
    world.run()
    (picture,) = [n for n in world.memory.objects if f"{KIT.recipient.vault_id}/blob-" in n]
    data = world.memory.objects.pop(picture)
    world.targets["main"] = world.memory
    unlock(world)
    erase(world)
    assert podmin_restores(world.memory)
    world.memory.objects[picture] = data
    erase(world)
    assert of(world.memory, vault) == []


def test_a_kit_of_the_user_keeps_its_old_vault_unless_asked(world: World) -> None:
    world.run()
    old = world.secrets["alice"].recipient.vault_id
    enroll(world.state, world.source, "alice", KIT.recipient, targets=["main"])
    world.run()
    assert of(world.memory, old)
    assert "stays." in sentences(world)[0]
    enroll(world.state, world.source, "alice", OTHER.recipient, targets=["main"], erase_old=True)
    world.run()
    assert of(world.memory, KIT.recipient.vault_id) == []
    assert of(world.memory, old)
    # Back to the first kit: its vault is in use again, and goes on.
    world.secrets["alice"] = Secrets.from_secret(b"alice...........")
    enroll(world.state, world.source, "alice", world.secrets["alice"].recipient, targets=["main"])
    world.run()
    assert world.restored() == world.alice.content()
    assert world.snapshot().sequence == 2


class Locked(MemoryBackend):
    """Refuses to delete what a lock holds."""

    def __init__(self, inner: MemoryBackend | None = None) -> None:
        super().__init__()
        if inner is not None:
            self.objects = inner.objects
        self.until = now() + timedelta(days=30)
        self.asked = 0

    def delete(self, name: str) -> None:
        self.asked += 1
        if self.until > now():
            raise ObjectLocked(f"{name} is locked.", until=self.until)
        super().delete(name)


def test_a_lock_is_waited_for_and_told(world: World) -> None:
    place = Locked()
    world.targets["main"] = world.memory = place
    target = Target("s3://b", lock="compliance", lock_period="30d")
    world.config = replace(world.config, targets={"main": target})
    vault = escrowed(world)
    world.run()
    claim(world)
    (before,) = leaving(world.config, world.state.old_vaults.all())
    assert before.until is not None
    report = world.run()
    assert [old.vault_id for old in report.not_erased] == [vault]
    (told,) = leaving(world.config, world.state.old_vaults.all())
    assert told.until == rfc3339(place.until)
    assert told.document()["podmin_can_read"]
    asked = place.asked
    world.source.looks += 1
    assert world.run().not_erased == []
    assert place.asked == asked  # it is not asked before the lock ends
    place.until = now()
    unlock(world)
    world.run()
    assert of(place, vault) == []


def unlock(world: World) -> None:
    """Time has passed: what was locked until some day is not any more."""
    olds = world.state.old_vaults
    olds.save([dataclasses.replace(each, locked_until=None) for each in olds.pending()])


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.BEFORE, Fault.AFTER])
def test_what_a_place_only_says_is_not_taken_for_done(world: World, fault: Fault) -> None:
    vault = escrowed(world)
    world.run()
    claim(world)
    place = FaultyBackend(world.memory)
    world.targets["main"] = place
    world.run("bob")  # counts its calls
    calls = [event.call for event in place.events if event.method == "delete"]
    world.state.close()
    fresh = World(world.folder.parent / "again")
    vault = escrowed(fresh)
    fresh.run()
    claim(fresh)
    place = FaultyBackend(fresh.memory)
    fresh.targets["main"] = place
    place.replay({calls[1]: (fault, 0.0)})
    report = fresh.run("bob")
    assert [old.vault_id for old in report.not_erased] == [vault]
    assert report.not_erased[0].result
    place.quiet()
    assert [old.vault_id for old in fresh.run().erased] == [vault]
    assert of(fresh.memory, vault) == []


def test_killed_at_any_call_either_vault_is_whole_and_the_old_one_goes_in_the_end(
    tmp_path: Path,
) -> None:
    number, deaths = 0, 0
    while True:
        number += 1
        for kill in (number, -number):
            world = World(tmp_path / f"state{kill}")
            vault = escrowed(world)
            world.run()
            claim(world)
            place = FaultyBackend(world.memory, Fate())
            place.replay({}, kill)
            world.targets["main"] = place
            try:
                world.run("bob")
            except Killed:
                deaths += 1
            else:
                if len(place.events) < number:
                    assert deaths > 8
                    return
            finally:
                world.state.close()
            again = World.reopen(world.folder, {"main": world.memory})
            again.source, again.secrets = world.source, world.secrets
            again.memory = world.memory
            new = of(again.memory, KIT.recipient.vault_id)
            if any("/0" in name for name in new):
                content = again.restored("bob")
                assert content.keys() == again.source.people["bob"].content().keys()
            else:
                assert podmin_restores(again.memory)
            again.run()
            assert of(again.memory, vault) == [], kill
            assert again.restored("bob")
            assert again.state.old_vaults.count_pending() == 0
            again.state.close()


def test_unenrolling_stops_and_nothing_is_lost(world: World) -> None:
    vault = escrowed(world)
    world.run()
    (left,) = unenroll(world.state, "bob", ["main"], erase=False)
    assert not left.due
    assert [each.username for each in world.state.enrollments()] == ["alice"]
    world.run()
    assert podmin_restores(world.memory)
    assert enroll_all(world.state, world.source, world.targets, PODMIN.recipient).enrolled == []
    # Later the wish to have it erased, and a second time the receipt.
    unenroll(world.state, "bob", ["main"], erase=True)
    erase(world)
    assert of(world.memory, vault) == []
    (receipt,) = unenroll(world.state, "bob", ["main"], erase=True)
    assert receipt.done_at is not None
    assert receipt.objects == 3
    with pytest.raises(UsageError, match="is not enrolled"):
        unenroll(world.state, "nobody", ["main"], erase=True)
    claim(world)
    world.run()
    assert world.restored("bob")


def test_an_erasure_waits_for_a_target_that_is_away_and_is_shown(world: World) -> None:
    away = MemoryBackend()
    world.targets["away"] = faulty = FaultyBackend(away)
    vault = escrowed(world)
    world.run()
    faulty.replay({1: (Fault.BEFORE, 0.0)})
    unenroll(world.state, "bob", list(world.targets), erase=True)
    erase(world)
    assert of(world.memory, vault) == []
    (waiting,) = [
        each for each in leaving(world.config, world.state.old_vaults.all()) if each.old.pending
    ]
    assert "The place is away." in waiting.sentence
    faulty.quiet()
    assert [old.target for old in world.run().erased] == ["away"]
    assert of(away, vault) == []


def test_an_account_that_left_a_shared_vault_keeps_what_is_in_it(world: World) -> None:
    bob = world._add("bob")
    shared = world.secrets["alice"].recipient
    world.state.enroll(
        username="bob", guid=bob.account.guid, handle=bob.account.handle,
        recipient=str(shared), vault_id=shared.vault_id,
    )  # fmt: skip
    world.run()
    with pytest.raises(UsageError, match="shares its vault with alice"):
        unenroll(world.state, "bob", ["main"], erase=True)
    claim(world)
    world.run()
    unenroll(world.state, "alice", ["main"], erase=True)
    erase(world)
    assert of(world.memory, shared.vault_id)
    assert "archives of bob, too" in " ".join(sentences(world))
    unenroll(world.state, "bob", ["main"], erase=True)
    erase(world)
    assert list(world.memory.list()) == []


def test_who_claimed_and_left_is_not_read_by_the_podmin_for_ever(world: World) -> None:
    vault = escrowed(world)
    world.run()
    world.targets["main"] = away = Watched()
    away.objects = world.memory.objects
    claim(world)
    away.error = PlaceBusy("The place is away.")
    world.run()
    unenroll(world.state, "bob", ["main"], erase=False)
    # Nothing of the new vault is there: the old one is all that bob has, and stays.
    assert [(each.vault_id, each.due) for each in world.state.old_vaults.of_account("bob")] == [
        (vault, False),
        (KIT.recipient.vault_id, False),
    ]
