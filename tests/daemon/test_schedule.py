"""Who is due when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vaultd.clock import rfc3339
from vaultd.daemon.schedule import due, latest_slot, tick
from vaultd.state.journal import AccountResult

DAY = timedelta(days=1)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def result(name: str, at: datetime, status: str = "written") -> dict[str, AccountResult]:
    return {name: AccountResult(name, status, "", rfc3339(at))}


@given(st.text(), st.integers(60, 30 * 86400), st.datetimes(timezones=st.just(UTC)))
def test_a_slot_lies_within_the_last_period_and_comes_back_every_period(
    name: str, seconds: int, at: datetime
) -> None:
    period = timedelta(seconds=seconds)
    slot = latest_slot(name, period, at)
    assert timedelta() <= at - slot <= period
    if at.year < 9990:
        assert abs(latest_slot(name, period, at + period) - slot - period) < timedelta(seconds=1)


def test_accounts_are_spread_over_the_period() -> None:
    hours = [0] * 24
    for number in range(2400):
        hours[latest_slot(f"user{number}", DAY, NOON).hour] += 1
    assert min(hours) > 60
    assert max(hours) < 140


def test_every_account_is_due_once_in_a_period() -> None:
    names = [f"user{number}" for number in range(50)]
    last = {name: result(name, NOON)[name] for name in names}
    seen: list[str] = []
    for step in range(1, 97):
        at = NOON + step * DAY / 96
        for name in due(names, last, DAY, at):
            seen.append(name)
            last.update(result(name, at))
    assert sorted(seen) == sorted(names)


def test_a_slot_missed_while_the_daemon_was_down_is_caught_up_once() -> None:
    last = result("alice", NOON - 10 * DAY)
    assert due(["alice"], last, DAY, NOON) == ["alice"]
    assert due(["alice"], result("alice", NOON), DAY, NOON) == []


def test_new_accounts_are_due_at_once_and_failed_ones_after_a_while() -> None:
    assert due(["alice"], {}, DAY, NOON) == ["alice"]
    slot = latest_slot("alice", DAY, NOON)
    failed = result("alice", slot + timedelta(seconds=1), "failed")
    assert due(["alice"], failed, DAY, slot + timedelta(minutes=30)) == []
    assert due(["alice"], failed, DAY, slot + timedelta(minutes=61)) == ["alice"]


def test_a_clock_that_was_set_back_stops_no_backup() -> None:
    assert due(["alice"], result("alice", NOON + 300 * DAY), DAY, NOON) == ["alice"]


def test_ticks_are_neither_too_fast_nor_too_slow() -> None:
    assert tick(timedelta(minutes=1)) == timedelta(seconds=5)
    assert tick(timedelta(hours=12)) == timedelta(minutes=7, seconds=30)
    assert tick(30 * DAY) == timedelta(minutes=15)
