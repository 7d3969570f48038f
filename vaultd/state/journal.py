"""How the runs went: one row a run, and the last result of each account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Select, delete, func, insert, literal, select, update

from vaultd.clock import now, rfc3339
from vaultd.state.database import Database, parts
from vaultd.state.models import AccountResultRow, EnrollmentRow, RunRow

_KEPT_RUNS: Final = 1000
_ENDED: Final = select(RunRow).where(RunRow.finished.is_not(None)).order_by(RunRow.id.desc())


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One row of the run table."""

    id: int
    started: str
    finished: str | None
    accounts: int
    looked_at: int
    changed: int
    failed: int
    bytes: int
    error: str | None


@dataclass(frozen=True, slots=True)
class AccountResult:
    """How the last run that looked at an account ended for it."""

    username: str
    status: str
    reason: str
    at: str


class Journal:
    """Notes runs and results; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def start_run(self, accounts: int) -> int:
        """Note that a run starts; return its id."""
        with self._session() as session:
            row = RunRow(
                started=rfc3339(now()),
                accounts=accounts,
                looked_at=0,
                changed=0,
                failed=0,
                bytes=0,
            )
            session.add(row)
            session.flush()
            session.execute(delete(RunRow).where(RunRow.id <= row.id - _KEPT_RUNS))
            return row.id

    def finish_run(
        self,
        run_id: int,
        *,
        looked_at: int,
        changed: int,
        failed: int,
        size: int,
        error: str | None = None,
    ) -> None:
        """Note how a run ended; `size` in bytes; `error` without users' data."""
        values = {
            "finished": rfc3339(now()),
            "looked_at": looked_at,
            "changed": changed,
            "failed": failed,
            "bytes": size,
            "error": error,
        }
        with self._session() as session:
            session.execute(update(RunRow).where(RunRow.id == run_id).values(**values))

    def runs(self, limit: int = 10) -> list[RunSummary]:
        """Return the newest runs, newest first."""
        return self._runs(select(RunRow).order_by(RunRow.id.desc()).limit(limit))

    def last_run(self) -> RunSummary | None:
        """Return the newest run that came to an end."""
        return next(iter(self._runs(_ENDED.limit(1))), None)

    def last_success(self) -> RunSummary | None:
        """Return the newest run that came to its end without being broken off."""
        return next(iter(self._runs(_ENDED.where(RunRow.error.is_(None)).limit(1))), None)

    def _runs(self, query: Select[RunRow]) -> list[RunSummary]:
        with self._session() as session:
            return [
                RunSummary(
                    r.id,
                    r.started,
                    r.finished,
                    r.accounts,
                    r.looked_at,
                    r.changed,
                    r.failed,
                    r.bytes,
                    r.error,
                )
                for r in session.scalars(query)
            ]

    def record_results(self, results: Sequence[tuple[int, str, str]]) -> None:
        """Note how a run ended for accounts: enrollment id, status, reason."""
        at = rfc3339(now())
        rows = [
            {"enrollment_id": account, "status": status, "reason": reason, "at": at}
            for account, status, reason in results
        ]
        with self._session() as session:
            for part in parts(rows):
                ids = [row["enrollment_id"] for row in part]
                session.execute(
                    delete(AccountResultRow).where(AccountResultRow.enrollment_id.in_(ids))
                )
                session.execute(insert(AccountResultRow), part)

    def all_unchanged(self) -> None:
        """Note for every account that it was looked at now and nothing was to be done."""
        enrolled = select(
            EnrollmentRow.id, literal("unchanged"), literal(""), literal(rfc3339(now()))
        )
        with self._session() as session:
            session.execute(delete(AccountResultRow))
            session.execute(
                insert(AccountResultRow).from_select(
                    ["enrollment_id", "status", "reason", "at"], enrolled
                )
            )

    def status_counts(self) -> dict[str, int]:
        """Return for how many accounts the last result was which status."""
        query = select(AccountResultRow.status, func.count()).group_by(AccountResultRow.status)
        with self._session() as session:
            return {row[0]: row[1] for row in session.execute(query)}

    def results(self) -> list[AccountResult]:
        """Return the last result of each account."""
        query = select(
            EnrollmentRow.username,
            AccountResultRow.status,
            AccountResultRow.reason,
            AccountResultRow.at,
        ).join(EnrollmentRow, EnrollmentRow.id == AccountResultRow.enrollment_id)
        with self._session() as session:
            return [AccountResult(*row) for row in session.execute(query)]
