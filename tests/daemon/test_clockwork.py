"""Jobs come in time whatever somebody does to the clock on the wall."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from vaultd.daemon.clockwork import Clockwork
from vaultd.daemon.patience import Patience


def test_a_job_is_done_again_and_again_and_at_its_own_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    done, enough = [], threading.Event()

    def job() -> float | None:
        done.append(datetime.now(UTC))
        # What the wall clock says while it runs is nobody's business here.
        monkeypatch.setattr(time, "time", lambda: 0.0)
        if len(done) == 4:
            enough.set()
        return 0.0 if len(done) < 3 else None

    work = Clockwork()
    work.add("job", 0.01, job)
    work.start()
    assert enough.wait(10)
    work.end()


def test_a_job_asked_for_while_it_is_done_is_done_once_more() -> None:
    work, started, go, again = Clockwork(), threading.Event(), threading.Event(), threading.Event()

    def job() -> None:
        if started.is_set():
            again.set()
        started.set()
        assert go.wait(10)

    work.add("job", 3600, job)
    work.start()
    assert started.wait(10)
    work.soon("job")
    go.set()
    assert again.wait(10)
    work.end()


def test_a_clock_set_back_by_ten_days_delays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Semaphore(0)
    work = Clockwork()
    work.add("job", 0.02, done.release)
    work.start()
    assert done.acquire(timeout=10)
    real = datetime.now(UTC)

    class _Back(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            wall = (real - timedelta(days=10)).replace(tzinfo=tz)
            return wall if tz is None else tz.fromutc(wall)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", _Back)
    for _ in range(3):
        assert done.acquire(timeout=10)
    work.end()


def test_a_new_rhythm_counts_from_now_and_the_same_one_changes_nothing() -> None:
    at = [0.0]
    work = Clockwork(lambda: at[0])
    work.add("job", 100, lambda: None, after=100)
    at[0] = 99
    work.change("job", 100)
    assert work.due_in("job") == 1
    work.change("job", 10)
    assert work.due_in("job") == 10


def test_what_stays_away_is_asked_ever_more_seldom_and_told_with_a_count(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("vaultd"), "propagate", True)
    patience = Patience("The database")
    with caplog.at_level(logging.INFO, "vaultd"):
        waits = [patience.failed("It is away.", 5) for _ in range(12)]
        patience.worked()
        patience.worked()
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == 3600
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "It is away. Next try in 5 s."
    assert lines[1] == "It is away. (2 times in a row) Next try in 10 s."
    assert lines[12:] == ["The database works again, after it failed 12 times."]
