"""Marks: how the source looked when an account's vaults, or all vaults, were last up to date.

An account whose fingerprint still gives its mark is not read at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from sqlalchemy import delete, func, insert, select

from vaultd.state.database import Database, parts
from vaultd.state.models import EnrollmentRow, MarkRow, WatermarkRow

FINGERPRINT: Final = 16  # bytes; the rest of a mark is the kind of backup
WATERMARK: Final = 1
_SINCE: Final = 2
_DOUBT: Final = bytes(FINGERPRINT)
_PORTION: Final = 10_000


class Marks:
    """Reads and writes marks; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def of(self, accounts: Collection[int]) -> dict[int, bytes]:
        """Return the marks of these accounts (enrollment ids); those without one are left out."""
        if not accounts:
            return {}
        query = select(MarkRow.enrollment_id, MarkRow.value).where(
            MarkRow.enrollment_id.between(min(accounts), max(accounts))
        )
        wanted = frozenset(accounts)
        with self._session() as session:
            return {row[0]: row[1] for row in session.execute(query) if row[0] in wanted}

    def save(self, marks: Mapping[int, bytes]) -> None:
        """Note that all vaults of these accounts are up to date."""
        if not marks:
            return
        with self._session() as session:
            ids = sorted(marks)
            for part in parts(ids):
                session.execute(delete(MarkRow).where(MarkRow.enrollment_id.in_(part)))
            session.execute(insert(MarkRow), [{"enrollment_id": i, "value": marks[i]} for i in ids])

    def everybody(self) -> Iterator[tuple[int, str, str, bytes | None]]:
        """Yield enrollment id, username, guid and mark (if any) of every account, as enrolled."""
        query = (
            select(EnrollmentRow.id, EnrollmentRow.username, EnrollmentRow.guid, MarkRow.value)
            .outerjoin(MarkRow, MarkRow.enrollment_id == EnrollmentRow.id)
            .order_by(EnrollmentRow.id)
        )
        with self._session() as session:
            for row in session.execute(query).yield_per(_PORTION):
                yield row[0], row[1], row[2], row[3]

    def lacking(self) -> int:
        """Return how many accounts have no mark: they were never up to date."""
        marked = select(func.count()).select_from(MarkRow).scalar_subquery()
        with self._session() as session:
            query = select(
                select(func.count()).select_from(EnrollmentRow).scalar_subquery() - marked
            )
            return int(session.scalar(query) or 0)

    def watermark(self) -> bytes | None:
        """Return the mark of the whole pod, None when some vault may be behind."""
        return self._get(WATERMARK)

    def set_watermark(self, value: bytes | None) -> None:
        """Note that every vault of every account is up to date, or (None) perhaps not."""
        self._set(WATERMARK, value)

    def since(self) -> bytes | None:
        """Return the source's word for a moment at which, or after which, all marks were taken."""
        return self._get(_SINCE)

    def set_since(self, value: bytes) -> None:
        """Note such a moment: a run looked at everybody after it."""
        self._set(_SINCE, value)

    def _get(self, number: int) -> bytes | None:
        with self._session() as session:
            row = session.get(WatermarkRow, number)
            return None if row is None else row.value

    def _set(self, number: int, value: bytes | None) -> None:
        with self._session() as session:
            session.execute(delete(WatermarkRow).where(WatermarkRow.id == number))
            if value is not None:
                session.execute(insert(WatermarkRow), [{"id": number, "value": value}])


def holds(mark: bytes, kind: bytes) -> bool:
    """Tell whether a mark is of this kind and not doubtful."""
    return mark[FINGERPRINT:] == kind and not mark.startswith(_DOUBT)


def doubtful(mark: bytes) -> bytes:
    """Return a mark of the same kind that no fingerprint gives."""
    return _DOUBT + mark[FINGERPRINT:]
