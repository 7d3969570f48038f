"""The account in a scratch database, in the order its pages want: memory stays flat."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from vaultd.fields import entity, mapping, text, texts
from vaultd.records import Body, StoredRecord
from vaultd.restore.importer_rules import is_time
from vaultd.restore.output.faults import Faults
from vaultd.restore.output.scratch import Sealer, scratch_database
from vaultd.restore.point import RestorePoint

_TABLES: Final = """
CREATE TABLE item (chapter TEXT, guid TEXT, parent TEXT, at TEXT, body BLOB);
CREATE TABLE mark (chapter TEXT, parent TEXT, author TEXT);
CREATE TABLE person (handle TEXT PRIMARY KEY, name TEXT);
CREATE TABLE host (name TEXT PRIMARY KEY);
"""
_INDEXES: Final = """
CREATE INDEX item_order ON item (chapter, at);
CREATE INDEX item_parent ON item (parent, chapter, at);
CREATE INDEX item_guid ON item (guid, chapter);
CREATE INDEX mark_parent ON mark (parent, chapter);
"""
_MARKS: Final = {
    "received_like": ("like", "parent_guid"),
    "received_reshare": ("reshare", "root_guid"),
    "received_poll_vote": ("vote", "poll_answer_guid"),
    "poll_vote": ("vote", "poll_answer_guid"),
    "shared_like": ("like", "parent_guid"),
    "shared_poll_vote": ("vote", "poll_answer_guid"),
}
_PARENTS: Final = {
    "photo": "status_message_guid",
    "comment": "parent_guid",
    "received_comment": "parent_guid",
    "message": "conversation_guid",
    "shared_photo": "status_message_guid",
    "shared_comment": "parent_guid",
}
_CHAPTERS: Final = frozenset({"post", "shared_post", "conversation", "contact", *_PARENTS})


@dataclass(slots=True)
class Small:
    """What every account has a few of; it stays in memory."""

    account: Body = field(default_factory=dict)
    profile: Body = field(default_factory=dict)
    aspects: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    preferences: list[str] = field(default_factory=list)


class Spool:
    """The scratch database of one writing; made by `spooled`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._run = database.execute
        self._sealer = Sealer()
        self.small = Small()
        self.counts: Counter[str] = Counter()

    def take(self, record: StoredRecord) -> None:
        """Put a record where its pages find it; what no page shows is left."""
        kind, body = record.kind, record.body or {}
        self.counts[kind] += 1
        data = entity(body)
        if kind in _MARKS:
            chapter, key = _MARKS[kind]
            row = (chapter, text(data, key) or "", text(data, "author") or "")
            self._run("INSERT INTO mark VALUES (?, ?, ?)", row)
        elif kind in _CHAPTERS:
            self._add(kind, body, text(data, _PARENTS.get(kind, "")) or "")
        elif kind == "person":
            row2 = (text(body, "handle") or record.id, text(body, "name") or "")
            self._run("INSERT OR REPLACE INTO person VALUES (?, ?)", row2)
        elif kind == "audience" and mapping(body, "why").keys() - {"known"}:
            self._add("audience", body, "")
        elif kind == "audience":  # of a pod that is merely known, as older vaults have them
            self._host(text(body, "host") or "")
        elif kind == "known_pods":
            for host in texts(body, "hosts"):
                self._host(host)
        else:
            self._take_small(kind, record.id, body)

    def _add(self, chapter: str, body: Body, parent: str) -> None:
        data = entity(body)
        at = text(data, "created_at") or text(body, "created_at") or ""
        if chapter == "conversation":
            at = text(body, "updated_at") or at
        guid = text(data, "guid") or text(body, "host") or ""
        packed = self._sealer.seal(msgspec.msgpack.encode(body))
        row = (chapter, guid, parent, at if is_time(at) else "", packed)
        self._run("INSERT INTO item VALUES (?, ?, ?, ?, ?)", row)

    def _host(self, name: str) -> None:
        self._run("INSERT OR IGNORE INTO host VALUES (?)", (name,))

    def _take_small(self, kind: str, record_id: str, body: Body) -> None:
        small = self.small
        if kind == "account":
            small.account = body
        elif kind == "profile":
            small.profile = entity(body)
        elif kind == "aspect":
            small.aspects[record_id] = text(body, "name") or record_id
        elif kind == "followed_tag":
            small.tags.append(text(body, "name") or "")
        elif kind == "block":
            small.blocks.append(text(body, "account_id") or "")
        elif kind == "preference":
            small.preferences.append(text(body, "email_type") or "")

    def name(self, handle: str) -> str:
        """Return a person's name, or the diaspora ID."""
        row = self._run("SELECT name FROM person WHERE handle = ?", (handle,)).fetchone()
        return str(row[0]) if row and row[0] else handle

    def count(self, chapter: str) -> int:
        """Return how many things a chapter has."""
        row = self._run("SELECT count(*) FROM item WHERE chapter = ?", (chapter,)).fetchone()
        return int(row[0])

    def years(self, chapter: str) -> list[tuple[str, int]]:
        """Return `(year, count)` of a chapter, newest first; the undated last, with year ''."""
        rows = self._run(
            "SELECT substr(at, 1, 4), count(*) FROM item WHERE chapter = ?"
            " GROUP BY 1 ORDER BY 1 DESC",
            (chapter,),
        )
        return [(str(year), int(count)) for year, count in rows]

    def newest_first(self, chapter: str) -> Iterator[tuple[str, Body]]:
        """Yield `(created_at, body)`; the time is empty where it is not one."""
        yield from self._bodies(
            "SELECT at, body FROM item WHERE chapter = ? ORDER BY at DESC, rowid", chapter
        )

    def post_numbers(self) -> Callable[[str], int | None]:
        """Return what tells a post's place among all, newest first, from its guid."""
        self._run(
            "CREATE TEMP TABLE place AS SELECT guid,"
            " row_number() OVER (ORDER BY at DESC, rowid) - 1 AS number"
            " FROM item WHERE chapter = 'post'"
        )
        self._run("CREATE INDEX place_guid ON place (guid)")

        def number(guid: str) -> int | None:
            row = self._run("SELECT number FROM place WHERE guid = ?", (guid,)).fetchone()
            return int(row[0]) if row else None

        return number

    def loose_photos(self) -> Iterator[Body]:
        """Yield the photos that belong to no post."""
        query = "SELECT at, body FROM item WHERE parent = '' AND chapter = ? ORDER BY at, rowid"
        yield from (body for _, body in self._bodies(query, "photo"))

    def on(self, parent: str, *chapters: str) -> Iterator[tuple[str, Body]]:
        """Yield `(created_at, body)` of what belongs to a thing, oldest first."""
        marks = ", ".join("?" * len(chapters))
        yield from self._bodies(
            f"SELECT at, body FROM item WHERE parent = ? AND chapter IN ({marks})"  # noqa: S608
            " ORDER BY at, rowid",
            parent,
            *chapters,
        )

    def shared_text(self, guid: str) -> str:
        """Return the text of a post that was shared with the user; empty where there is none."""
        bodies = self._bodies(
            "SELECT at, body FROM item WHERE guid = ? AND chapter = 'shared_post' LIMIT 1", guid
        )
        return next((text(entity(body), "text") or "" for _, body in bodies), "")

    def elsewhere(self) -> Iterator[tuple[str, Body]]:
        """Yield own comments on others' posts, newest first."""
        yield from self._bodies(
            "SELECT at, body FROM item WHERE chapter = 'comment' AND NOT EXISTS"
            " (SELECT 1 FROM item AS post WHERE post.guid = item.parent AND post.chapter = 'post')"
            " ORDER BY at DESC, rowid"
        )

    def authors(self, chapter: str, parent: str) -> list[str]:
        """Return who liked or reshared a thing, or voted for an answer."""
        query = "SELECT author FROM mark WHERE parent = ? AND chapter = ? ORDER BY rowid"
        return [str(row[0]) for row in self._run(query, (parent, chapter))]

    def other_hosts(self) -> int:
        """Return how many pods are merely known."""
        row = self._run(
            "SELECT count(*) FROM host WHERE name NOT IN"
            " (SELECT guid FROM item WHERE chapter = 'audience')"
        ).fetchone()
        return int(row[0])

    def _bodies(self, query: str, *values: str) -> Iterator[tuple[str, Body]]:
        for at, packed in self._run(query, values):
            yield str(at), msgspec.msgpack.decode(self._sealer.open(packed), type=dict)


@contextmanager
def spooled(snapshot: RestorePoint, folder: Path, faults: Faults) -> Iterator[Spool]:
    """Read the account once into a scratch database of `folder`; see `scratch_database`."""
    with scratch_database(folder, _TABLES) as database:
        spool = Spool(database)
        for record in snapshot.records():
            faults.guard(record, spool.take, record)
        for statement in _INDEXES.strip().split(";\n"):
            database.execute(statement)
        yield spool
