"""A year of a lively account: what is stored after every night, and what a restore costs then."""

from __future__ import annotations

import random
import tempfile
import time
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import create_engine, text

from bench.exports import open_account, secret_of
from bench.pod import POD_URL
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backup.accounts.enroll import enroll
from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.run.run import run_backup
from vaultd.config import Config, build
from vaultd.demo.schema import create_schema
from vaultd.demo.texts import REPLIES, SENTENCES
from vaultd.demo.world import World
from vaultd.keys import PodKey, Recipient, Secrets
from vaultd.restore.records_out import write_records
from vaultd.state.store import State

_START = datetime(2026, 1, 1, 3, tzinfo=UTC)
_KEY = PodKey(bytes(32))
_NAME = "lively"


class Lively:
    """A SQLite pod with one account that had a life before, and has one every day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rng = random.Random(3)
        self.url = f"sqlite:///{folder / 'pod.sqlite3'}"
        self.engine = create_engine(self.url)
        (folder / "uploads" / "images").mkdir(parents=True)
        schema = create_schema(self.engine, "0.9")
        self.world = World(schema, self.rng, folder / "uploads" / "images", POD_URL)
        self.world.pod("friendly.example", 1)
        self.user = self.world.local(_NAME, "Lively", "Writer")
        for number in range(30):
            self.world.remote(f"f{number}", "friendly.example", "A", "Friend", closed=False)
        for _ in range(400):
            self.write()
        self.world.flush(self.engine)
        self.posts = 400

    def write(self) -> None:
        """A post with two comments by friends."""
        words = " ".join(self.rng.choices(SENTENCES, k=4)) + f" {self.rng.getrandbits(80):x}"
        post = self.world.post(self.user, words, public=True)
        for _ in range(2):
            self.world.comment(self.rng.choice(self.world.remotes), post, self.rng.choice(REPLIES))

    def day(self) -> None:
        """One to five posts; one in three days an edited profile, one in five a deleted post."""
        before = {name: len(rows) for name, rows in self.world.rows.items()}
        for _ in range(self.rng.randint(1, 5)):
            self.write()
        with self.engine.begin() as connection:
            for table in self.world.metadata.sorted_tables:
                rows = self.world.rows.get(table.name, [])[before.get(table.name, 0) :]
                if rows:
                    connection.execute(table.insert(), rows)
            if not self.rng.randrange(3):
                bio = f"bio {self.rng.getrandbits(60):x}"
                connection.execute(text("UPDATE profiles SET bio = :bio"), {"bio": bio})
            if not self.rng.randrange(5):
                connection.execute(
                    text("DELETE FROM posts WHERE id = (SELECT min(id) + :n FROM posts)"),
                    {"n": self.rng.randrange(50)},
                )

    def config(self, name: str) -> Config:
        """Return a configuration with a state and a target of its own."""
        for part in ("state", "vaults"):
            (self.folder / name / part).mkdir(parents=True)
        return build(
            {
                "pod": {
                    "url": POD_URL,
                    "database": self.url,
                    "uploads": str(self.folder / "uploads"),
                },
                "state": {"path": str(self.folder / name / "state")},
                "targets": {"main": {"url": (self.folder / name / "vaults").as_uri()}},
            },
            {},
        )


def _backup(config: Config) -> None:
    state, source = State(Path(config.state.path)), open_source(config)
    if not state.usernames():
        recipient = Secrets.from_secret(secret_of(_NAME)).recipient
        enroll(state, source, _NAME, Recipient.parse(str(recipient)))
    report = run_backup(config, state, source, open_targets(config), _KEY)
    if report.failed:
        raise RuntimeError(report.failed[0].reason)


def _stored(folder: Path) -> tuple[int, int]:
    items = list(FolderBackend(folder).list())
    return sum(item.size for item in items), len(items)


def _restore(vaults: Path, scratch: Path) -> float:
    """Return the median of five restores to records, in seconds."""
    taken = []
    for _ in range(5):
        out = Path(tempfile.mkdtemp(dir=scratch))
        begun = time.perf_counter()
        write_records(open_account(vaults, _KEY.public, _NAME), out)
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[2]


def year(days: int) -> dict[str, object]:
    """Return stored bytes by day, those of one fresh full, and the time of restores from both."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pod = Lively(folder)
        config = pod.config("nightly")
        vaults = folder / "nightly" / "vaults"
        stored = []
        begun = time.perf_counter()
        with patch("vaultd.clock.datetime", _Clock):
            for day in range(days):
                _Clock.at = _START + timedelta(days=day)
                _backup(config)
                stored.append(_stored(vaults)[0])
                pod.day()
            _Clock.at = _START + timedelta(days=days)
            _backup(config)
            nights = time.perf_counter() - begun
            fresh = pod.config("fresh")
            _backup(fresh)
        full, _ = _stored(folder / "fresh" / "vaults")
        newest, objects = _stored(vaults)
        snapshot = open_account(vaults, _KEY.public, _NAME)
        return {
            "days": days,
            "stored": [*stored, newest],
            "fresh": full,
            "objects": objects,
            "opened": len(snapshot.manifest.archives) + 1,
            "records": sum(snapshot.manifest.counts.values()),
            "night": nights / days,
            "restore": _restore(vaults, folder),
            "restore_fresh": _restore(folder / "fresh" / "vaults", folder),
        }


class _Clock(datetime):
    """Tells the time that the bench is at."""

    at = _START

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return cls.at.astimezone(tz)
