"""Progress by records: from the first of them on, and with a time left that holds."""

from __future__ import annotations

from tests.backup.world import POD_KEY, World
from vaultd.backup.report import AccountReport, Status, unchanged
from vaultd.backup.run.progress import RunProgress
from vaultd.backup.run.run import run_backup


class Clock:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def _done(name: str, records: int) -> AccountReport:
    return AccountReport(name, Status.WRITTEN, records)


def test_one_heavy_account_among_many_light_ones_does_not_make_the_time_left_a_lie() -> None:
    clock = Clock()
    run = RunProgress(101, clock)
    run.expect({"heavy": 10_000, **{f"light{n}": 10 for n in range(100)}})
    run.begin(1, ["heavy"])
    for _ in range(40):
        clock.at += 1
        run.take(1, 250)
    # All of it is read, half of its work is done, in 40 s: about 40 s more, and the light ones.
    assert run.seconds_left is not None
    assert 40 < run.seconds_left < 60
    clock.at += 40
    run.account(_done("heavy", 10_000))
    run.finish(1)
    assert run.seconds_left is not None
    assert 7 < run.seconds_left < 9
    assert run.done == 1


def test_the_time_left_is_unknown_until_some_work_is_done() -> None:
    clock = Clock()
    run = RunProgress(2, clock)
    assert run.seconds_left is None
    clock.at += 60
    assert run.seconds_left is None
    run.expect({"a": 1000, "b": 1000})
    run.begin(1, ["a", "b"])
    run.take(1, 10)
    assert run.seconds_left is None
    run.take(1, 500)
    assert run.seconds_left is not None
    run.account(_done("a", 1000))
    run.account(_done("b", 1000))
    assert run.seconds_left == 0


def test_accounts_without_changes_count_by_number() -> None:
    clock = Clock()
    run = RunProgress(100, clock)
    clock.at += 10
    for n in range(50):
        run.account(unchanged(f"user{n}"))
    assert run.seconds_left == 10


def test_a_read_batch_that_is_begun_anew_counts_once() -> None:
    clock = Clock()
    run = RunProgress(1, clock)
    run.expect({"a": 1000})
    run.begin(1, ["a"])
    run.take(1, 900)
    run.finish(1)
    clock.at += 10
    assert run.seconds_left is None
    run.begin(2, ["a"])
    run.take(2, 1000)
    assert run.seconds_left == 10


def test_a_run_tells_of_every_account_and_record(world: World) -> None:
    world.person("bob")
    for number in range(50):
        world.alice.put("post", f"more{number}", {"text": "x"})
    progress = RunProgress()
    report = run_backup(
        world.config, world.state, world.source, world.targets, POD_KEY, progress=progress
    )
    assert (progress.accounts, progress.done) == (2, 2)
    assert progress.read == progress.records == 54
    assert progress.bytes == report.bytes > 0
