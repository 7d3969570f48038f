"""A point read from its vault once, and after that as often as wanted from a scratch database."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from vaultd.records import Body, StoredRecord
from vaultd.restore.output.faults import Faults
from vaultd.restore.output.scratch import Sealer, scratch_database
from vaultd.restore.point import PointManifest, RestorePoint

_TABLES: Final = """
CREATE TABLE page (kind TEXT, records BLOB);
"""
_PAGE: Final = 64 * 1024  # bytes of records of one kind that are sealed together

_encoder: Final = msgspec.msgpack.Encoder()


class PointReadOnce:
    """Satisfies `RestorePoint`; `counts` says how many records of each kind there are."""

    def __init__(self, point: RestorePoint, database: sqlite3.Connection) -> None:
        self._point = point
        self._run = database.execute
        self._sealer = Sealer()
        self.damage = point.damage
        self.counts: Counter[str] = Counter()
        self._fill()

    @property
    def manifest(self) -> PointManifest:
        """What the archive says of the account at that moment."""
        return self._point.manifest

    @property
    def part(self) -> str:
        """What part of the account this is, in words; empty for the whole."""
        return self._point.part

    def records(self, kinds: Collection[str] | None = None) -> Iterator[StoredRecord]:
        """Yield the newest version of each record (of these kinds), kind by kind."""
        for kind in self.counts:
            if kinds is None or kind in kinds:
                for (page,) in self._run("SELECT records FROM page WHERE kind = ?", (kind,)):
                    for record_id, body in msgspec.msgpack.decode(self._sealer.open(page)):
                        yield StoredRecord(kind, record_id, body)

    def open_blob(self, body: Body) -> Iterator[bytes]:
        """Yield a photo record's picture piece by piece. Raises DamageError, ObjectMissing."""
        return self._point.open_blob(body)

    def _fill(self) -> None:
        faults = Faults()
        waiting: dict[str, list[bytes]] = {}
        sizes: Counter[str] = Counter()
        for record in self._point.records():
            packed = faults.guard(record, _encoder.encode, (record.id, record.body))
            if packed is None:
                continue
            self.counts[record.kind] += 1
            waiting.setdefault(record.kind, []).append(packed)
            sizes[record.kind] += len(packed)
            if sizes[record.kind] >= _PAGE:
                self._store(record.kind, waiting.pop(record.kind))
                del sizes[record.kind]
        for kind, pieces in waiting.items():
            self._store(kind, pieces)
        self._run("CREATE INDEX page_kind ON page (kind)")
        self.damage += faults.sentences()

    def _store(self, kind: str, pieces: list[bytes]) -> None:
        head = b"\xdd" + len(pieces).to_bytes(4, "big")  # a msgpack array of so many
        page = self._sealer.seal(head + b"".join(pieces))
        self._run("INSERT INTO page VALUES (?, ?)", (kind, page))


@contextmanager
def read_once(point: RestorePoint, folder: Path) -> Iterator[PointReadOnce]:
    """Read the whole point into a scratch database of `folder`, sealed; see PointReadOnce.

    A record that cannot be kept is named in the point's `damage`. Raises what the point raises.
    """
    with scratch_database(folder, _TABLES) as database:
        yield PointReadOnce(point, database)
