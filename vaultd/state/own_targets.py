"""Targets that users gave: sealed rows that only the sealing key, kept elsewhere, opens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from vaultd.clock import now, rfc3339
from vaultd.state.database import Database
from vaultd.state.models import (
    DoomedRow,
    EnrollmentRow,
    MarkRow,
    OwnTargetRow,
    PieceRow,
    StagedRow,
    VaultRow,
    WatermarkRow,
)

_OF_A_VAULT: Final = (VaultRow, StagedRow, PieceRow, DoomedRow)


@dataclass(frozen=True, slots=True)
class SealedTarget:
    """One row; `shown` is the URL, `only` whether it stands in place of the pod's targets.

    `tried_at` is when the last run asked it, `result` what went wrong then (empty: nothing),
    `move` whose move it is, `failing_since` when that began.
    """

    guid: str
    shown: str
    only: bool
    sealed: bytes = field(repr=False)
    key_id: str
    set_at: str
    tried_at: str | None = None
    result: str = ""
    failing_since: str | None = None
    move: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended at an own target: what went wrong (empty: nothing), whose move it is, and
    whether something arrived there all the same."""

    target: SealedTarget
    reason: str = ""
    move: str = ""
    progress: bool = False


class OwnTargets:
    """Every method is one transaction; `name` is how such targets are called in vaults."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def all(self) -> list[SealedTarget]:
        """Return all, by guid."""
        with self._session() as session:
            rows = session.scalars(select(OwnTargetRow).order_by(OwnTargetRow.guid))
            return [_sealed(row) for row in rows]

    def of(self, guid: str) -> SealedTarget | None:
        """Return an account's own target, None where it has none."""
        with self._session() as session:
            row = session.get(OwnTargetRow, guid)
            return None if row is None else _sealed(row)

    def failing(self) -> list[SealedTarget]:
        """Return those of enrolled accounts that failed when they were last tried."""
        enrolled = select(EnrollmentRow.guid)
        query = select(OwnTargetRow).where(
            OwnTargetRow.failing_since.is_not(None), OwnTargetRow.guid.in_(enrolled)
        )
        with self._session() as session:
            return [_sealed(row) for row in session.scalars(query)]

    def save(self, new: SealedTarget, name: str, *, same_place: bool) -> None:
        """Keep a target; the account is due. Unless it is the `same_place` as before, what was
        known of a vault there is forgotten."""
        with self._session() as session:
            session.execute(delete(OwnTargetRow).where(OwnTargetRow.guid == new.guid))
            session.execute(insert(OwnTargetRow), [_columns(new)])
            _due(session, new.guid, None if same_place else name)

    def remove(self, guid: str, name: str) -> bool:
        """Forget a target and what is known of the vault there; tell whether there was one."""
        with self._session() as session:
            row = session.get(OwnTargetRow, guid)
            if row is None:
                return False
            session.delete(row)
            _due(session, guid, name)
            return True

    def reseal(self, changes: Collection[tuple[SealedTarget, SealedTarget]]) -> None:
        """Replace the sealed bytes and key ids of rows, each given as it was and as it shall be;
        all or none, but for those that were set anew meanwhile."""
        with self._session() as session:
            for before, after in changes:
                session.execute(
                    update(OwnTargetRow)
                    .where(OwnTargetRow.guid == before.guid, OwnTargetRow.sealed == before.sealed)
                    .values(sealed=after.sealed, key_id=after.key_id)
                )

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Note how a run ended at own targets; one that was set anew meanwhile is left as it is.

        The account of one that failed is due.
        """
        at = rfc3339(now())
        with self._session() as session:
            for each in outcomes:
                row = session.get(OwnTargetRow, each.target.guid)
                if row is None or row.sealed != each.target.sealed:
                    continue
                if not each.reason:
                    row.failing_since = None
                elif row.failing_since is None or each.progress or _alarms(row.move, each.move):
                    row.failing_since = at
                row.tried_at, row.result, row.move = at, each.reason, each.move
                if each.reason:
                    _due(session, row.guid, None)


def _alarms(before: str, after: str) -> bool:
    """Tell whether one of two troubles is an alarm: then they are two, not one that lasts."""
    return (before == "alarm") != (after == "alarm")


def _due(session: Session, guid: str, forget: str | None) -> None:
    """Have an account looked at again, and forget its vault on the target named `forget`."""
    accounts = select(EnrollmentRow.id).where(EnrollmentRow.guid == guid).scalar_subquery()
    if forget is not None:
        for table in _OF_A_VAULT:
            session.execute(
                delete(table).where(table.enrollment_id.in_(accounts), table.target == forget)
            )
    session.execute(delete(MarkRow).where(MarkRow.enrollment_id.in_(accounts)))
    session.execute(delete(WatermarkRow))


def _columns(new: SealedTarget) -> dict[str, object]:
    return {name: getattr(new, name) for name in SealedTarget.__dataclass_fields__}


def _sealed(row: OwnTargetRow) -> SealedTarget:
    return SealedTarget(
        row.guid,
        row.shown,
        row.only,
        row.sealed,
        row.key_id,
        row.set_at,
        row.tried_at,
        row.result,
        row.failing_since,
        row.move,
    )
