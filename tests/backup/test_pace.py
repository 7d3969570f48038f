"""The rate of uploads: one for all of a run, however many go at once."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.backup.pace import PAUSED, Pace, wait_for_quiet


@given(st.integers(1, 10**7), st.lists(st.integers(1, 300_000), min_size=1, max_size=8))
def test_streams_side_by_side_take_together_what_the_rate_asks_for(
    rate: int, sizes: list[int]
) -> None:
    slept: list[float] = []
    pace = Pace(rate, clock=lambda: 0.0, sleep=slept.append)
    streams = [pace.stream(io.BytesIO(bytes(size))) for size in sizes]
    passed = 0
    while streams:
        for stream in list(streams):
            data = stream.read(1 << 20)
            passed += len(data)
            if not data:
                streams.remove(stream)
    assert passed == sum(sizes)
    assert max(slept) == slept[-1]
    assert abs(slept[-1] - passed / rate) < 1e-6 * passed / rate


def test_a_slow_rate_is_served_in_small_pieces() -> None:
    pace = Pace(50_000, sleep=lambda _: None)
    assert len(pace.stream(io.BytesIO(bytes(10**6))).read(1 << 20)) == 50_000 // 16


def test_no_rate_costs_nothing() -> None:
    data = io.BytesIO(b"x")
    assert Pace(0).stream(data) is data


def test_a_run_that_waits_says_once_for_what(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / PAUSED).touch()
    loads, naps = [9.0, 9.0, 0.0], iter(range(9))

    def nap(_: float) -> None:
        if next(naps) == 2:
            (tmp_path / PAUSED).unlink()

    wait_for_quiet(2.0, tmp_path, lambda: False, load=lambda: loads.pop(0), sleep=nap)
    assert [record.getMessage() for record in caplog.records] == [
        "Waiting: `vaultd pause` was said; `vaultd resume` lets the run go on.",
        "Waiting: The load average is above limits.max_load (2).",
    ]


def test_a_run_that_need_not_wait_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wait_for_quiet(0.0, tmp_path, lambda: False)
    assert not caplog.records
