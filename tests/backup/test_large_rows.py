"""Rows are read in bounded bytes: 150 private messages of 5 MB take no gigabyte of memory."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from vaultd.demo.pod import POD_URL
from vaultd.demo.schema import create_schema
from vaultd.demo.world import World
from vaultd.sources.diaspora.database import open_engine

_FILLED = {
    "postgresql": "repeat(md5(CAST(id AS text)), {} / 32)",
    "sqlite": "substr(replace(hex(zeroblob({} / 2 + 1)), '0', 'y'), 1, {})",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'pod.sqlite3'}"
    return str(request.getfixturevalue("postgres_url"))


def _pod(url: str, folder: Path, messages: int, size: int) -> None:
    (folder / "images").mkdir()
    engine = create_engine(url) if url.startswith("sqlite") else open_engine(url)
    world = World(create_schema(engine, "0.9"), random.Random(1), folder / "images", POD_URL)
    users = [world.local(f"user{number}", "User", str(number)) for number in range(2)]
    world.conversation(users[0].person, [users[1].person], messages)
    world.flush(engine)
    with engine.begin() as connection:
        filled = _FILLED[engine.dialect.name].format(size, size)
        connection.execute(text(f"UPDATE messages SET text = {filled}"))
    engine.dispose()


def _peak(url: str, folder: Path) -> tuple[list[str], int]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.backup.large_rows_process", url, str(folder)],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    told, peak = done.stdout.splitlines()
    return told.split(), int(peak)


def test_150_messages_of_5_megabytes_take_little_memory(url: str, tmp_path: Path) -> None:
    _pod(url, tmp_path, 150, 5_000_000)
    (status, records, notes, *_), peak = _peak(url, tmp_path)
    assert (status, notes) == ("written", "0")
    assert int(records) > 150
    assert peak < 400 * 1024


def test_messages_that_no_record_can_hold_are_left_out_and_named(url: str, tmp_path: Path) -> None:
    _pod(url, tmp_path, 10, 40_000_000)
    (status, records, notes, *words), peak = _peak(url, tmp_path)
    assert (status, notes) == ("written", "10")
    assert int(records) < 20
    assert "message record cannot be stored (A value of 40,000,000 bytes" in " ".join(words)
    assert peak < 400 * 1024
