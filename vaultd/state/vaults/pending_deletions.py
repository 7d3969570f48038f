"""Objects that retention gave up: noted before they are deleted, forgotten when they are gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select

from vaultd.state.database import Database, parts
from vaultd.state.models import DoomedRow
from vaultd.state.vaults.points import StoredArchive, StoredBlob
from vaultd.state.vaults.vaults import VaultKey, save_objects


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The objects (name, bytes) that one vault gives up, and what it is known to hold then."""

    key: VaultKey
    objects: Sequence[tuple[str, int]]
    archives: tuple[StoredArchive, ...]
    blobs: tuple[StoredBlob, ...]


class PendingDeletions:
    """The first phase of every deletion; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def add(self, vaults: Sequence[GivenUp]) -> None:
        """Give objects up: these vaults are known to hold the rest from here on."""
        known = {key: set(names) for key, names in self.pending({v.key[0] for v in vaults}).items()}
        with self._session() as session:
            save_objects(session, [(v.key, v.archives, v.blobs) for v in vaults])
            rows = []
            for each in vaults:
                (account, target), before = each.key, known.get(each.key, ())
                rows += [
                    {"enrollment_id": account, "target": target, "name": name, "size": size}
                    for name, size in each.objects
                    if name not in before
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

    def done(self, names: Mapping[VaultKey, Collection[str]]) -> None:
        """These given-up objects are gone from their targets (or are needed again)."""
        rows = [
            {"account": account, "place": target, "object": name}
            for (account, target), some in names.items()
            for name in some
        ]
        one = delete(DoomedRow).where(
            DoomedRow.enrollment_id == bindparam("account"),
            DoomedRow.target == bindparam("place"),
            DoomedRow.name == bindparam("object"),
        )
        if rows:
            with self._session() as session:
                session.connection().execute(one, rows)
