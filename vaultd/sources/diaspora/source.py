"""DiasporaSource: a pod's database as a source of accounts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Final

from sqlalchemy import Connection, Engine, false, func, select

from vaultd.sources.base import Changes, SourceAccount, SourceInfo
from vaultd.sources.diaspora.batch import CHUNK, Batch, Row
from vaultd.sources.diaspora.changes.candidates import ChangeFinder
from vaultd.sources.diaspora.changes.fingerprints import Fingerprints
from vaultd.sources.diaspora.changes.hashing import hasher_of
from vaultd.sources.diaspora.changes.write_position import moment
from vaultd.sources.diaspora.database import STREAM, once_more, open_engine, snapshot
from vaultd.sources.diaspora.limits import Limits, Pace
from vaultd.sources.diaspora.records.account import read_accounts
from vaultd.sources.diaspora.records.activity import read_activity
from vaultd.sources.diaspora.records.conversations import read_conversations
from vaultd.sources.diaspora.records.estimates import weights
from vaultd.sources.diaspora.records.graph import read_graph
from vaultd.sources.diaspora.records.packing import Item
from vaultd.sources.diaspora.records.people import read_people
from vaultd.sources.diaspora.records.posts import read_posts
from vaultd.sources.diaspora.records.received import LocalKeys, read_received
from vaultd.sources.diaspora.records.shared import read_shared
from vaultd.sources.diaspora.records.values import flag, text
from vaultd.sources.diaspora.schema import Schema
from vaultd.sources.diaspora.signs import Signs, signs

# A pipe or a device under a picture's name must not hold a run up; a link must not lead away.
_PICTURE: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class DiasporaSource:
    """Reads accounts from PostgreSQL, MySQL/MariaDB or SQLite; satisfies `Source`.

    `pod_url` is environment.url of the pod, `uploads` its `public/uploads` folder.
    """

    def __init__(
        self,
        database_url: str,
        pod_url: str,
        uploads: Path,
        *,
        statement_timeout: float = 0,
        lock_timeout: float = 0,
        rows_per_second: int = 0,
    ) -> None:
        """Prepare to read; nothing is opened yet. Raises DatabaseError for an unusable URL.

        The timeouts are in seconds (see Limits); `rows_per_second` holds `read` back. 0 is off.
        """
        self._engine = open_engine(database_url)
        self._limits = Limits(statement_timeout, lock_timeout)
        self._pace = Pace(rows_per_second)
        self._pod_url = pod_url
        self._images = uploads / "images"
        self._schema: Schema | None = None
        self._fingerprints: Fingerprints | None = None
        self._changes: ChangeFinder | None = None

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine (tests count its queries)."""
        return self._engine

    def _schema_of(self, connection: Connection) -> Schema:
        if self._schema is None:
            self._schema = Schema(connection)
        return self._schema

    @once_more
    def info(self) -> SourceInfo:
        """Describe engine, schema version and the release it means; raises DatabaseError."""
        with self._snapshot() as connection:
            self._schema = None
            schema = self._schema_of(connection)
            users = schema["users"]
            count = connection.execute(select(func.count()).select_from(users)).scalar() or 0
            version = ".".join(str(n) for n in self._engine.dialect.server_version_info or ())
            name = {"postgresql": "PostgreSQL", "mysql": "MySQL/MariaDB", "sqlite": "SQLite"}
            engine = f"{name.get(self._engine.dialect.name, self._engine.dialect.name)} {version}"
            return SourceInfo(engine.strip(), schema.version, schema.release, count)

    @once_more
    def signs(self) -> Signs:
        """Return what tells this pod from others; raises DatabaseError."""
        with self._snapshot() as connection:
            return signs(connection, self._schema_of(connection))

    def accounts(self, usernames: Sequence[str] | None = None) -> list[SourceAccount]:
        """Return these accounts, or all, in the order of their ids; raises DatabaseError."""
        with self._snapshot() as connection:
            schema = self._schema_of(connection)
            users, people, profiles = schema["users"], schema["people"], schema["profiles"]
            query = (
                select(
                    users.c.id,
                    users.c.username,
                    users.c.locked_at,
                    people.c.diaspora_handle,
                    people.c.guid,
                    people.c.serialized_public_key,
                    people.c.closed_account,
                    profiles.c.id.label("profile"),
                )
                .outerjoin(people, people.c.owner_id == users.c.id)
                .outerjoin(profiles, profiles.c.person_id == people.c.id)
                .order_by(users.c.id)
            )
            if usernames is not None:
                parts = [usernames[i : i + CHUNK] for i in range(0, len(usernames), CHUNK)]
                queries = [query.where(users.c.username.in_(part)) for part in parts]
            else:
                queries = [query]
            found: dict[int, SourceAccount] = {}
            for each in queries:
                for row in connection.execute(each).mappings():
                    found.setdefault(row["id"], _account(dict(row)))
            if usernames is None:
                return list(found.values())
            # Old pods have capitals in names, and MySQL compares without regard to them.
            exact = set(usernames)
            return [account for account in found.values() if account.username in exact]

    def open_accounts(self) -> dict[str, str]:
        """Return guid and username of every open account; see Source. Raises DatabaseError."""
        with self._snapshot() as connection:
            schema = self._schema_of(connection)
            users, people, profiles = schema["users"], schema["people"], schema["profiles"]
            query = (
                select(people.c.guid, users.c.username)
                .join(people, people.c.owner_id == users.c.id)
                .join(profiles, profiles.c.person_id == people.c.id)
                .where(func.coalesce(people.c.closed_account, false()) == false())
                .where(people.c.diaspora_handle.is_not(None))
            )
            return {text(guid): text(name) for guid, name in connection.execute(query)}

    def read(self, accounts: Sequence[SourceAccount]) -> Iterator[Item]:
        """Yield the records of a batch; see Source.read."""
        with self._snapshot() as connection:
            schema = self._schema_of(connection)
            batch = Batch(connection, schema, accounts, self._pod_url, self._pace)
            keys = LocalKeys(self._private_keys)
            yield from read_accounts(batch)
            yield from read_graph(batch)
            yield from read_posts(batch)
            yield from read_activity(batch)
            yield from read_received(batch, keys)
            yield from read_conversations(batch)
            yield from read_shared(batch)
            yield from read_people(batch)

    @once_more
    def weights(self, accounts: Sequence[SourceAccount]) -> dict[int, int]:
        """Return a rough number of records per account key; raises DatabaseError."""
        with self._snapshot() as connection:
            return weights(connection, self._schema_of(connection), accounts)

    @once_more
    def fingerprints(self, accounts: Sequence[SourceAccount]) -> dict[int, bytes]:
        """Return 16 bytes per account key; see Source.fingerprints. Raises DatabaseError."""
        with self._snapshot() as connection:
            schema = self._schema_of(connection)
            if self._fingerprints is None or self._fingerprints.schema is not schema:
                self._fingerprints = Fingerprints(schema, connection, self._pod_url)
            return self._fingerprints.of(connection, accounts)

    @once_more
    def changes(self, since: bytes | None) -> Changes:
        """Tell whose fingerprints may have changed; see Source.changes. Raises DatabaseError."""
        with self._snapshot() as connection:
            schema = self._schema_of(connection)
            if self._changes is None or self._changes.schema is not schema:
                hasher = hasher_of(schema, connection)
                self._changes = ChangeFinder(schema, self._pod_url, hasher)
            return self._changes.changes(connection, since)

    @once_more
    def moment(self) -> bytes | None:
        """Return what no write leaves as it was; see Source.moment. Raises DatabaseError."""
        with self._snapshot() as connection:
            return moment(connection)

    @once_more
    def _private_keys(self, wanted: list[int]) -> dict[int, str]:
        # Signatures are made after the reading; a lone connection is enough.
        with self._snapshot() as connection:
            users = self._schema_of(connection)["users"]
            query = select(users.c.id, users.c.serialized_private_key).where(
                users.c.id.in_(wanted), users.c.serialized_private_key.is_not(None)
            )
            return {user: text(pem) for user, pem in connection.execute(query)}

    def _snapshot(self) -> AbstractContextManager[Connection]:
        return snapshot(self._engine, self._limits, self._pace.portion(STREAM))

    def open_file(self, name: str) -> BinaryIO:
        """Open a picture in `uploads/images`; raises OSError for links and what is no file."""
        if not name or name != Path(name).name or name.startswith(".") or "\0" in name:
            raise FileNotFoundError(f"{name[:80]!r} is no name of a picture")
        descriptor = os.open(self._images / name, _PICTURE)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
        raise FileNotFoundError(f"{name} is no file")


def _account(row: Row) -> SourceAccount:
    if row["diaspora_handle"] is None or row["profile"] is None:
        state = "incomplete"
    elif flag(row["closed_account"]):
        state = "closed"
    else:
        state = "active" if row["locked_at"] is None else "locked"
    return SourceAccount(
        row["id"],
        text(row["username"]),
        text(row["diaspora_handle"]),
        text(row["guid"]),
        text(row["serialized_public_key"]),
        state,
    )
