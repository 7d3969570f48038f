"""Where each vault stands: committed points, staged ones, and their indexes in pieces."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from sqlalchemy import Delete, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from vaultd.clock import now, rfc3339
from vaultd.state.database import Database, parts
from vaultd.state.marks import WATERMARK
from vaultd.state.models import (
    EnrollmentRow,
    MarkRow,
    PieceRow,
    StagedRow,
    VaultRow,
    WatermarkRow,
)
from vaultd.state.vaults.points import (
    NOTHING,
    StoredArchive,
    StoredBlob,
    VaultPoint,
    VaultSummary,
    pack_archives,
    pack_blobs,
    unpack_archives,
    unpack_blobs,
)

VaultKey: TypeAlias = "tuple[int, str]"  # enrollment id, target


@dataclass(frozen=True, slots=True)
class Staged:
    """A point that a create in flight will make, with its index in pieces."""

    enrollment_id: int
    target: str
    point: VaultPoint
    index: Iterable[bytes]


class Vaults:
    """The vaults' part of the state; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def point(self, enrollment_id: int, target: str) -> VaultPoint | None:
        """Return where a vault stands, None if nothing was ever committed there."""
        return self.points([enrollment_id]).get((enrollment_id, target))

    def points(self, accounts: Collection[int]) -> dict[VaultKey, VaultPoint]:
        """Return where the vaults of these accounts stand."""
        with self._session() as session:
            return {
                (row.enrollment_id, row.target): _point(row)
                for part in parts(accounts)
                for row in session.scalars(select(VaultRow).where(VaultRow.enrollment_id.in_(part)))
            }

    def staged(self, accounts: Collection[int]) -> dict[VaultKey, str]:
        """Return the names of the archives whose create was never seen to end."""
        with self._session() as session:
            return {
                (row[0], row[1]): unpack_archives(row[2])[-1].name
                for part in parts(accounts)
                for row in session.execute(
                    select(StagedRow.enrollment_id, StagedRow.target, StagedRow.archives).where(
                        StagedRow.enrollment_id.in_(part)
                    )
                )
            }

    def record_counts(self, accounts: Collection[int]) -> dict[int, int]:
        """Return the records of each account (its largest vault) by enrollment id."""
        with self._session() as session:
            return {
                row[0]: row[1]
                for part in parts(accounts)
                for row in session.execute(
                    select(VaultRow.enrollment_id, func.max(VaultRow.records))
                    .where(VaultRow.enrollment_id.in_(part))
                    .group_by(VaultRow.enrollment_id)
                )
            }

    def index_pieces(self, enrollment_id: int, target: str, sequence: int) -> Iterator[bytes]:
        """Yield the pieces of the index that belongs to a point."""
        query = (
            select(PieceRow.data)
            .where(
                PieceRow.enrollment_id == enrollment_id,
                PieceRow.target == target,
                PieceRow.sequence == sequence,
            )
            .order_by(PieceRow.number)
        )
        with self._session() as session:
            yield from session.scalars(query)

    def stage(self, points: Sequence[Staged]) -> None:
        """Note the points that creates in flight will make; the accounts' marks go."""
        with self._session() as session:
            _unstage(session, [(each.enrollment_id, each.target) for each in points])
            rows = [_columns(each.enrollment_id, each.target, each.point) for each in points]
            if rows:
                session.execute(insert(StagedRow), rows)
            for each in points:
                where = {
                    "enrollment_id": each.enrollment_id,
                    "target": each.target,
                    "sequence": each.point.sequence,
                }
                pieces = [{**where, "number": n, "data": data} for n, data in enumerate(each.index)]
                if pieces:  # a part beside no whole has none
                    session.execute(insert(PieceRow), pieces)
            _unmark(session, {each.enrollment_id for each in points})

    def promote(self, keys: Sequence[VaultKey]) -> None:
        """These staged archives are there: their points become the vaults'."""
        with self._session() as session:
            rows = _staged_rows(session, keys)
            if not rows:
                return
            where = [
                {"account": r["enrollment_id"], "place": r["target"], "last": r["last_sequence"]}
                for r in rows
            ]
            connection = session.connection()
            connection.execute(_each(StagedRow), where)
            connection.execute(_each(VaultRow), where)
            connection.execute(insert(VaultRow), rows)
            others = _each(PieceRow).where(PieceRow.sequence != bindparam("last"))
            connection.execute(others, where)

    def unstage(self, enrollment_id: int, target: str) -> None:
        """The staged archive never arrived; the vault stands where it stood."""
        with self._session() as session:
            _unstage(session, [(enrollment_id, target)])

    def restart(self, enrollment_id: int, target: str, sequence: int) -> None:
        """Forget what a vault holds: its next archive, after `sequence`, stands on its own."""
        with self._session() as session:
            for table in (VaultRow, StagedRow, PieceRow):
                session.execute(_delete(table, enrollment_id, target))
            point = replace(NOTHING, sequence=sequence)
            session.execute(insert(VaultRow), [_columns(enrollment_id, target, point)])
            _unmark(session, {enrollment_id})

    def adopt(self, enrollment_id: int, target: str, sibling: str) -> None:
        """A vault holds what its sibling on another target holds: it stands at the same point."""
        with self._session() as session:
            for table in (VaultRow, PieceRow):
                columns = table.__table__.columns
                query = select(*columns).where(
                    columns.enrollment_id == enrollment_id, columns.target == sibling
                )
                session.execute(_delete(table, enrollment_id, target))
                for row in session.execute(query).mappings().all():
                    values = {**row, "target": target}
                    if table is VaultRow:
                        values["scrubbed_at"] = None
                    session.execute(insert(table), [values])
            _unmark(session, {enrollment_id})

    def save_photos(
        self, enrollment_id: int, target: str, photos: bytes, blobs: tuple[StoredBlob, ...]
    ) -> None:
        """Keep the picture lists of a vault without a new archive (it must have a point)."""
        self._update(enrollment_id, target, photos=photos, blobs=pack_blobs(blobs))

    def save_archives(
        self,
        enrollment_id: int,
        target: str,
        archives: tuple[StoredArchive, ...],
        blobs: tuple[StoredBlob, ...],
    ) -> None:
        """Keep what is known of a vault's objects; those found bad make the account due."""
        with self._session() as session:
            save_objects(session, [((enrollment_id, target), archives, blobs)])
            if any(a.bad for a in archives) or any(b.bad for b in blobs):
                _unmark(session, {enrollment_id})

    def set_scrubbed(self, enrollment_id: int, target: str, moment: str) -> None:
        """Note that every object of a vault was read and checked."""
        self._update(enrollment_id, target, scrubbed_at=moment)

    def last_scrub(self) -> str | None:
        """Return when a vault was scrubbed last (RFC 3339), None where none ever was."""
        with self._session() as session:
            return session.scalar(select(func.max(VaultRow.scrubbed_at)))

    def _update(self, enrollment_id: int, target: str, **values: object) -> None:
        with self._session() as session:
            session.execute(
                update(VaultRow)
                .where(VaultRow.enrollment_id == enrollment_id, VaultRow.target == target)
                .values(**values)
            )

    def summaries(self) -> list[VaultSummary]:
        """Return where every vault stands, by account and target."""
        query = (
            select(
                EnrollmentRow.username,
                VaultRow.target,
                VaultRow.last_sequence,
                VaultRow.last_at,
                VaultRow.records,
                VaultRow.archives,
                VaultRow.scrubbed_at,
            )
            .join(EnrollmentRow, EnrollmentRow.id == VaultRow.enrollment_id)
            .order_by(EnrollmentRow.username, VaultRow.target)
        )
        with self._session() as session:
            return [
                VaultSummary(
                    user, target, sequence, at, records, len(unpack_archives(archives)), scrubbed
                )
                for user, target, sequence, at, records, archives, scrubbed in session.execute(
                    query
                )
            ]


def _delete(
    table: type[VaultRow] | type[StagedRow] | type[PieceRow], enrollment_id: int, target: str
) -> Delete:
    return delete(table).where(table.enrollment_id == enrollment_id, table.target == target)


def _unmark(session: Session, accounts: Collection[int]) -> None:
    for part in parts(accounts):
        session.execute(delete(MarkRow).where(MarkRow.enrollment_id.in_(part)))
    session.execute(delete(WatermarkRow).where(WatermarkRow.id == WATERMARK))


def _each(table: type[VaultRow] | type[StagedRow] | type[PieceRow]) -> Delete:
    """Return the deletion of one vault's rows, its key to be bound: for many at once."""
    return delete(table).where(
        table.enrollment_id == bindparam("account"), table.target == bindparam("place")
    )


def _staged_rows(session: Session, keys: Collection[VaultKey]) -> list[dict[str, Any]]:
    """Return the columns of those of these vaults that have a staged point."""
    wanted = set(keys)
    columns = StagedRow.__table__.columns
    return [
        dict(row)
        for part in parts({account for account, _ in keys})
        for row in session.execute(select(*columns).where(columns.enrollment_id.in_(part)))
        .mappings()
        .all()
        if (row["enrollment_id"], row["target"]) in wanted
    ]


def _unstage(session: Session, keys: Sequence[VaultKey]) -> None:
    rows = _staged_rows(session, keys)
    if not rows:
        return
    where = [
        {"account": r["enrollment_id"], "place": r["target"], "last": r["last_sequence"]}
        for r in rows
    ]
    connection = session.connection()
    own = _each(PieceRow).where(PieceRow.sequence == bindparam("last"))
    connection.execute(own, where)
    connection.execute(_each(StagedRow), where)


def save_objects(
    session: Session,
    vaults: Sequence[tuple[VaultKey, tuple[StoredArchive, ...], tuple[StoredBlob, ...]]],
) -> None:
    """Write the lists of what vaults hold, inside a transaction."""
    rows = [
        {"account": account, "place": target, "a": pack_archives(archives), "b": pack_blobs(blobs)}
        for (account, target), archives, blobs in vaults
    ]
    one = update(VaultRow).where(
        VaultRow.enrollment_id == bindparam("account"), VaultRow.target == bindparam("place")
    )
    if rows:
        one = one.values(archives=bindparam("a"), blobs=bindparam("b"))
        session.connection().execute(one, rows)


def _columns(enrollment_id: int, target: str, point: VaultPoint) -> dict[str, object]:
    last = point.last
    return {
        "enrollment_id": enrollment_id,
        "target": target,
        "last_sequence": point.sequence,
        "last_name": None if last is None else last.name,
        "last_hash": None if last is None else last.hash,
        "last_size": None if last is None else last.size,
        "last_at": None if last is None else (last.time or rfc3339(now())),
        "archives": pack_archives(point.archives),
        "records": point.records,
        "photos": point.photos,
        "blobs": pack_blobs(point.blobs),
        "scrubbed_at": point.scrubbed_at,
    }


def _point(row: VaultRow) -> VaultPoint:
    archives = unpack_archives(row.archives)
    last = None
    if row.last_name is not None:
        last = next((a for a in archives if a.name == row.last_name), None)
    return VaultPoint(
        row.last_sequence,
        last,
        archives,
        row.records,
        row.photos,
        unpack_blobs(row.blobs),
        row.scrubbed_at,
    )
