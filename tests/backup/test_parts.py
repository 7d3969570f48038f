"""Parts are archives beside the chain: they come first or last, arrive or not, and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backup.world import POD_KEY, World
from tests.faults.backend import Fault, FaultyBackend
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.report import RunReport
from vaultd.backup.run.run import run_backup
from vaultd.selection import Selection

POSTS = Selection(kinds=frozenset(["post"]))
CREATE = 2  # the call of a part in a known vault that creates its archive


@pytest.fixture
def place() -> FaultyBackend:
    return FaultyBackend(MemoryBackend())


@pytest.fixture
def world(tmp_path: Path, place: FaultyBackend) -> World:
    return World(tmp_path / "state", {"main": place})


def part(world: World) -> RunReport:
    return run_backup(
        world.config, world.state, world.source, world.targets, POD_KEY, selection=POSTS
    )


def sequences(world: World) -> list[int]:
    (point,) = world.state.vaults.points([each.id for each in world.state.enrollments()]).values()
    return [archive.sequence for archive in point.archives]


def test_a_part_may_come_before_any_whole(world: World) -> None:
    assert part(world).written == 1
    assert world.run().changed
    assert sequences(world) == [1, 2]
    assert world.restored() == world.alice.content()


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_what_became_of_a_part_is_asked_of_the_place(
    world: World, place: FaultyBackend, fault: Fault
) -> None:
    world.run()
    place.replay({CREATE: (fault, 0.0)})
    assert part(world).failed
    place.quiet()
    world.alice.put("post", "p2", {"text": "second"})
    assert world.run().changed[0].notes == ()
    assert sequences(world) == ([1, 2] if fault is Fault.BEFORE else [1, 2, 3])
    assert world.restored() == world.alice.content()
