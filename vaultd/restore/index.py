"""The joins of a restore (photos to posts, people to posts), on disk while it runs.

Records come in any order and an account may have any number of them, so what one record needs
to know of others lies in a scratch database, not in memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from vaultd.records import Body
from vaultd.restore.output.scratch import Sealer, scratch_database

_TABLES: Final = """
CREATE TABLE photo (guid TEXT, post TEXT, at TEXT, body BLOB);
CREATE TABLE person (handle TEXT PRIMARY KEY, guid TEXT, key TEXT, name TEXT, closed INTEGER,
                     pod TEXT);
CREATE TABLE tie (post TEXT, handle TEXT, UNIQUE (post, handle));
CREATE TABLE contact (handle TEXT PRIMARY KEY);
CREATE TABLE in_aspect (aspect TEXT, handle TEXT, UNIQUE (aspect, handle));
CREATE TABLE kept (kind TEXT, guid TEXT, UNIQUE (kind, guid));
CREATE TABLE author (handle TEXT PRIMARY KEY);
CREATE VIEW contact_host AS SELECT coalesce(
    person.pod, lower(substr(contact.handle, instr(contact.handle, '@') + 1))) AS host
    FROM contact LEFT JOIN person ON person.handle = contact.handle;
CREATE VIEW tie_host AS SELECT post, coalesce(
    person.pod, lower(substr(tie.handle, instr(tie.handle, '@') + 1))) AS host
    FROM tie LEFT JOIN person ON person.handle = tie.handle;
"""  # where the pod says somebody lives counts before what the diaspora* ID says


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """What the vault knows of somebody else."""

    guid: str | None
    public_key: str | None
    name: str | None
    closed: bool


class JoinIndex:
    """A scratch database; made by `scratch_index`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._run = database.execute
        self._sealer = Sealer()

    def add_photo(self, guid: str, post: str | None, at: str, body: Body) -> None:
        """Remember a photo for its post."""
        packed = self._sealer.seal(msgspec.msgpack.encode(body))
        self._run("INSERT INTO photo VALUES (?, ?, ?, ?)", (guid, post, at, packed))

    def photo_order_ready(self) -> None:
        """Say that all photos are in, before asking for them."""
        self._run("CREATE INDEX photo_post ON photo (post)")

    def photos(self, post: str) -> list[Body]:
        """Return a post's photo bodies, oldest first."""
        rows = self._run("SELECT body FROM photo WHERE post = ? ORDER BY at, rowid", (post,))
        return [msgspec.msgpack.decode(self._sealer.open(row[0]), type=dict) for row in rows]

    def photos_without_kept_post(self) -> Iterator[tuple[str, bool]]:
        """Yield `(guid, has a post)` of the photos no post in the archive carries."""
        yield from (
            (str(guid), post is not None)
            for guid, post in self._run(
                "SELECT guid, post FROM photo WHERE post IS NULL OR NOT EXISTS"
                " (SELECT 1 FROM kept WHERE kind = 'post' AND kept.guid = photo.post)"
            )
        )

    def add_person(self, handle: str, person: KnownPerson, pod: str | None) -> None:
        """Remember a person."""
        row = (handle, person.guid, person.public_key, person.name, int(person.closed), pod)
        self._run("INSERT OR REPLACE INTO person VALUES (?, ?, ?, ?, ?, ?)", row)

    def person(self, handle: str) -> KnownPerson:
        """Return what is known of a person, empty when nothing."""
        row = self._run(
            "SELECT guid, key, name, closed FROM person WHERE handle = ?", (handle,)
        ).fetchone()
        if row is None:
            return KnownPerson(None, None, None, False)
        return KnownPerson(row[0], row[1], row[2], bool(row[3]))

    def add_tie(self, post: str, handle: str) -> None:
        """Remember that somebody gets news of a post."""
        self._run("INSERT OR IGNORE INTO tie VALUES (?, ?)", (post, handle))

    def add_contact(self, handle: str, aspects: list[str]) -> None:
        """Remember a contact and the ids of its aspects."""
        self._run("INSERT OR IGNORE INTO contact VALUES (?)", (handle,))
        for aspect in aspects:
            self._run("INSERT OR IGNORE INTO in_aspect VALUES (?, ?)", (aspect, handle))

    def contact_hosts(self) -> list[str]:
        """Return the hosts of all contacts."""
        return [str(row[0]) for row in self._run("SELECT DISTINCT host FROM contact_host")]

    def hosts_tied_to(self, post: str) -> list[str]:
        """Return the hosts of the people who get news of a post."""
        rows = self._run("SELECT DISTINCT host FROM tie_host WHERE post = ?", (post,))
        return [str(row[0]) for row in rows]

    def people_of(self, post: str, aspects: list[str]) -> list[str]:
        """Return the people a private post went to."""
        found: dict[str, None] = {}
        for aspect in aspects:
            for (handle,) in self._run(
                "SELECT handle FROM in_aspect WHERE aspect = ? ORDER BY rowid", (aspect,)
            ):
                found[str(handle)] = None
        for (handle,) in self._run("SELECT handle FROM tie WHERE post = ?", (post,)):
            found[str(handle)] = None
        return list(found)

    def keep(self, kind: str, guid: str) -> bool:
        """Note that something is in the archive; False when it already was."""
        return self._run("INSERT OR IGNORE INTO kept VALUES (?, ?)", (kind, guid)).rowcount > 0

    def unkeep(self, kind: str, guid: str) -> None:
        """Take back a `keep` of something that could not be written."""
        with suppress(UnicodeEncodeError):  # no such guid was ever kept
            self._run("DELETE FROM kept WHERE kind = ? AND guid = ?", (kind, guid))

    def is_kept(self, kind: str, guid: str) -> bool:
        """Whether something is in the archive."""
        row = self._run("SELECT 1 FROM kept WHERE kind = ? AND guid = ?", (kind, guid)).fetchone()
        return row is not None

    def add_author(self, handle: str) -> None:
        """Note the author of something of others that is in the archive."""
        self._run("INSERT OR IGNORE INTO author VALUES (?)", (handle,))

    def other_authors(self) -> Iterator[tuple[str, str, str]]:
        """Yield `(handle, guid, public key)` of the authors who are not contacts."""
        yield from self._run(
            "SELECT person.handle, person.guid, person.key FROM author"
            " JOIN person ON person.handle = author.handle"
            " WHERE person.guid IS NOT NULL AND person.key IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM contact WHERE contact.handle = author.handle)"
        )


@contextmanager
def scratch_index(folder: Path) -> Iterator[JoinIndex]:
    """Open a scratch index in a file of `folder` that has no name; see `scratch_database`."""
    with scratch_database(folder, _TABLES) as database:
        yield JoinIndex(database)
