"""Levels and retention: few archives to open, few rewrites, every kept point exact, little room."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.backup.world import Content, World
from vaultd.backup.engine.levels import merged
from vaultd.backup.engine.retention import kept_points, plan
from vaultd.config import Retention
from vaultd.restore.verify import verify_place
from vaultd.state.vaults.points import StoredArchive, StoredBlob, VaultPoint
from vaultd.vault.reader import ArchiveReader

START = datetime(2026, 1, 1, 3, tzinfo=UTC)


class Clock(datetime):
    """A datetime whose `now` stands still until a test moves it."""

    at = START

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.at


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Clock]]:
    Clock.at = START
    monkeypatch.setattr("vaultd.clock.datetime", Clock)
    yield Clock


def keep(world: World, **policy: object) -> None:
    world.config = msgspec.structs.replace(world.config, retention=Retention(**policy))  # type: ignore[arg-type]


def edit(world: World, chance: random.Random, many: int) -> None:
    for _ in range(chance.randint(1, many)):
        number = chance.randrange(400)
        key = ("post", f"{number:032x}")
        if key in world.alice.records and chance.random() < 0.3:
            del world.alice.records[key]
        else:
            world.alice.put(*key, {"text": f"{number} {chance.random()}"})


@pytest.mark.parametrize("seed", range(6))
def test_every_kept_point_restores_and_the_newest_opens_few_archives(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    world = World(tmp_path / "state")
    keep(world, keep_last=2, keep_daily=5, keep_weekly=3, keep_monthly=2)
    for number in range(150):
        world.alice.put("post", f"{number:032x}", {"text": str(number)})
    contents: dict[int, Content] = {}
    for day in range(70):
        Clock.at = START + timedelta(days=day)
        if day:
            edit(world, chance, chance.choice((2, 2, 2, 12, 60)))
        assert world.run().failed == []
        snapshot = world.snapshot()
        contents[snapshot.sequence] = world.alice.content()
        records = len(world.alice.content())
        assert len(snapshot.manifest.archives) <= 2 + math.log(max(records, 2), 1.5)
        assert world.restored() == world.alice.content()
        if day % 10 == 9:
            check_points(world, contents)
    assert world.run().unchanged
    assert verify_place(world.memory).problems == []


def check_points(world: World, contents: dict[int, Content]) -> None:
    enrollment = world.state.enrollments()[0]
    point = world.state.vaults.point(enrollment.id, "main")
    assert point is not None
    kept = kept_points(
        [a for a in point.archives if {x.sequence for x in point.archives} >= set(a.needs)],
        world.config.retention,
        Clock.at,
    )
    assert len(kept) >= min(5, point.sequence)
    for sequence in kept:
        assert world.restored(at=str(sequence)) == contents[sequence]
    stored = {name for name in world.memory.objects if "/0" in name}
    assert stored == {archive.name for archive in point.archives}


def test_each_record_is_written_few_times(world: World) -> None:
    written: Counter[tuple[str, str]] = Counter()
    for day in range(120):
        Clock.at = START + timedelta(days=day)
        for number in range(4):
            world.alice.put("post", f"{day * 4 + number:032x}", {"text": f"{day} {number}"})
        world.run()
        snapshot = world.snapshot()
        reader = ArchiveReader(
            world.memory,
            snapshot._names[0],
            world.secrets["alice"],
            snapshot._vault.pods,
        )
        written.update((record.kind, record.id) for record in reader.records())
    assert max(written.values()) <= 1 + math.log(480, 1.5)


def test_deleted_records_stay_in_the_points_that_had_them(world: World) -> None:
    keep(world, keep_last=50)
    before = world.alice.content()
    world.run()
    del world.alice.records["post", "p1"]
    for day in range(1, 30):
        Clock.at = START + timedelta(days=day)
        world.alice.put("post", "p2", {"text": str(day)})
        world.run()
    assert world.restored(at="1") == before
    assert ("post", "p1") not in world.restored()


def test_a_year_of_days_takes_at_most_twice_one_fresh_vault(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    keep(world)
    chance = random.Random(7)
    for number in range(600):
        world.alice.put("post", f"b{number:031x}", {"text": chance.randbytes(60).hex()})
    for day in range(365):
        Clock.at = START + timedelta(days=day)
        for number in range(chance.randint(0, 6)):
            world.alice.put(
                "post", f"{day * 9 + number:032x}", {"text": chance.randbytes(60).hex()}
            )
        world.alice.put("profile", "me", {"seen": day})
        world.run()
    stored = sum(map(len, world.memory.objects.values()))
    fresh = World(tmp_path / "fresh")
    fresh.source, fresh.alice = world.source, world.alice
    fresh.run()
    assert fresh.restored() == world.restored()
    assert stored <= 2 * sum(map(len, fresh.memory.objects.values()))


def test_an_archive_that_a_kept_point_needs_stays_and_min_age_keeps_all(world: World) -> None:
    keep(world, keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0, min_age="3d")
    for day in range(6):
        Clock.at = START + timedelta(days=day)
        world.alice.put("post", "p2", {"text": str(day)})
        world.run()
    for sequence in (4, 5, 6):
        world.restored(at=str(sequence))


def test_a_picture_goes_with_the_last_point_that_shows_it(world: World) -> None:
    keep(world, keep_last=2, keep_daily=0, keep_weekly=0, keep_monthly=0)
    world.source.files["a.png"] = b"picture" * 100
    world.alice.photo("f1", "a.png")
    world.run()
    del world.alice.records["photo", "f1"]
    counts = []
    for day in range(1, 4):
        Clock.at = START + timedelta(days=day)
        world.alice.put("post", "p2", {"text": str(day)})
        world.run()
        counts.append(sum("/blob-" in name for name in world.memory.objects))
    assert counts == [1, 0, 0]
    world.alice.photo("f2", "a.png")
    world.run()
    body = world.restored()["photo", "f2"]
    assert b"".join(world.snapshot().open_blob(body)) == b"picture" * 100


def test_nothing_goes_while_the_run_is_a_dry_one(world: World) -> None:
    from tests.backup.world import POD_KEY
    from vaultd.backup.engine.context import open_context
    from vaultd.backup.upkeep.forget import forget

    for day in range(40):
        Clock.at = START + timedelta(days=day)
        world.alice.put("post", "p2", {"text": str(day)})
        world.run()
    keep(world, keep_last=1, keep_daily=2, keep_weekly=0, keep_monthly=0)
    before = dict(world.memory.objects)
    bench = open_context(world.config, world.state, POD_KEY)
    told = forget(bench, world.targets, dry_run=True)
    assert world.memory.objects == before
    done = forget(bench, world.targets)
    assert told.vaults == done.vaults
    assert done.problems == []
    assert set(before) - set(world.memory.objects) == set(done.vaults[0].objects)
    assert world.restored() == world.alice.content()
    assert forget(bench, world.targets).vaults == []
    assert verify_place(world.memory).problems == []


archives = st.lists(st.integers(0, 400), min_size=1, max_size=30, unique=True).map(sorted)


@given(archives, st.integers(0, 5), st.integers(0, 8), st.integers(0, 5), st.integers(0, 13))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_policy_keeps_what_it_says(
    days: list[int], last: int, daily: int, weekly: int, monthly: int
) -> None:
    found = [
        StoredArchive(n, f"{n}", 1, b"", f"{(START + timedelta(days=day)).isoformat()}", 1, ())
        for n, day in enumerate(days, 1)
    ]
    policy = Retention(keep_last=last, keep_daily=daily, keep_weekly=weekly, keep_monthly=monthly)
    kept = kept_points(found, policy, START + timedelta(days=500))
    assert len(days) in kept
    assert len(kept) <= max(1, last) + daily + weekly + monthly
    assert set(range(len(days), len(days) - last, -1)) & set(range(1, len(days) + 1)) <= kept
    assert set(range(len(days), len(days) - daily, -1)) & set(range(1, len(days) + 1)) <= kept


@given(st.lists(st.integers(0, 1000), max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_left_halves_at_each_level(sizes: list[int]) -> None:
    live = [StoredArchive(n, f"{n}", 1, b"", "", size) for n, size in enumerate(sizes, 1)]
    taken = merged(live, dict(enumerate(sizes, 1)))
    left = [size for n, size in enumerate(sizes, 1) if n not in taken]
    later = 0
    for size in reversed(left):
        assert not later or size >= 2 * later
        later += size
    assert len([size for size in left if size]) <= 1 + math.log(max(sum(sizes), 1) + 1, 2)


def test_a_picture_of_an_older_kept_point_stays() -> None:
    archive = [StoredArchive(n, f"{'0' * 32}/{n:010d}-{'0' * 64}", 5, b"", "", 1) for n in (1, 2)]
    point = VaultPoint(
        2,
        archive[1],
        tuple(archive),
        1,
        b"",
        (StoredBlob(b"b" * 32, 9, 2), StoredBlob(b"c" * 32, 9)),
    )
    assert plan(point, Retention(keep_last=2), START).delete == ()
    gone = plan(point, Retention(keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0), START)
    assert [size for _, size in gone.delete] == [5, 9]
    assert [blob.digest for blob in gone.blobs] == [b"c" * 32]
