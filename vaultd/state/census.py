"""Who of the pod is not enrolled, as it was when the pod was last asked."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert

from vaultd.state.database import Database
from vaultd.state.models import CensusRow


@dataclass(frozen=True, slots=True)
class Count:
    """`at` (RFC 3339) so many open accounts were not enrolled, besides those `opted_out`; `reason`
    says why, where they should have been. `moment` is the source's word for that time."""

    at: str
    not_enrolled: int
    opted_out: int
    reason: str = ""
    moment: bytes | None = None


class Census:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def last(self) -> Count | None:
        """Return the newest count, None where nobody counted yet."""
        with self._session() as session:
            row = session.get(CensusRow, 1)
            if row is None:
                return None
            return Count(row.at, row.not_enrolled, row.opted_out, row.reason, row.moment)

    def save(self, count: Count) -> None:
        """Keep a count in place of the last one."""
        with self._session() as session:
            session.execute(delete(CensusRow))
            session.execute(
                insert(CensusRow),
                [
                    {
                        "id": 1,
                        "at": count.at,
                        "not_enrolled": count.not_enrolled,
                        "opted_out": count.opted_out,
                        "reason": count.reason,
                        "moment": count.moment,
                    }
                ],
            )
