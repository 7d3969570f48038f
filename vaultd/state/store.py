"""The state: who is enrolled and where each vault stands; `journal` has how the runs went."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import Delete, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vaultd.clock import now, rfc3339
from vaultd.errors import UsageError
from vaultd.state.database import Database
from vaultd.state.digests import Digests
from vaultd.state.journal import AccountResult, Journal
from vaultd.state.models import (
    EnrollmentRow,
    PieceRow,
    SecretRow,
    StagedRow,
    VaultRow,
)
from vaultd.state.points import (
    NOTHING,
    StoredArchive,
    VaultPoint,
    VaultSummary,
    pack_archives,
    unpack_archives,
)


@dataclass(frozen=True, slots=True)
class Enrollment:
    """One enrolled account; `recipient` is its `vault1…` text, `escrow` the sealed secret."""

    id: int
    username: str
    guid: str
    handle: str
    recipient: str
    vault_id: str
    blob_key: bytes = field(repr=False)
    escrow: bytes | None = field(repr=False)
    enrolled_at: str


class State:
    """The state database in a folder; every method is one transaction.

    Raises ConfigError, DamageError or UsageError on opening; PlaceError when it cannot be
    written later.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._database = Database(directory)
        self._session = self._database.session
        self.journal = Journal(self._database)
        self.digests = Digests(self._secret())

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _secret(self) -> bytes:
        with self._session() as session:
            row = session.get(SecretRow, 1)
            if row is None:
                row = SecretRow(id=1, key=os.urandom(32))
                session.add(row)
            return row.key

    # -- enrollments ---------------------------------------------------------------------------

    def enrollments(self, usernames: Collection[str] | None = None) -> list[Enrollment]:
        """Return these enrolled accounts (unknown names are left out), or all, by name."""
        query = select(EnrollmentRow).order_by(EnrollmentRow.username)
        with self._session() as session:
            rows = session.scalars(query).all()
            return [_enrollment(r) for r in rows if usernames is None or r.username in usernames]

    def enroll(
        self,
        *,
        username: str,
        guid: str,
        handle: str,
        recipient: str,
        vault_id: str,
        escrow: bytes | None = None,
    ) -> Enrollment:
        """Enrol an account, or give it a new recipient: its next archive starts a fresh vault."""
        with self._session() as session:
            old = session.scalar(select(EnrollmentRow).where(EnrollmentRow.username == username))
            if old is not None:
                session.delete(old)
                session.flush()
            row = EnrollmentRow(
                username=username,
                guid=guid,
                handle=handle,
                recipient=recipient,
                vault_id=vault_id,
                blob_key=os.urandom(32),
                escrow=escrow,
                enrolled_at=rfc3339(now()),
            )
            session.add(row)
            try:
                session.flush()
            except IntegrityError as error:
                raise UsageError(f"{username} is being enrolled by another process.") from error
            return _enrollment(row)

    # -- vaults --------------------------------------------------------------------------------

    def point(self, enrollment_id: int, target: str) -> VaultPoint | None:
        """Return where a vault stands, None if nothing was ever committed there."""
        with self._session() as session:
            row = session.get(VaultRow, (enrollment_id, target))
            return None if row is None else _point(row)

    def record_counts(self) -> dict[int, int]:
        """Return the records of each enrolled account (its largest vault) by enrollment id."""
        query = select(VaultRow.enrollment_id, func.max(VaultRow.records)).group_by(
            VaultRow.enrollment_id
        )
        with self._session() as session:
            return {row[0]: row[1] for row in session.execute(query)}

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

    def stage(
        self, enrollment_id: int, target: str, point: VaultPoint, index: Iterable[bytes]
    ) -> None:
        """Note the point that a create in flight will make, with its index in pieces."""
        where = {"enrollment_id": enrollment_id, "target": target, "sequence": point.sequence}
        with self._session() as session:
            _unstage(session, enrollment_id, target)
            session.execute(insert(StagedRow), [_columns(enrollment_id, target, point)])
            for number, data in enumerate(index):
                session.execute(insert(PieceRow), [{**where, "number": number, "data": data}])

    def staged_name(self, enrollment_id: int, target: str) -> str | None:
        """Return the name of the archive whose create was never seen to end."""
        with self._session() as session:
            row = session.get(StagedRow, (enrollment_id, target))
            return None if row is None else row.last_name

    def promote(self, enrollment_id: int, target: str) -> None:
        """The staged archive is there: its point becomes the vault's."""
        with self._session() as session:
            staged = session.get(StagedRow, (enrollment_id, target))
            if staged is None:
                return
            columns = {c.name: getattr(staged, c.name) for c in StagedRow.__table__.columns}
            session.delete(staged)
            session.execute(_delete(VaultRow, enrollment_id, target))
            session.execute(insert(VaultRow), [columns])
            session.execute(
                _delete(PieceRow, enrollment_id, target).where(
                    PieceRow.sequence != columns["last_sequence"]
                )
            )

    def unstage(self, enrollment_id: int, target: str) -> None:
        """The staged archive never arrived; the vault stands where it stood."""
        with self._session() as session:
            _unstage(session, enrollment_id, target)

    def restart(self, enrollment_id: int, target: str, sequence: int) -> None:
        """Forget what a vault holds: its next archive, after `sequence`, stands on its own."""
        with self._session() as session:
            for table in (VaultRow, StagedRow, PieceRow):
                session.execute(_delete(table, enrollment_id, target))
            point = replace(NOTHING, sequence=sequence)
            session.execute(insert(VaultRow), [_columns(enrollment_id, target, point)])

    def save_photos(self, enrollment_id: int, target: str, photos: bytes) -> None:
        """Keep a picture list of a vault without a new archive (it must have a point)."""
        with self._session() as session:
            session.execute(
                update(VaultRow)
                .where(VaultRow.enrollment_id == enrollment_id, VaultRow.target == target)
                .values(photos=photos)
            )

    def vaults(self) -> list[VaultSummary]:
        """Return where every vault stands, by account and target."""
        query = (
            select(
                EnrollmentRow.username,
                VaultRow.target,
                VaultRow.last_sequence,
                VaultRow.last_at,
                VaultRow.records,
                VaultRow.archives,
            )
            .join(EnrollmentRow, EnrollmentRow.id == VaultRow.enrollment_id)
            .order_by(EnrollmentRow.username, VaultRow.target)
        )
        with self._session() as session:
            return [
                VaultSummary(user, target, sequence, at, records, len(unpack_archives(archives)))
                for user, target, sequence, at, records, archives in session.execute(query)
            ]

    def results(self) -> list[AccountResult]:
        """Return the last result of each account, as the journal has them."""
        return self.journal.results()


def _delete(
    table: type[VaultRow] | type[StagedRow] | type[PieceRow], enrollment_id: int, target: str
) -> Delete:
    return delete(table).where(table.enrollment_id == enrollment_id, table.target == target)


def _unstage(session: Session, enrollment_id: int, target: str) -> None:
    staged = session.get(StagedRow, (enrollment_id, target))
    if staged is not None:
        session.execute(
            _delete(PieceRow, enrollment_id, target).where(
                PieceRow.sequence == staged.last_sequence
            )
        )
        session.delete(staged)
        session.flush()


def _enrollment(row: EnrollmentRow) -> Enrollment:
    return Enrollment(
        row.id,
        row.username,
        row.guid,
        row.handle,
        row.recipient,
        row.vault_id,
        row.blob_key,
        row.escrow,
        row.enrolled_at,
    )


def _columns(enrollment_id: int, target: str, point: VaultPoint) -> dict[str, object]:
    last = point.last
    return {
        "enrollment_id": enrollment_id,
        "target": target,
        "last_sequence": point.sequence,
        "last_name": None if last is None else last.name,
        "last_hash": None if last is None else last.hash,
        "last_size": None if last is None else last.size,
        "last_at": None if last is None else rfc3339(now()),
        "archives": pack_archives(point.archives),
        "records": point.records,
        "photos": point.photos,
    }


def _point(row: VaultRow) -> VaultPoint:
    last = None
    if row.last_name is not None and row.last_hash is not None and row.last_size is not None:
        last = StoredArchive(row.last_sequence, row.last_name, row.last_size, row.last_hash)
    return VaultPoint(
        row.last_sequence,
        last,
        unpack_archives(row.archives),
        row.records,
        row.photos,
    )
