"""Cut, refused, truncated and slow connections, and `kill -9`, through the whole engine."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.backends.proxy import Plan, random_plans
from tests.backup.world import Content, World
from tests.targets.conftest import FarPlace
from vaultd.backends.base import Backend
from vaultd.errors import WrongKeyError
from vaultd.restore.verify import verify_place

IN_CI, LONG = 8, 100


def fill(world: World, generation: int) -> Content:
    for number in range(60):
        age = (generation - number) // 20 if number < generation else 0
        if (number + generation) % 17:
            world.alice.put("post", f"{number:032x}", {"text": f"{number}, edited {age}" * 20})
        else:
            world.alice.records.pop(("post", f"{number:032x}"), None)
    for number in range(generation % 3 + 1):
        world.source.files[f"{number}.png"] = bytes([number]) * 30_000
        world.alice.photo(f"f{number}", f"{number}.png")
    return world.alice.content()


def newest(world: World, place: Backend) -> Content:
    """Restore the newest point beside the bad network."""
    was, world.targets["main"] = world.targets["main"], place
    try:
        snapshot = world.snapshot()
        content = world.restored()
        for body in content.values():
            if "blob" in body:
                picture = b"".join(snapshot.open_blob(body))
                assert picture == world.source.files.get(str(body["name"]), picture)
            body.pop("blob", None)
        return content
    finally:
        world.targets["main"] = was


def cut_and_go_on(place: FarPlace, folder: Path, rounds: int) -> None:
    near = place.directly()
    world = World(folder, {"main": place.open()})
    committed: Content | None = None
    finished = 0
    for generation in range(rounds):
        wanted = fill(world, generation)
        place.proxy.plan = random_plans(generation, trouble=0.35, size=40_000)
        place.proxy.cut()
        report = world.run()
        assert "bug" not in str(report.failed)
        if report.failed:
            world.targets["main"] = place.open()  # the next night: no rest is left
        else:
            finished += 1
            committed = wanted
        if committed is not None:
            found = newest(world, near)
            assert found in (committed, wanted)
            committed = found
        assert verify_place(near).problems == []
    assert finished >= rounds // 3
    place.proxy.plan = Plan()
    place.proxy.cut()
    world.targets["main"] = place.open()
    wanted = fill(world, rounds)
    assert not world.run().failed
    assert newest(world, near) == wanted
    assert not world.run().changed


def kill_and_go_on(place: FarPlace, folder: Path, rounds: int) -> None:
    near = place.directly()
    chance = random.Random(7)
    World(folder, {"main": place.open()}).state.close()
    contents: list[Content] = []
    seen, finished = -1, 0
    for generation in range(rounds):
        place.proxy.plan = Plan(delay=chance.choice((0.0, 0.01)))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                world = World.reopen(folder, {"main": place.open()})
                fill(world, generation)
                code = 2 if world.run().failed else 0
            finally:
                os._exit(code)
        time.sleep(chance.uniform(0, 0.5))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        world = World.reopen(folder, {"main": near})
        contents.append(fill(world, generation))
        try:
            found = newest(world, near)
        except WrongKeyError:
            assert seen == -1
            continue
        finally:
            world.state.close()
        assert contents.index(found) >= seen
        seen = contents.index(found)
        finished += seen == generation
        assert verify_place(near).problems == []
    world = World.reopen(folder, {"main": place.open()})
    wanted = fill(world, rounds)
    assert not world.run().failed
    assert newest(world, near) == wanted
    assert finished or rounds < 10


def test_a_cut_network_costs_nothing_that_was_committed(place: FarPlace, tmp_path: Path) -> None:
    cut_and_go_on(place, tmp_path, IN_CI)


def test_a_killed_run_costs_nothing_that_was_committed(place: FarPlace, tmp_path: Path) -> None:
    kill_and_go_on(place, tmp_path, IN_CI)


@pytest.mark.long
def test_a_hundred_cuts(place: FarPlace, tmp_path: Path) -> None:
    cut_and_go_on(place, tmp_path, LONG)


@pytest.mark.long
def test_a_hundred_kills(place: FarPlace, tmp_path: Path) -> None:
    kill_and_go_on(place, tmp_path, LONG)


def test_a_place_that_is_away_fails_alone_and_quickly(place: FarPlace, tmp_path: Path) -> None:
    other = place.directly()
    world = World(tmp_path, {"main": place.open()})
    fill(world, 0)
    with place.proxy.nobody_listening():
        report = world.run()
        (account,) = report.failed
        assert "refuses the connection" in account.reason
    assert list(other.list()) == []
    world.targets["main"] = place.open()
    assert not world.run().failed
