"""Scrubbing finds what is damaged or gone, and what it finds is healed."""

from __future__ import annotations

import pytest

from tests.backup.world import Content, World
from tests.faults.backend import Fault, FaultyBackend
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.upkeep.scrub import scrub
from vaultd.restore.verify import verify_place

PICTURE = b"a picture" * 1000


def filled(world: World) -> World:
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    for number in range(8):
        world.alice.put("post", f"p{number}", {"text": str(number)})
    world.run()
    world.alice.put("post", "p1", {"text": "changed"})
    world.run()
    return world


def plain(world: World) -> Content:
    content = world.restored()
    for body in content.values():
        body.pop("blob", None)
    return content


def flip(place: MemoryBackend, part: str) -> str:
    name = next(name for name in place.objects if part in name)
    content = bytearray(place.objects[name])
    content[len(content) // 2] ^= 1
    place.objects[name] = bytes(content)
    return name


def test_a_sound_vault_has_nothing_to_heal_and_is_not_due_soon(world: World) -> None:
    filled(world)
    world.person("bob")
    world.run()
    first = scrub(world.state, world.targets, 0.01)
    second = scrub(world.state, world.targets, 0.01)
    assert (first.findings, second.findings) == ([], [])
    assert first.vaults == second.vaults == 1
    assert first.objects != second.objects  # another vault's turn
    assert scrub(world.state, world.targets, 1.0).vaults == 2


def test_a_damaged_or_lost_archive_is_written_again_from_the_source(world: World) -> None:
    for damage in ("flip", "remove"):
        filled(world)
        if damage == "flip":
            flip(world.memory, "/0000000001-")
        else:
            del world.memory.objects[next(n for n in world.memory.objects if "/0000000001-" in n)]
        report = scrub(world.state, world.targets, 1.0)
        assert [f.healed for f in report.findings] == ["written again"]
        assert report.to_write_again == ["alice"]
        assert world.run(*report.to_write_again).changed
        assert plain(world) == world.alice.content()
        assert scrub(world.state, world.targets, 1.0).findings == []
        assert world.run().unchanged
        world.memory.objects.clear()
        world.lose_state()


def test_a_damaged_picture_is_uploaded_again_under_its_name(world: World) -> None:
    filled(world)
    name = flip(world.memory, "/blob-")
    report = scrub(world.state, world.targets, 1.0)
    assert [(f.object, f.code) for f in report.findings] == [(name, "damaged")]
    world.run()
    body = world.restored()["photo", "f1"]
    assert b"".join(world.snapshot().open_blob(body)) == PICTURE
    assert verify_place(world.memory).problems == []
    assert scrub(world.state, world.targets, 1.0).findings == []


@pytest.mark.parametrize("wrong", [1, 100])
def test_a_sound_object_that_is_read_wrong_is_left_alone(world: World, wrong: int) -> None:
    filled(world)
    before = dict(world.memory.objects)
    place = FaultyBackend(world.memory)
    place.replay({call: (Fault.FLIPPED, call / 101) for call in range(1, wrong + 1)})
    report = scrub(world.state, {"main": place}, 1.0)
    assert report.findings == []
    assert len(report.problems) == (wrong > 1)
    assert world.memory.objects == before


def test_two_targets_heal_each_other_by_copying(world: World) -> None:
    other = MemoryBackend()
    world.targets["other"] = other
    filled(world)
    assert world.memory.objects == other.objects  # one archive, packed once
    flip(world.memory, "/0000000001-")
    del other.objects[next(n for n in other.objects if "/0000000002-" in n)]
    flip(other, "/blob-")
    report = scrub(world.state, world.targets, 1.0)
    assert sorted((f.target, f.code, f.healed) for f in report.findings) == [
        ("main", "damaged", "copied"),
        ("other", "damaged", "copied"),
        ("other", "missing", "copied"),
    ]
    assert world.memory.objects == other.objects
    assert verify_place(other).problems == []
    assert world.run().unchanged


@pytest.mark.parametrize("first", range(1, 6))
def test_what_heals_is_stored_as_it_was_checked(world: World, first: int) -> None:
    other = FaultyBackend(MemoryBackend())
    world.targets["other"] = other
    filled(world)
    sound = dict(world.memory.objects)
    name = flip(world.memory, "/0000000001-")
    damaged = world.memory.objects[name]
    other.replay(dict.fromkeys(range(first, first + 9), (Fault.FLIPPED, 0.5)))
    scrub(world.state, world.targets, 1.0)
    assert world.memory.objects[name] in (sound[name], damaged)


def test_the_newest_archive_lost_everywhere_is_named_and_made_good(world: World) -> None:
    filled(world)
    world.memory.objects = {n: c for n, c in world.memory.objects.items() if "/0" not in n}
    report = scrub(world.state, world.targets, 1.0)
    assert {f.code for f in report.findings} == {"missing"}
    world.run(*report.to_write_again)
    assert plain(world) == world.alice.content()
    assert verify_place(world.memory).problems == []
