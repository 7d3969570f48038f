"""Forgetting beside archives in flight: what one may refer to stays until its place was asked."""

from __future__ import annotations

from msgspec.structs import replace

from tests.backup.world import POD_KEY, World
from tests.faults.backend import Fault, FaultyBackend
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.engine.context import open_context
from vaultd.backup.upkeep.forget import ForgetReport, forget
from vaultd.config import Retention
from vaultd.errors import PlaceError

NEWEST = Retention(keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_yearly=0)
LISTING, FIRST_DELETE = 1, 2  # calls of a forgetting
ARCHIVE = 3  # the call of a run with one picture that creates the archive
PICTURE = b"a picture" * 100


def forget_all_but_newest(world: World) -> ForgetReport:
    bench = open_context(replace(world.config, retention=NEWEST), world.state, POD_KEY)
    return forget(bench, world.targets)


def test_a_picture_given_up_stays_while_an_archive_in_flight_may_show_it(world: World) -> None:
    place = FaultyBackend(world.memory)
    world.targets["main"] = place
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    world.run()
    del world.alice.records["photo", "f1"]
    world.run()
    place.replay({FIRST_DELETE: (Fault.BEFORE, 0.0)})
    assert forget_all_but_newest(world).problems
    world.alice.photo("f1", "a.png")
    place.replay({ARCHIVE: (Fault.AFTER, 0.0)})
    assert world.run().failed
    place.replay({LISTING: (Fault.STALE, 0.0)})
    forget_all_but_newest(world)
    place.quiet()
    world.alice.put("post", "p2", {"text": "two"})
    assert world.run().changed
    forget_all_but_newest(world)
    body = world.restored()["photo", "f1"]
    assert b"".join(world.snapshot().open_blob(body)) == PICTURE


def test_what_is_locked_is_not_called_gone(world: World) -> None:
    for text in ("one", "two", "three"):
        world.alice.put("post", "p1", {"text": text})
        world.alice.put("post", text, {"text": text * 200})
        world.run()
    locked = PlaceError("It is locked until 2030-01-01T00:00:00Z.")

    class Locked(MemoryBackend):
        refusing = True

        def delete(self, name: str) -> None:
            if self.refusing:
                raise locked
            super().delete(name)

    place = Locked()
    place.objects = world.memory.objects
    world.targets["main"] = place
    before = dict(place.objects)
    report = forget_all_but_newest(world)
    (vault,) = report.vaults
    assert vault.objects
    assert (vault.deleted, vault.bytes, vault.waits) == (0, 0, str(locked))
    assert report.problems == [f"alice, main: {locked}"]
    assert place.objects == before
    place.refusing = False
    (vault,) = forget_all_but_newest(world).vaults
    assert vault.deleted == len(vault.objects) == len(before) - len(place.objects)
    assert vault.waits == ""
