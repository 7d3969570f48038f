"""Suspects: accounts in hand when a process that read them died. A run reads them in a worker."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, insert, select

from vaultd.state.database import Database, parts
from vaultd.state.models import SuspectRow


class Suspects:
    """Reads and writes suspects by enrollment id; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def add(self, accounts: Collection[int], *, alone: bool = False) -> None:
        """Note that these are being read, or (`alone`) that reading this one ended a worker."""
        with self._session() as session:
            for part in parts(sorted(accounts)):
                session.execute(delete(SuspectRow).where(SuspectRow.enrollment_id.in_(part)))
                rows = [{"enrollment_id": each, "alone": alone} for each in part]
                session.execute(insert(SuspectRow), rows)

    def clear(self, accounts: Collection[int]) -> None:
        """These were read, well or not, and the process lives."""
        with self._session() as session:
            for part in parts(sorted(accounts)):
                session.execute(delete(SuspectRow).where(SuspectRow.enrollment_id.in_(part)))

    def all(self) -> dict[int, bool]:
        """Return every suspect, and whether it is to be read alone."""
        with self._session() as session:
            query = select(SuspectRow.enrollment_id, SuspectRow.alone)
            return {row[0]: row[1] for row in session.execute(query)}
