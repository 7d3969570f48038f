"""How the runs went: one row a run, and the last result of each account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import (
    BindParameter,
    Select,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Session

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
    """How the last run that looked at an account ended for it; `missing` picture files were not
    to be read when it was last read."""

    username: str
    status: str
    reason: str
    at: str
    missing: int = 0


class LookSums(NamedTuple):
    """The look at an account that was longest ago (RFC 3339), missing picture files, and accounts
    that lack more than a few."""

    oldest: str | None
    missing: int
    accounts: int


class Result(NamedTuple):
    """What a run notes of an account (by its enrollment's id)."""

    enrollment_id: int
    status: str
    reason: str
    missing: int = 0


class Journal:
    """Notes runs and results; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def start_run(self, accounts: int) -> int:
        """Note that a run starts; return its id."""
        with self._session() as session:
            return _start(session, accounts, rfc3339(now()))

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

    def record_results(self, results: Sequence[Result]) -> None:
        """Note how a run ended for accounts."""
        at = rfc3339(now())
        rows = [{**each._asdict(), "at": at} for each in results]
        with self._session() as session:
            for part in parts(rows):
                ids = [row["enrollment_id"] for row in part]
                session.execute(
                    delete(AccountResultRow).where(AccountResultRow.enrollment_id.in_(ids))
                )
                session.execute(insert(AccountResultRow), part)

    def unchanged(self, accounts: Iterable[int]) -> None:
        """Note for accounts (enrollment ids) that nothing was to be done for them now."""
        with self._session() as session:
            _note_unchanged(session, stretches(accounts), rfc3339(now()))

    def untouched_run(self, begun: datetime, accounts: int) -> None:
        """Note a whole run in which every enrolled account was as before."""
        at = rfc3339(now())
        with self._session() as session:
            run_id = _start(session, accounts, rfc3339(begun))
            done = {"finished": at, "looked_at": accounts}
            session.execute(update(RunRow).where(RunRow.id == run_id).values(**done))
            last = session.scalar(select(func.max(EnrollmentRow.id))) or 0
            _note_unchanged(session, [(0, last)], at)

    def status_counts(self) -> dict[str, int]:
        """Return for how many accounts the last result was which status."""
        query = select(AccountResultRow.status, func.count()).group_by(AccountResultRow.status)
        with self._session() as session:
            return {row[0]: row[1] for row in session.execute(query)}

    def look_sums(self, few: int) -> LookSums:
        """Sum up the last results of all accounts; `few` missing pictures are passed over."""
        row = AccountResultRow
        more = case((row.missing > few, 1), else_=0)
        query = select(func.min(row.at), func.sum(row.missing), func.sum(more))
        with self._session() as session:
            oldest, missing, accounts = session.execute(query).one()
            return LookSums(oldest, missing or 0, accounts or 0)

    def results(self) -> list[AccountResult]:
        """Return the last result of each account."""
        query = select(
            EnrollmentRow.username,
            AccountResultRow.status,
            AccountResultRow.reason,
            AccountResultRow.at,
            AccountResultRow.missing,
        ).join(EnrollmentRow, EnrollmentRow.id == AccountResultRow.enrollment_id)
        with self._session() as session:
            return [AccountResult(*row) for row in session.execute(query)]


def _start(session: Session, accounts: int, at: str) -> int:
    row = RunRow(started=at, accounts=accounts, looked_at=0, changed=0, failed=0, bytes=0)
    session.add(row)
    session.flush()
    session.execute(delete(RunRow).where(RunRow.id <= row.id - _KEPT_RUNS))
    return row.id


def stretches(ids: Iterable[int]) -> list[tuple[int, int]]:
    """Return ids as stretches without a gap: first and last of each."""
    found: list[tuple[int, int]] = []
    for number in sorted(ids):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def _note_unchanged(session: Session, which: Sequence[tuple[int, int]], at: str) -> None:
    """Write a result for all that are enrolled in these stretches: one statement, not one each."""
    if not which:
        return
    among = [{"low": low, "high": high} for low, high in which]
    low: BindParameter[int] = bindparam("low")
    high: BindParameter[int] = bindparam("high")
    result, enrolled = AccountResultRow.enrollment_id, EnrollmentRow.id
    values = {"status": literal("unchanged"), "reason": literal(""), "at": literal(at)}
    there = select(literal(1)).where(result == enrolled).exists()
    new = select(enrolled, *values.values(), literal(0)).where(enrolled.between(low, high), ~there)
    connection = session.connection()
    connection.execute(
        update(AccountResultRow).where(result.between(low, high)).values(**values), among
    )
    connection.execute(
        insert(AccountResultRow).from_select(["enrollment_id", *values, "missing"], new), among
    )
