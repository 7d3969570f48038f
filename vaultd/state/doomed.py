"""Objects that retention gave up: noted before they are deleted, forgotten when they are gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, insert, select

from vaultd.state.database import Database, parts
from vaultd.state.models import DoomedRow
from vaultd.state.points import StoredArchive, StoredBlob
from vaultd.state.vaults import VaultKey, save_objects


class Doomed:
    """The first phase of every deletion; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def doom(
        self,
        key: VaultKey,
        archives: tuple[StoredArchive, ...],
        blobs: tuple[StoredBlob, ...],
        doomed: Sequence[tuple[str, int]],
    ) -> None:
        """Give objects (name, bytes) up: the vault is known to hold the rest from here on."""
        account, target = key
        with self._session() as session:
            save_objects(session, key, archives, blobs)
            known = set(
                session.scalars(
                    select(DoomedRow.name).where(
                        DoomedRow.enrollment_id == account, DoomedRow.target == target
                    )
                )
            )
            rows = [
                {"enrollment_id": account, "target": target, "name": name, "size": size}
                for name, size in doomed
                if name not in known
            ]
            if rows:
                session.execute(insert(DoomedRow), rows)

    def pending(self, accounts: Collection[int] | None = None) -> dict[VaultKey, list[str]]:
        """Return the names of the objects that are given up and perhaps still there."""
        query = select(DoomedRow.enrollment_id, DoomedRow.target, DoomedRow.name)
        found: dict[VaultKey, list[str]] = {}
        with self._session() as session:
            for part in [None] if accounts is None else parts(accounts):
                some = query if part is None else query.where(DoomedRow.enrollment_id.in_(part))
                for account, target, name in session.execute(some.order_by(DoomedRow.name)):
                    found.setdefault((account, target), []).append(name)
        return found

    def buried(self, key: VaultKey, names: Collection[str]) -> None:
        """These given-up objects are gone from the target (or are needed again)."""
        with self._session() as session:
            for part in parts(names):
                session.execute(
                    delete(DoomedRow).where(
                        DoomedRow.enrollment_id == key[0],
                        DoomedRow.target == key[1],
                        DoomedRow.name.in_(part),
                    )
                )
