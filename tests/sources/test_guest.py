"""The source as a guest: waits end with a clear sentence, and reading keeps to its pace."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from vaultd.demo.pod import POD_URL
from vaultd.demo.schema import create_schema
from vaultd.demo.world import World
from vaultd.errors import DatabaseError
from vaultd.sources.base import singly
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora import limits as guest
from vaultd.sources.diaspora.database import open_engine, snapshot
from vaultd.sources.diaspora.limits import Limits, Pace

_LOCK = {
    "postgresql": "LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
    "mysql": "LOCK TABLES users WRITE",
    "sqlite": "BEGIN EXCLUSIVE",
}
_SLEEP = {"postgresql": "SELECT pg_sleep(30)", "mysql": "SELECT SLEEP(30)"}


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'pod.sqlite3'}"
    else:
        name = {"postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]
        url = str(request.getfixturevalue(name))
    engine = _writable(url)
    world = World(create_schema(engine, "0.9"), random.Random(1), tmp_path, POD_URL)
    user = world.local("ada", "Ada", "A")
    for number in range(30):
        world.post(user, f"Post {number}", public=True)
    world.flush(engine)
    engine.dispose()
    return url


def _writable(url: str) -> Engine:
    return create_engine(url) if url.startswith("sqlite") else open_engine(url)


def test_a_lock_of_another_connection_ends_in_a_clear_error(url: str, tmp_path: Path) -> None:
    source = DiasporaSource(url, POD_URL, tmp_path, lock_timeout=0.2)
    accounts = source.accounts()
    other = _writable(url)
    with other.connect() as connection:
        connection.execute(text(_LOCK[other.dialect.name]))
        with pytest.raises(DatabaseError, match=r"keeps a table locked.* 0\.2 s in vain") as caught:
            list(singly(source.read(accounts)))
        assert caught.value.exit_code == 6
        with pytest.raises(DatabaseError, match="keeps a table locked"):
            source.fingerprints(accounts)
    other.dispose()
    assert len(list(singly(source.read(accounts)))) > 30


def test_a_slow_statement_ends_in_a_clear_error(url: str) -> None:
    engine = open_engine(url)
    if engine.dialect.name not in _SLEEP:
        pytest.skip("SQLite has no statement timeout")
    with (
        pytest.raises(DatabaseError, match=r"one question took longer than the 0\.2 s"),
        snapshot(engine, Limits(statement=0.2)) as connection,
    ):
        connection.execute(text(_SLEEP[engine.dialect.name])).all()


def test_limits_that_nothing_strikes_change_nothing(url: str, tmp_path: Path) -> None:
    plain = DiasporaSource(url, POD_URL, tmp_path)
    limited = DiasporaSource(url, POD_URL, tmp_path, statement_timeout=60, lock_timeout=60)
    assert [r for _, r in plain.read(plain.accounts())] == [
        r for _, r in limited.read(limited.accounts())
    ]


class _Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(guest, "time", clock)
    return clock


def test_pace_sleeps_so_that_the_rate_holds(clock: _Clock) -> None:
    pace = Pace(100)
    assert pace.portion(2000) == 25
    for _ in range(8):
        pace.passed(25)
    assert clock.now == pytest.approx(102)
    clock.now += 50  # a pause is not made up for by haste
    pace.passed(25)
    assert clock.now == pytest.approx(152.25)
    assert Pace(1).portion(2000) == 1
    assert Pace().portion(2000) == 2000
    Pace().passed(10**9)
    assert len(clock.slept) == 9


def test_reading_keeps_to_the_pace(url: str, tmp_path: Path, clock: _Clock) -> None:
    fast = DiasporaSource(url, POD_URL, tmp_path)
    expected = [record for _, record in singly(fast.read(fast.accounts()))]
    assert not clock.slept
    slow = DiasporaSource(url, POD_URL, tmp_path, rows_per_second=8)
    assert [record for _, record in singly(slow.read(slow.accounts()))] == expected
    assert sum(clock.slept) >= 30 / 8
    assert max(clock.slept) <= 0.25


@pytest.mark.parametrize("table, column", [
    ("posts", "created_at"), ("users", "created_at"), ("users", "locked_at"),
    ("profiles", "birthday"), ("people", "created_at"), ("aspects", "created_at"),
])  # fmt: skip
@pytest.mark.parametrize("nonsense", ["yesterday", "", "0000-00-00 00:00:00", "2020-13-45", 17])
def test_nonsensical_dates_are_read_as_they_are(
    tmp_path: Path, table: str, column: str, nonsense: Any
) -> None:
    path = tmp_path / "pod.sqlite3"
    engine = create_engine(f"sqlite:///{path}")
    world = World(create_schema(engine, "0.9"), random.Random(1), tmp_path, POD_URL)
    world.post(world.local("ada", "Ada", "A"), "Hello", public=True)
    world.flush(engine)
    engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {table} SET {column} = ?", (nonsense,))
    source = DiasporaSource(f"sqlite:///{path}", POD_URL, tmp_path)
    records = [record for _, record in singly(source.read(source.accounts()))]
    if column != "locked_at" and nonsense:
        assert str(nonsense)[:10] in str(records)
    assert source.fingerprints(source.accounts())
