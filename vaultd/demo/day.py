"""A day in the life of the demo pod: new, changed and deleted things, most without a trace.

As on real pods, changes often leave `updated_at` as it was, and deletions leave nothing at all.
"""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass

from vaultd.demo.pod import DemoPod
from vaultd.demo.texts import REPLIES, SENTENCES, picture

_AT = "2026-11-02 09:30:15.250000"


@dataclass(slots=True)
class DayReport:
    """How many rows were added, changed and deleted."""

    added: int = 0
    changed: int = 0
    deleted: int = 0


def live_a_day(pod: DemoPod, *, seed: int = 2) -> DayReport:
    """Change the pod's database as a day of use would; at least a third of the accounts rest."""
    rng = random.Random(seed)
    report = DayReport()
    connection = sqlite3.connect(pod.directory / "pod.sqlite3")
    try:
        with connection:
            day = _Day(pod, connection, rng, report)
            day.write()
            day.change()
            day.delete()
    finally:
        connection.close()
    return report


class _Day:
    def __init__(
        self, pod: DemoPod, connection: sqlite3.Connection, rng: random.Random, report: DayReport
    ) -> None:
        self._pod = pod
        self._db = connection
        self._rng = rng
        self._report = report

    def _guid(self) -> str:
        return f"{self._rng.getrandbits(128):032x}"

    def _ids(self, query: str, *values: object) -> list[int]:
        return [row[0] for row in self._db.execute(query, values)]

    def _insert(self, table: str, **values: object) -> int:
        values = {"created_at": _AT, "updated_at": _AT, **values}
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        cursor = self._db.execute(
            f'INSERT INTO "{table}" ({names}) VALUES ({marks})',  # noqa: S608 - our own names
            list(values.values()),
        )
        self._report.added += 1
        return cursor.lastrowid or 0

    def write(self) -> None:
        """New posts, one with a picture, comments, likes, a message."""
        for person in (1, 2, 4, 8, 15):
            guid = self._guid()
            post = self._insert(
                "posts", author_id=person, public=1, guid=guid, type="StatusMessage",
                text=self._rng.choice(SENTENCES), likes_count=0, comments_count=0, reshares_count=0,
            )  # fmt: skip
            if person == 2:
                name = f"{self._rng.getrandbits(80):020x}.png"
                (self._pod.uploads / "images" / name).write_bytes(picture(self._rng))
                self._insert(
                    "photos", author_id=person, public=1, guid=self._guid(), pending=0,
                    remote_photo_path=f"{self._pod.pod_url}/uploads/images/",
                    remote_photo_name=name, random_string=name[:-4], status_message_guid=guid,
                    height=320, width=480,
                )  # fmt: skip
            for commenter in (1, 3, 5):
                if commenter != person:
                    self._insert(
                        "comments", text=self._rng.choice(REPLIES), commentable_id=post,
                        author_id=commenter, guid=self._guid(), likes_count=0,
                        commentable_type="Post",
                    )  # fmt: skip
            self._insert("likes", positive=1, target_id=post, author_id=6, guid=self._guid(),
                         target_type="Post")  # fmt: skip
        talk, author = self._db.execute(
            "SELECT id, author_id FROM conversations LIMIT 1"
        ).fetchone()
        self._insert("messages", conversation_id=talk, author_id=author, guid=self._guid(),
                     text="One more thing before I forget …")  # fmt: skip

    def change(self) -> None:
        """Edits that leave `updated_at` as it was, and noise that must not cause an archive."""
        for statement in (
            "UPDATE profiles SET bio = 'Moved to the seaside. 🌊' WHERE person_id = 3",
            "UPDATE users SET email = 'new-address@mail.example' WHERE id = 7",
            "UPDATE aspects SET name = 'Orchestra' WHERE user_id = 2 AND name = 'Work'",
            "UPDATE contacts SET receiving = 0 WHERE id IN "
            "(SELECT id FROM contacts WHERE user_id = 1 AND receiving = 1 LIMIT 1)",
        ):
            self._report.changed += self._db.execute(statement).rowcount
        # Noise: everybody looked in, counters moved.
        self._db.execute(
            "UPDATE users SET last_seen = ?, sign_in_count = sign_in_count + 1", (_AT,)
        )
        self._db.execute(
            "UPDATE posts SET interacted_at = ?, likes_count = likes_count + 1", (_AT,)
        )

    def delete(self) -> None:
        """Deletions, with what hangs on a post."""
        (post,) = self._ids(
            "SELECT id FROM posts WHERE author_id = 2 AND type = 'StatusMessage' LIMIT 1"
        )
        for table, column, kind in (
            ("comments", "commentable_id", "commentable_type"),
            ("likes", "target_id", "target_type"),
            ("participations", "target_id", "target_type"),
        ):
            query = f"DELETE FROM {table} WHERE {column} = ? AND {kind} = 'Post'"  # noqa: S608
            self._report.deleted += self._db.execute(query, (post,)).rowcount
        self._report.deleted += self._db.execute("DELETE FROM posts WHERE id = ?", (post,)).rowcount
        for table, column, owner in (
            ("comments", "author_id", 1),
            ("likes", "author_id", 5),
            ("tag_followings", "user_id", 2),
            ("blocks", "user_id", 10),
        ):
            query = (
                f"DELETE FROM {table} WHERE id IN "  # noqa: S608 - our own names
                f"(SELECT id FROM {table} WHERE {column} = ? LIMIT 1)"
            )
            self._report.deleted += self._db.execute(query, (owner,)).rowcount
