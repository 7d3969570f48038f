"""Marks: how the source looked when an account's vaults, or all vaults, were last up to date.

An account whose fingerprint still gives its mark is not read at all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import delete, insert, select

from vaultd.state.database import Database, parts
from vaultd.state.models import MarkRow, WatermarkRow


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

    def watermark(self) -> bytes | None:
        """Return the mark of the whole pod, None when some vault may be behind."""
        with self._session() as session:
            row = session.get(WatermarkRow, 1)
            return None if row is None else row.value

    def set_watermark(self, value: bytes | None) -> None:
        """Note that every vault of every account is up to date, or (None) perhaps not."""
        with self._session() as session:
            session.execute(delete(WatermarkRow))
            if value is not None:
                session.execute(insert(WatermarkRow), [{"id": 1, "value": value}])
