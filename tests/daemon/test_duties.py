"""What the daemon does when what it works with is away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.backup.world import POD_KEY, World
from vaultd.backends.base import Space
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.accounts.leaving import unenroll
from vaultd.clock import rfc3339
from vaultd.daemon.control import Turns
from vaultd.daemon.duties import Duties, Setup
from vaultd.daemon.notify import Notifier
from vaultd.daemon.schedule import until_scrub
from vaultd.errors import PlaceBusy
from vaultd.keys import Secrets
from vaultd.state.lock import StateLock

DAY = timedelta(days=1)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Moody(MemoryBackend):
    away = False

    def space(self) -> Space:
        if self.away:
            raise PlaceBusy("It does not answer.")
        return super().space()


@pytest.fixture
def place() -> Moody:
    return Moody()


@pytest.fixture
def world(tmp_path: Path, place: Moody) -> World:
    return World(tmp_path, {"main": place})


@pytest.fixture
def duties(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Duties]:
    monkeypatch.setattr(logging.getLogger("vaultd"), "propagate", True)
    setup = Setup(world.config, world.source, world.targets, POD_KEY)
    stopping = threading.Event()
    with StateLock(tmp_path) as lock:
        turns = Turns(lock, stopping)
        yield Duties(setup, world.state, turns, Notifier({}), stopping)


def test_a_database_that_is_away_is_asked_ever_more_seldom(
    world: World, duties: Duties, caplog: pytest.LogCaptureFixture
) -> None:
    world.source.away = True
    with caplog.at_level(logging.INFO, "vaultd"):
        waits = [duties.back_up() for _ in range(4)]
        world.source.away = False
        assert duties.back_up() is None
    assert waits == [900, 1800, 3600, 3600]
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert errors[0].startswith("The database is away.")
    assert "(4 times in a row)" in errors[3]
    assert any(
        "The database works again, after it failed 4 times" in r.getMessage()
        for r in caplog.records
    )
    assert world.state.journal.results()[0].status == "written"


def test_a_target_is_asked_although_nothing_changed(
    world: World, duties: Duties, place: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    duties.back_up()
    place.away = True
    with caplog.at_level(logging.INFO, "vaultd"):
        assert duties.look() == 900
        assert duties.look() == 1800
        assert world.state.tallies.all()["main"].trouble == "It does not answer."
        place.away = False
        assert duties.look() is None
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "main: It does not answer. Next try in 15 min."
    assert said[-1] == "Target main works again, after it failed 2 times."
    assert world.state.tallies.all()["main"].trouble == ""


def test_a_daemon_that_is_restarted_often_comes_to_scrub() -> None:
    week = 7 * DAY
    assert until_scrub(None, week, NOON) == timedelta(hours=1)
    assert until_scrub(rfc3339(NOON - 2 * DAY), week, NOON) == 5 * DAY
    assert until_scrub(rfc3339(NOON - 9 * DAY), week, NOON) == timedelta(seconds=5)
    assert until_scrub(rfc3339(NOON + 90 * DAY), week, NOON) == week


def test_an_erasure_is_carried_out_although_nobody_is_enrolled_and_the_database_is_away(
    world: World, duties: Duties, place: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    duties.back_up()
    assert place.objects
    unenroll(world.state, "alice", ["main"], erase=True)
    world.source.away = True
    with caplog.at_level(logging.INFO, "vaultd"):
        duties.back_up()
    assert not place.objects
    assert "main: an old vault of alice was erased." in [r.getMessage() for r in caplog.records]


def test_who_signed_up_is_enrolled_and_backed_up_or_told(
    world: World, duties: Duties, place: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    world._add("bob")
    with caplog.at_level(logging.INFO, "vaultd"):
        duties.back_up()
    assert "1 account of the pod is not backed up" in caplog.text
    recipient = Secrets.from_secret(b"the podmin's key").recipient
    (world.folder / "recovery.recipient").write_text(f"{recipient}\n")
    duties._welcome_at = 0.0
    with caplog.at_level(logging.INFO, "vaultd"):
        duties.back_up()
    assert "1 account enrolled by policy." in caplog.text
    assert {result.username for result in world.state.journal.results()} == {"alice", "bob"}
