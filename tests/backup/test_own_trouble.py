"""How long a failing own target is left alone: growing, never for more than a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vaultd.backup.user_targets.failures import rests, rests_until
from vaultd.clock import rfc3339
from vaultd.state.own_targets import SealedTarget

TRIED = datetime(2026, 11, 24, 3, tzinfo=UTC)
times = st.timedeltas(timedelta(), timedelta(days=4000)).map(lambda t: t - t % timedelta(seconds=1))


def row(failing: timedelta | None, move: str) -> SealedTarget:
    since = None if failing is None else rfc3339(TRIED - failing)
    return SealedTarget(
        "g", "webdavs://h/x", False, b"", "", "", rfc3339(TRIED), "why", since, move
    )


@given(times, times, st.sampled_from(["wait", "fix"]))
def test_the_longer_it_fails_the_longer_it_rests_up_to_a_week(
    one: timedelta, other: timedelta, move: str
) -> None:
    short, long = (rests_until(row(t, move)) or TRIED for t in sorted((one, other)))
    assert TRIED <= short <= long < TRIED + timedelta(days=7)
    assert (rests_until(row(timedelta(), move))) is None


@given(times)
def test_what_somebody_has_to_mend_rests_at_least_as_long(failing: timedelta) -> None:
    wait, fix = (rests_until(row(failing, move)) or TRIED for move in ("wait", "fix"))
    assert wait <= fix


@given(times)
def test_alarms_and_what_works_never_rest(failing: timedelta) -> None:
    assert rests_until(row(failing, "alarm")) is None
    assert rests_until(row(None, "")) is None


def test_a_clock_that_was_set_back_makes_no_rest_longer() -> None:
    failing = row(timedelta(days=2), "wait")
    assert rests(failing, TRIED + timedelta(days=1))
    assert not rests(failing, TRIED + timedelta(days=2))
    assert not rests(failing, TRIED - timedelta(hours=1))
