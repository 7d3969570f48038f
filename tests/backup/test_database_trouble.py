"""The database's trouble is no account's: what was read in such a moment is read again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest
from sqlalchemy import create_engine, text

from tests.backup.world import POD_KEY, Content, World
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.report import RunReport, Status
from vaultd.backup.run.run import run_backup
from vaultd.demo.pod import POD_URL
from vaultd.demo.schema import create_schema
from vaultd.demo.world import World as Life
from vaultd.errors import DatabaseError
from vaultd.keys import Secrets
from vaultd.restore.snapshot import Snapshot, open_with_kit
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora import DiasporaSource, database
from vaultd.sources.diaspora.database import open_engine
from vaultd.sources.diaspora.records.packing import Item

_SIGNED = ("received_comment", "received_like", "received_poll_vote")
SECRETS = Secrets.from_secret(b"a pod in trouble")


class TroubledSource(DiasporaSource):
    """A source that tells whether its rows are being read, and lets something happen on the way."""

    reading = False
    on_item: Callable[[int], None] = staticmethod(lambda _number: None)
    on_keys: Callable[[], None] = staticmethod(lambda: None)
    opened = 0

    def read(self, accounts: Sequence[SourceAccount]) -> Iterator[Item]:
        self.reading = True
        for number, item in enumerate(super().read(accounts)):
            self.on_item(number)
            yield item
        self.reading = False

    def _private_keys(self, wanted: list[int]) -> dict[int, str]:
        assert not self.reading, "a key was asked for while rows were coming"
        self.on_keys()
        return super()._private_keys(wanted)

    def open_file(self, name: str) -> BinaryIO:
        assert not self.reading, "a picture was opened while rows were coming"
        self.opened += 1
        return super().open_file(name)


class Pod:
    """A pod in a real database with `ada`, whom all others answered; she is enrolled."""

    def __init__(self, url: str, folder: Path, *, photos: int = 1) -> None:
        (folder / "images").mkdir()
        engine = create_engine(url) if url.startswith("sqlite") else open_engine(url)
        life = Life(create_schema(engine, "0.9"), random.Random(2), folder / "images", POD_URL)
        users = [life.local(f"user{number}", "User", str(number)) for number in range(4)]
        for _ in range(photos):
            post = life.post(users[0], "Hello", public=True, photos=1)
        for user in users[1:]:
            life.comment(user.person, post, "Hello too")
            life.like(user.person, post.id, post.guid, "Post", users[0].person)
        life.flush(engine)
        engine.dispose()
        self.world = World(folder / "state")
        self.state, self.memory = self.world.state, MemoryBackend()
        self.source = TroubledSource(url, POD_URL, folder)
        (account,) = self.source.accounts(["user0"])
        self.state.enroll(
            username="user0", guid=account.guid, handle=account.handle,
            recipient=str(SECRETS.recipient), vault_id=SECRETS.recipient.vault_id,
        )  # fmt: skip

    def run(self) -> RunReport:
        return run_backup(
            self.world.config, self.state, self.source, {"main": self.memory}, POD_KEY, ["user0"]
        )

    def restored(self) -> Content:
        vault = open_with_kit(self.memory, SECRETS, [])
        records = Snapshot(vault, vault.at(None)).records()
        return {(r.kind, r.id): r.body for r in records if r.body is not None}

    def unsigned(self) -> list[str]:
        received = [b for (kind, _), b in self.restored().items() if kind in _SIGNED]
        assert len(received) >= 6
        return [repr(body) for body in received if "author_signature" not in repr(body)]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'pod.sqlite3'}"
    name = {"postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]
    return str(request.getfixturevalue(name))


def test_neither_keys_nor_pictures_are_touched_while_rows_come(url: str, tmp_path: Path) -> None:
    pod = Pod(url, tmp_path, photos=520)
    (report,) = pod.run().accounts
    assert report.status is Status.WRITTEN, report
    assert not report.notes
    assert pod.source.opened > 520
    assert pod.unsigned() == []


def test_a_connection_killed_while_rows_come_is_made_again(url: str, tmp_path: Path) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite has no connection to kill")
    pod = Pod(url, tmp_path)
    whole = pod.source.read(pod.source.accounts(["user0"]))
    last = sum(1 for _ in whole) - 1
    killed: list[int] = []

    def kill(number: int) -> None:
        if number == last // 2 and not killed:
            killed.append(_kill_others(url))

    pod.source.on_item = kill
    (report,) = pod.run().accounts
    assert killed
    assert killed[0] >= 1
    assert report.status is Status.WRITTEN, report
    assert not report.notes
    assert pod.unsigned() == []


def _kill_others(url: str) -> int:
    engine = open_engine(url)
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            query = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            killed = len(connection.execute(text(query)).all())
        else:
            query = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
            numbers = [row[0] for row in connection.execute(text(query))]
            for number in numbers:
                connection.exec_driver_sql(f"KILL {number:d}")
            killed = len(numbers)
    engine.dispose()
    return killed


@pytest.mark.parametrize("times", [1, 9])
def test_keys_that_cannot_be_asked_for_are_never_a_full_success(tmp_path: Path, times: int) -> None:
    pod = Pod(f"sqlite:///{tmp_path / 'pod.sqlite3'}", tmp_path)
    left = [times]

    def fail() -> None:
        if left[0]:
            left[0] -= 1
            raise DatabaseError("The pod's database cannot be read: too many connections")

    pod.source.on_keys = fail
    (report,) = pod.run().accounts
    if times > 1:
        assert report.status is Status.FAILED
        assert "too many connections" in report.reason
        left[0] = 0
        (report,) = pod.run().accounts
    assert report.status is Status.WRITTEN
    assert pod.unsigned() == []


def test_one_connection_is_enough(postgres_url: str, tmp_path: Path) -> None:
    admin = open_engine(postgres_url)
    role = f"one_of_{admin.url.database}"
    pod = Pod(postgres_url, tmp_path)
    with admin.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1"))
        connection.execute(text(f"GRANT pg_read_all_data TO {role}"))
    admin.dispose()
    pod.source = TroubledSource(postgres_url.replace("postgres@", f"{role}@"), POD_URL, tmp_path)
    (report,) = pod.run().accounts
    assert report.status is Status.WRITTEN, report
    assert not report.notes
    assert pod.unsigned() == []


def test_a_server_that_is_full_for_a_moment_is_waited_for(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = open_engine(postgres_url)
    role = f"full_for_{admin.url.database}"
    Pod(postgres_url, tmp_path)
    with admin.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1"))
        connection.execute(text(f"GRANT pg_read_all_data TO {role}"))
    admin.dispose()
    url = postgres_url.replace("postgres@", f"{role}@")
    other = open_engine(url)
    taken = other.connect()
    waited: list[float] = []

    class Clock:
        @staticmethod
        def sleep(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 2:
                taken.close()
                other.dispose()

    monkeypatch.setattr(database, "time", Clock)
    assert DiasporaSource(url, POD_URL, tmp_path).info().accounts == 4
    assert len(waited) >= 2
