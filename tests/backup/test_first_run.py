"""A first run that is stopped or killed: every finished account is kept, every restart gets on."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from vaultd.backends.folder.backend import FolderBackend
from vaultd.backup.accounts.enroll import enroll
from vaultd.backup.checks.checks import open_source
from vaultd.config import load
from vaultd.demo.schema import create_schema
from vaultd.demo.world import World
from vaultd.errors import LockedError
from vaultd.keys import PodKey, Secrets
from vaultd.restore.verify import verify_place
from vaultd.state.lock import StateLock
from vaultd.state.store import State
from vaultd.vault.layout import parse_archive_name

ACCOUNTS = 210  # enough for workers


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pod of many accounts, none of them backed up yet."""
    tmp_path = tmp_path_factory.mktemp("first-run")
    engine = create_engine(f"sqlite:///{tmp_path / 'pod.sqlite3'}")
    images = tmp_path / "uploads" / "images"
    images.mkdir(parents=True)
    world = World(create_schema(engine, "0.9"), random.Random(4), images, "https://pod.example")
    for number in range(ACCOUNTS):
        user = world.local(f"user{number:03d}", "Some", "Body")
        for turn in range(6):
            world.post(user, f"{turn} by {number}", public=True)
    world.flush(engine)
    engine.dispose()
    for name in ("state", "vaults"):
        (tmp_path / name).mkdir(mode=0o700)
    config = _configure(tmp_path)
    state = State(tmp_path / "state")
    PodKey.load_or_create(tmp_path / "state" / "pod.key")
    source = open_source(load(config, {}))
    for account in source.accounts():
        secrets = Secrets.from_secret(account.username.encode().ljust(16, b"."))
        enroll(state, source, account.username, secrets.recipient)
    state.close()
    return tmp_path


def _configure(folder: Path) -> Path:
    config = folder / "config.toml"
    config.write_text(
        f"""
[pod]
url = "https://pod.example"
database = "sqlite:///{folder / "pod.sqlite3"}"
uploads = "{folder / "uploads"}"
[state]
path = "{folder / "state"}"
[targets.main]
url = "{(folder / "vaults").as_uri()}"
"""
    )
    return config


@pytest.fixture
def pod(made: Path, tmp_path: Path) -> Path:
    """A copy of it; returns its config."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return _configure(tmp_path)


class Run:
    """`vaultd backup` in a process group of its own; `until` reads its progress."""

    def __init__(self, config: Path, workers: int) -> None:
        self.out = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by end
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vaultd", "backup", "--progress", "json", "--json",
             "--config", str(config)],
            stdout=self.out, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**os.environ, "VAULTD_LIMITS_WORKERS": str(workers)},
        )  # fmt: skip

    def until(self, enough: Callable[[dict[str, float]], bool]) -> dict[str, float] | None:
        """Return the first line of progress that is enough; None where the run ended before."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{") and enough(told := json.loads(line)):
                return dict(told)
        return None

    def kill(self) -> None:
        """End it as a machine that loses power would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self) -> dict[str, int]:
        self.process.communicate()
        self.out.seek(0)
        with self.out:
            return dict(json.load(self.out))


def _archives(config: Path) -> int:
    names = (item.name for item in FolderBackend(config.parent / "vaults").list())
    return sum(parse_archive_name(name) is not None for name in names)


@pytest.mark.parametrize("workers", [1, 2])
def test_each_restart_of_a_run_that_is_killed_again_and_again_makes_progress(
    pod: Path, workers: int
) -> None:
    before, kills = 0, 0
    while True:
        run = Run(pod, workers)
        told = run.until(lambda line, least=before: line["accounts"] > least + 25)  # type: ignore[misc]
        if told is None:
            document = run.end()
            break
        run.kill()
        kills += 1
        there = _archives(pod)
        assert there >= told["accounts"] > before
        before = int(told["accounts"])
    assert kills >= 3
    assert document["failed"] == 0
    assert document["looked_at"] == ACCOUNTS
    # What a kill interrupted was not stored a second time.
    assert _archives(pod) == ACCOUNTS
    assert verify_place(FolderBackend(pod.parent / "vaults")).problems == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_keeps_what_is_finished_and_ends_soon(
    pod: Path, workers: int, number: signal.Signals
) -> None:
    run = Run(pod, workers)
    told = run.until(lambda line: line["accounts"] > 0)
    assert told is not None
    begun = time.monotonic()
    run.process.send_signal(number)
    document = run.end()
    assert time.monotonic() - begun < 30  # it takes a second where the machine is idle
    assert run.process.returncode == 130
    assert document["interrupted"]
    assert told["accounts"] <= document["changed"] < ACCOUNTS
    assert document["failed"] == 0
    assert _archives(pod) == document["changed"]
    again = Run(pod, workers).end()
    assert (again["changed"], again["failed"]) == (ACCOUNTS - document["changed"], 0)


def test_progress_comes_from_the_first_moment_on_and_counts_records(pod: Path) -> None:
    run = Run(pod, 1)
    first = run.until(lambda _: True)
    assert first is not None
    assert (first["accounts"], first["of"], first["read"]) == (0, ACCOUNTS, 0)
    reading = run.until(lambda line: line["read"] > 0)
    assert reading is not None
    assert reading["to_read"] >= ACCOUNTS * 50
    last: dict[str, float] = {}
    run.until(lambda line: bool(last.update(line)))
    run.end()
    assert last["accounts"] == last["of"] == ACCOUNTS
    assert last["seconds_left"] == 0
    assert last["read"] >= last["records"] > 0


def test_workers_whose_run_was_killed_end_soon_and_let_the_next_one_in(pod: Path) -> None:
    run = Run(pod, 2)
    assert run.until(lambda line: line["accounts"] > 0) is not None
    run.process.kill()
    run.process.communicate()
    deadline = time.monotonic() + 60
    while True:
        try:
            with StateLock(pod.parent / "state"):
                break
        except LockedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert Run(pod, 2).end()["failed"] == 0
