"""Vaults that accounts left behind: remembered, or to be erased, target by target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from vaultd.clock import rfc3339
from vaultd.state.database import Database
from vaultd.state.models import OldVaultRow


@dataclass(frozen=True, slots=True)
class OldVault:
    """One account's old vault on one target.

    `escrow`: the podmin's words open it. `due`: it is to be erased; `replaced`: not before the
    account's present vault is whole on that target. `since` is when the account left it; `result`
    why it could not be erased at `tried_at`; `objects` and `bytes` were erased so far. All times
    are RFC 3339.
    """

    vault_id: str
    target: str
    username: str
    guid: str
    handle: str
    escrow: bool
    due: bool
    replaced: bool
    since: str
    locked_until: str | None = None
    tried_at: str | None = None
    result: str = ""
    objects: int = 0
    bytes: int = 0
    done_at: str | None = None

    @property
    def pending(self) -> bool:
        """Whether it is still to be erased."""
        return self.due and self.done_at is None


_NAMES: Final = tuple(each.name for each in fields(OldVault))


class OldVaults:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def all(self) -> list[OldVault]:
        """Return all, those erased lately included, in the order in which they were left."""
        with self._session() as session:
            return [_old(row) for row in session.scalars(select(OldVaultRow).order_by(_ORDER))]

    def pending(self) -> list[OldVault]:
        """Return those that are still to be erased, oldest first."""
        query = select(OldVaultRow).where(OldVaultRow.due, OldVaultRow.done_at.is_(None))
        with self._session() as session:
            return [_old(row) for row in session.scalars(query.order_by(_ORDER))]

    def of_account(self, username: str) -> list[OldVault]:
        """Return those of the account that had this name."""
        query = select(OldVaultRow).where(OldVaultRow.username == username)
        with self._session() as session:
            return [_old(row) for row in session.scalars(query.order_by(_ORDER))]

    def of_vault(self, vault_id: str) -> list[OldVault]:
        """Return the accounts that left this vault and did not have it erased."""
        query = select(OldVaultRow).where(
            OldVaultRow.vault_id == vault_id, OldVaultRow.done_at.is_(None)
        )
        with self._session() as session:
            return [_old(row) for row in session.scalars(query.order_by(_ORDER))]

    def count_pending(self) -> int:
        """Return how many are still to be erased."""
        query = select(func.count()).where(OldVaultRow.due, OldVaultRow.done_at.is_(None))
        with self._session() as session:
            return session.scalar(query) or 0

    def save(self, changed: Sequence[OldVault]) -> None:
        """Keep these as they are now."""
        with self._session() as session:
            for each in changed:
                session.execute(
                    update(OldVaultRow)
                    .where(
                        OldVaultRow.vault_id == each.vault_id,
                        OldVaultRow.target == each.target,
                        OldVaultRow.guid == each.guid,
                    )
                    .values(**columns(each))
                )

    def forget_erased(self, before: datetime) -> None:
        """Forget what was erased before a moment; the receipt was to be had until then."""
        with self._session() as session:
            session.execute(
                delete(OldVaultRow).where(
                    OldVaultRow.done_at.is_not(None), OldVaultRow.done_at < rfc3339(before)
                )
            )


_ORDER: Final = OldVaultRow.id


def remember(session: Session, left: Iterable[OldVault]) -> None:
    """Note vaults that are left behind, inside a transaction; a wish to erase one is kept."""
    for each in left:
        where = (
            OldVaultRow.vault_id == each.vault_id,
            OldVaultRow.target == each.target,
            OldVaultRow.guid == each.guid,
        )
        before = session.scalar(select(OldVaultRow).where(*where))
        if before is not None:
            each = replace(each, due=each.due or before.due, escrow=each.escrow or before.escrow)
            session.execute(delete(OldVaultRow).where(*where))
        session.execute(insert(OldVaultRow), [columns(each)])


def use_again(session: Session, vault_id: str, guid: str) -> None:
    """The account is enrolled to this vault once more: nothing of it is old any more."""
    session.execute(
        delete(OldVaultRow).where(OldVaultRow.vault_id == vault_id, OldVaultRow.guid == guid)
    )


def columns(each: OldVault) -> dict[str, object]:
    """Return the values of its row."""
    return {name: getattr(each, name) for name in _NAMES}


def _old(row: OldVaultRow) -> OldVault:
    return OldVault(**{name: getattr(row, name) for name in _NAMES})
