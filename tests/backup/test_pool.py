"""Workers: the same results whatever the interleaving, and a killed one costs its batch nothing."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from vaultd.backends.folder.backend import FolderBackend
from vaultd.backup.accounts.enroll import enroll
from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.report import AccountReport, RunReport
from vaultd.backup.run import run as run_module
from vaultd.backup.run.pool import Pool, open_pool
from vaultd.backup.run.run import run_backup
from vaultd.config import Config, build
from vaultd.demo.schema import create_schema
from vaultd.demo.world import World
from vaultd.errors import DatabaseError
from vaultd.keys import PodKey, Recipient, Secrets
from vaultd.restore.snapshot import Snapshot, open_with_kit
from vaultd.restore.verify import verify_place
from vaultd.state.store import State

ACCOUNTS = 24


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pool")
    engine = create_engine(f"sqlite:///{folder / 'pod.sqlite3'}")
    images = folder / "uploads" / "images"
    images.mkdir(parents=True)
    world = World(create_schema(engine, "0.9"), random.Random(2), images, "https://pod.example")
    for number in range(ACCOUNTS):
        user = world.local(f"user{number:02d}", "Some", "Body")
        for turn in range(number):
            world.post(user, f"{turn} by {number}", public=True)
    world.flush(engine)
    engine.dispose()
    return folder


def _config(database: Path, folder: Path, workers: int) -> Config:
    for name in ("state", "vaults"):
        (folder / name).mkdir(parents=True)
    return build(
        {
            "pod": {
                "url": "https://pod.example",
                "database": f"sqlite:///{database / 'pod.sqlite3'}",
                "uploads": str(database / "uploads"),
            },
            "state": {"path": str(folder / "state")},
            "targets": {"main": {"url": (folder / "vaults").as_uri()}},
            "limits": {"workers": workers, "batch_accounts": 3},
        },
        {},
    )


def _secrets(name: str) -> Secrets:
    return Secrets.from_secret(name.encode().ljust(16, b"."))


def _run(config: Config, pool: Pool | None, **more: object) -> RunReport:
    state_path = Path(config.state.path)
    state, source = State(state_path), open_source(config)
    key = PodKey.load_or_create(state_path / "pod.key")
    if not state.usernames():
        for account in source.accounts():
            recipient = str(_secrets(account.username).recipient)
            enroll(state, source, account.username, Recipient.parse(recipient))
    return run_backup(config, state, source, open_targets(config), key, pool=pool, **more)  # type: ignore[arg-type]


def _content(config: Config) -> dict[str, list[str]]:
    place = FolderBackend(Path(config.targets["main"].url.removeprefix("file://")))
    pod = PodKey.load(Path(config.state.path) / "pod.key").public
    found = {}
    for number in range(ACCOUNTS):
        name = f"user{number:02d}"
        vault = open_with_kit(place, _secrets(name), [pod])
        records = Snapshot(vault, vault.at(None)).records()
        # Pictures are named with a key that each enrolment has of its own.
        found[name] = sorted(
            json.dumps([r.kind, r.id, {**(r.body or {}), "blob": None}], sort_keys=True)
            for r in records
        )
    return found


@pytest.fixture(autouse=True)
def _always_worth_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "_WORTH_A_POOL", 1)


def test_with_and_without_workers_the_vaults_hold_the_same(database: Path, tmp_path: Path) -> None:
    alone = _config(database, tmp_path / "alone", 1)
    with open_pool(alone) as pool:
        first = _run(alone, pool)
        assert not pool._all
    many = _config(database, tmp_path / "many", 3)
    with open_pool(many) as pool:
        second = _run(many, pool)
        again = _run(many, pool)
    told = [
        sorted((a.username, a.status.value, a.records) for a in report.accounts)
        for report in (first, second)
    ]
    assert told[0] == told[1]
    assert not again.changed
    assert _content(many) == _content(alone)


def test_a_killed_worker_costs_nothing(database: Path, tmp_path: Path) -> None:
    config = _config(database, tmp_path, 2)
    killed = []

    def kill_one(_: AccountReport) -> None:
        if not killed:
            killed.append(pool._all[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    with open_pool(config) as pool:
        report = _run(config, pool, on_progress=kill_one)
    assert killed
    assert report.looked_at == ACCOUNTS
    assert not report.failed
    place = FolderBackend(tmp_path / "vaults")
    assert verify_place(place).problems == []
    with open_pool(config) as pool:
        assert not _run(config, pool).changed


def test_a_database_that_goes_away_ends_the_run(database: Path, tmp_path: Path) -> None:
    config = _config(database, tmp_path, 2)
    with open_pool(config) as pool:
        _run(config, pool)
        moved = database / "moved.sqlite3"
        (database / "pod.sqlite3").rename(moved)
        try:
            with pytest.raises(DatabaseError):
                _run(config, pool)
        finally:
            moved.rename(database / "pod.sqlite3")
