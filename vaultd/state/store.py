"""The state: who is enrolled; `vaults`, `marks`, `journal` and their kin hold the rest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from vaultd.clock import now, rfc3339
from vaultd.errors import UsageError
from vaultd.state.census import Census
from vaultd.state.database import Database, parts
from vaultd.state.index.digests import Digests
from vaultd.state.journal import Journal
from vaultd.state.marks import WATERMARK, Marks
from vaultd.state.models import EnrollmentRow, OptOutRow, VaultRow, WatermarkRow
from vaultd.state.own_targets import OwnTargets
from vaultd.state.probes import Probes
from vaultd.state.suspects import Suspects
from vaultd.state.tallies import Tallies
from vaultd.state.vaults.old_vaults import OldVault, OldVaults, remember, use_again
from vaultd.state.vaults.pending_deletions import PendingDeletions
from vaultd.state.vaults.vaults import Vaults


@dataclass(frozen=True, slots=True)
class Enrollment:
    """One enrolled account; `recipient` is its `vault1…` text, `escrow` the sealed secret."""

    id: int
    username: str
    guid: str
    handle: str
    recipient: str
    vault_id: str
    blob_key: bytes = field(repr=False)
    escrow: bytes | None = field(repr=False)
    enrolled_at: str


class State:
    """The state database in a folder; every method is one transaction.

    Raises ConfigError, DamageError or UsageError on opening; PlaceError when it cannot be
    written later.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._database = Database(directory)
        self._session = self._database.session
        self.journal = Journal(self._database)
        self.vaults = Vaults(self._database)
        self.marks = Marks(self._database)
        self.pending_deletions = PendingDeletions(self._database)
        self.suspects = Suspects(self._database)
        self.probes = Probes(self._database)
        self.own_targets = OwnTargets(self._database)
        self.tallies = Tallies(self._database)
        self.old_vaults = OldVaults(self._database)
        self.census = Census(self._database)
        self.digests = Digests(self._database.key)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def tidy(self) -> None:
        """Have what was deleted leave the write-ahead log too, unless somebody reads just now."""
        self._database.tidy()

    # -- enrollments ---------------------------------------------------------------------------

    def enrollments(self, usernames: Collection[str] | None = None) -> list[Enrollment]:
        """Return these enrolled accounts (unknown names are left out), or all, by name."""
        query = select(EnrollmentRow)
        with self._session() as session:
            if usernames is None:
                rows = list(session.scalars(query))
            else:
                rows = [
                    row
                    for part in parts(set(usernames))
                    for row in session.scalars(query.where(EnrollmentRow.username.in_(part)))
                ]
            return sorted(map(_enrollment, rows), key=lambda each: each.username)

    def usernames(self) -> list[str]:
        """Return the names of all enrolled accounts in the order of their enrolment."""
        with self._session() as session:
            return list(session.scalars(select(EnrollmentRow.username).order_by(EnrollmentRow.id)))

    def guids(self) -> set[str]:
        """Return the person guids of all enrolled accounts."""
        with self._session() as session:
            return set(session.scalars(select(EnrollmentRow.guid)))

    def pages(self, size: int) -> Iterator[list[Enrollment]]:
        """Yield all enrolled accounts, `size` at a time, in the order of their enrolment."""
        last = 0
        while True:
            query = select(*EnrollmentRow.__table__.columns).where(EnrollmentRow.id > last)
            with self._session() as session:
                rows = session.execute(query.order_by(EnrollmentRow.id).limit(size))
                page = [Enrollment(*row) for row in rows]
            if not page:
                return
            last = page[-1].id
            yield page

    def enrolled(self) -> int:
        """Return how many accounts are enrolled."""
        with self._session() as session:
            return session.scalar(select(func.count()).select_from(EnrollmentRow)) or 0

    def of_vault(self, vault_id: str) -> list[Enrollment]:
        """Return the accounts that are enrolled to a vault: one, or in old states several."""
        with self._session() as session:
            query = select(EnrollmentRow).where(EnrollmentRow.vault_id == vault_id)
            return [_enrollment(row) for row in session.scalars(query.order_by(EnrollmentRow.id))]

    def of_person(self, guid: str, username: str) -> list[Enrollment]:
        """Return what is enrolled of this person, or under this name: after a renaming both."""
        query = select(EnrollmentRow).where(
            (EnrollmentRow.guid == guid) | (EnrollmentRow.username == username)
        )
        with self._session() as session:
            return [_enrollment(row) for row in session.scalars(query.order_by(EnrollmentRow.id))]

    def shared_vaults(self) -> dict[str, list[str]]:
        """Return the vaults (ids) of several accounts, and the usernames of these as enrolled."""
        vault, many = EnrollmentRow.vault_id, func.count() > 1
        several = select(vault).group_by(vault).having(many)
        query = select(vault, EnrollmentRow.username).where(vault.in_(several))
        found: dict[str, list[str]] = {}
        with self._session() as session:
            for vault_id, username in session.execute(query.order_by(EnrollmentRow.id)):
                found.setdefault(vault_id, []).append(username)
        return found

    def enroll(
        self,
        *,
        username: str,
        guid: str,
        handle: str,
        recipient: str,
        vault_id: str,
        escrow: bytes | None = None,
        left: Sequence[OldVault] = (),
        replaces: Collection[int] = (),
    ) -> Enrollment:
        """Enrol an account, or give it a new recipient: its next archive starts a fresh vault.

        `left` are the vaults that it leaves behind thereby, `replaces` enrolments (ids) that end
        with it, besides that of the same name. That it wanted none is forgotten.
        """
        with self._session() as session:
            old = session.scalar(select(EnrollmentRow).where(EnrollmentRow.username == username))
            if old is not None:
                session.delete(old)
                session.flush()
            session.execute(delete(EnrollmentRow).where(EnrollmentRow.id.in_(replaces)))
            remember(session, left)
            use_again(session, vault_id, guid)
            session.execute(delete(OptOutRow).where(OptOutRow.id == self._opt_out(guid)))
            row = EnrollmentRow(
                username=username,
                guid=guid,
                handle=handle,
                recipient=recipient,
                vault_id=vault_id,
                blob_key=os.urandom(32),
                escrow=escrow,
                enrolled_at=rfc3339(now()),
            )
            session.add(row)
            session.execute(delete(WatermarkRow).where(WatermarkRow.id == WATERMARK))
            try:
                session.flush()
            except IntegrityError as error:
                raise UsageError(f"{username} is being enrolled by another process.") from error
            return _enrollment(row)

    def unenroll(self, enrollment: Enrollment, left: Sequence[OldVault] = ()) -> None:
        """Forget an account but for the vaults that it leaves; no policy enrols it again."""
        with self._session() as session:
            session.execute(delete(EnrollmentRow).where(EnrollmentRow.id == enrollment.id))
            remember(session, left)
            out = self._opt_out(enrollment.guid)
            if session.get(OptOutRow, out) is None:
                session.add(OptOutRow(id=out))

    def opted_out(self, guids: Collection[str]) -> set[str]:
        """Return those of these accounts (guids) that were unenrolled and not enrolled again."""
        with self._session() as session:
            rows = set(session.scalars(select(OptOutRow.id)))
        return {guid for guid in guids if self._opt_out(guid) in rows} if rows else set()

    def _opt_out(self, guid: str) -> bytes:
        return hashlib.blake2b(guid.encode(), digest_size=8, person=b"opt-out").digest()

    def targets_of(self, enrollment: Enrollment) -> list[str]:
        """Return the targets on which an account's vault has, or may have, objects."""
        with self._session() as session:
            query = select(VaultRow.target).where(VaultRow.enrollment_id == enrollment.id)
            there = set(session.scalars(query))
        return sorted(there | {target for _, target in self.vaults.staged([enrollment.id])})


def _enrollment(row: EnrollmentRow) -> Enrollment:
    return Enrollment(
        row.id,
        row.username,
        row.guid,
        row.handle,
        row.recipient,
        row.vault_id,
        row.blob_key,
        row.escrow,
        row.enrolled_at,
    )
