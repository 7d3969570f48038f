"""A vault in a run: where one account's vault on one target stands, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from msgspec.structs import replace as changed

from vaultd.backends.base import Backend
from vaultd.backup.engine.context import RunContext
from vaultd.backup.report import Changes, Status, TargetResult, failed_at, pack_changes
from vaultd.errors import DamageError, ObjectMissing, VaultdError
from vaultd.state.store import Enrollment
from vaultd.state.vaults.photos import PhotoCache
from vaultd.state.vaults.points import StoredArchive, StoredBlob, VaultPoint
from vaultd.vault.integrity import ArchiveCheck
from vaultd.vault.layout import parse_archive_name
from vaultd.vault.listing import list_vault

BLOB: Final = "/blob-"
_LOOKED_AT: Final = 32


class StartOverError(Exception):
    """The place does not hold what the state says; the account must be read again."""


@dataclass(slots=True)
class VaultRun:
    """Opened by `open_vault_run`; `error` is set when it failed, and it takes no more records.

    `sequence` is the next archive's, `previous` the hash of the one before, if it is known;
    `blobs` are the pictures that are in the vault (keyed hash: bytes).
    """

    context: RunContext
    enrollment: Enrollment
    target: str
    backend: Backend
    point: VaultPoint
    photos: PhotoCache
    sequence: int
    previous: bytes | None
    blobs: dict[bytes, int]
    bad_blobs: dict[bytes, StoredBlob] = field(default_factory=dict)
    note: str = ""
    error: VaultdError | None = None
    blob_bytes: int = 0
    seen: frozenset[str] = frozenset()
    archive: StoredArchive | None = None
    changes: Changes = field(default_factory=dict)

    def fail(self, error: VaultdError) -> None:
        """Give this target up for this account and run; what was uploaded is remembered."""
        self.error = error

    def close(self) -> None:
        """Keep the pictures that are in the vault by now, where no archive did."""
        if self.photos.dirty and self.point.last is not None:
            self.photos.dirty = False
            known = {blob.digest for blob in self.point.blobs}
            # Until an archive refers to them they count as gone from the next one on.
            more = [
                StoredBlob(digest, size, self._gone_before(digest))
                for digest, size in sorted(self.blobs.items())
                if digest not in known
            ]
            more += [blob for d, blob in self.bad_blobs.items() if d not in self.blobs]
            self.context.state.vaults.save_photos(
                self.enrollment.id,
                self.target,
                self.photos.dump(everything=True),
                (*self.point.blobs, *more),
            )

    def _gone_before(self, digest: bytes) -> int:
        bad = self.bad_blobs.get(digest)
        return self.sequence if bad is None else bad.gone

    def next_point(self, archive: StoredArchive, records: int) -> VaultPoint:
        """Return the point that the vault has once `archive` is there."""
        used = self.photos.used()
        blobs = {blob.digest: blob for blob in self.point.blobs}
        for digest, size in self.blobs.items():
            blobs.setdefault(digest, StoredBlob(digest, size))
        for digest, bad in self.bad_blobs.items():
            blobs.setdefault(digest, bad)
        return replace(
            self.point,
            sequence=archive.sequence,
            last=archive,
            archives=(*self.point.archives, archive),
            records=records,
            photos=self.photos.dump(),
            blobs=tuple(
                changed(blob, gone=0, foreign=False)
                if digest in used  # by a name that only this account's key gives
                else replace_gone(blob, blob.gone or archive.sequence)
                for digest, blob in sorted(blobs.items())
            ),
        )

    def beside(self, archive: StoredArchive) -> VaultPoint:
        """Return the point once a partial archive is there: the newest whole point stays."""
        blobs = {blob.digest: blob for blob in self.point.blobs}
        for digest, size in self.blobs.items():
            # Only the partial archive refers to it: the next whole one does without.
            blobs.setdefault(digest, StoredBlob(digest, size, archive.sequence + 1))
        return replace(
            self.point,
            sequence=archive.sequence,
            archives=(*self.point.archives, archive),
            photos=self.photos.dump(everything=True),
            blobs=tuple(blob for _, blob in sorted(blobs.items())),
        )

    def check_place(self) -> None:
        """Make sure that the place holds what the state says, and nothing that another wrote.

        Raises StartOverError (the state is corrected then), PlaceError.
        """
        last = self.point.last
        if last is None:
            return
        found = _archives(self.backend, self.enrollment.vault_id)
        self.seen = frozenset(found)
        known = {archive.name for archive in self.point.archives}
        known |= self.context.given_up(self.enrollment.id, self.target)
        ahead = self._written_by_us(
            [
                (sequence, name, size)
                for name, (sequence, size) in found.items()
                if sequence >= last.sequence and name not in known
            ]
        )
        missing = [a for a in self.point.live if a.name not in self.seen and not a.bad]
        hidden = [a for a in missing if not ahead and self._is_there(a)]
        if hidden:
            self.note = (
                f"{self.target}: its listing is old, archive {hidden[-1].sequence} is not in it "
                "and yet there."
            )
            self.seen |= {archive.name for archive in hidden}
            missing = [archive for archive in missing if archive not in hidden]
        if ahead or last in missing:
            self._start_over(max(ahead, default=0), last)
        if missing:
            self._lost(missing)

    def _written_by_us(self, strangers: list[tuple[int, str, int]]) -> list[int]:
        """Return the sequences of those that this pod wrote; a name alone proves nothing.

        Of many only the lowest are looked at: another writer goes on where this one stood.
        """
        ours: list[int] = []
        for sequence, name, size in sorted(strangers)[:_LOOKED_AT]:
            try:
                check = ArchiveCheck(self.backend, name, size)
                if check.header.pod == self.context.pod_key.public:
                    check.finish()
                    ours.append(sequence)
            except (DamageError, ObjectMissing):
                continue
        if len(strangers) > len(ours):
            self.note = not_ours(self.target, len(strangers) - len(ours))
        return ours

    def _start_over(self, ahead: int, last: StoredArchive) -> None:
        highest = max(self.sequence - 1, ahead)
        self.context.state.vaults.restart(self.enrollment.id, self.target, highest)
        if ahead:
            raise StartOverError(
                f"{self.target}: the vault holds an archive {ahead} that this state did not "
                "write after its own (an old state was put back, or two writers use the vault). "
                "Both stay restorable; the next archive holds the whole account on its own."
            )
        raise StartOverError(
            f"{self.target}: archive {last.sequence}, the newest that this state knows, is not in "
            "the vault. The next archive holds the whole account on its own."
        )

    def _lost(self, missing: list[StoredArchive]) -> None:
        names = {archive.name for archive in missing}
        archives = tuple(replace_bad(a) if a.name in names else a for a in self.point.archives)
        self.context.state.vaults.save_archives(
            self.enrollment.id, self.target, archives, self.point.blobs
        )
        numbers = ", ".join(str(archive.sequence) for archive in missing)
        raise StartOverError(
            f"{self.target}: archive {numbers}, which the newest point stands on, is not in the "
            "vault. What it held is written again."
        )

    def _is_there(self, archive: StoredArchive) -> bool:
        try:
            return bool(self.backend.read(archive.name, 0, 1))
        except ObjectMissing:
            return False

    def result(self) -> TargetResult:
        """What the run came to here."""
        if self.error is not None:
            return failed_at(self.target, self.error, self.blob_bytes)
        if self.archive is None:
            return TargetResult(self.target, Status.UNCHANGED, blobs=self.blob_bytes)
        return TargetResult(
            self.target,
            Status.WRITTEN,
            self.archive.name,
            self.archive.sequence,
            self.archive.size,
            self.blob_bytes,
            pack_changes(self.changes),
        )


def replace_gone(blob: StoredBlob, gone: int) -> StoredBlob:
    """Return a picture's entry with its `gone`."""
    return blob if blob.gone == gone else changed(blob, gone=gone)


def replace_bad(archive: StoredArchive) -> StoredArchive:
    """Return an archive's entry marked as bad."""
    return changed(archive, bad=True)


def not_ours(target: str, count: int) -> str:
    """Say that a vault lists archives that this pod did not write."""
    if count == 1:
        return (
            f"{target}: the vault lists an archive that this pod did not sign, or that is damaged; "
            "it is left alone."
        )
    return (
        f"{target}: the vault lists {count:,} archives that this pod did not sign, or that are "
        "damaged; they are left alone."
    )


def _archives(backend: Backend, vault_id: str) -> dict[str, tuple[int, int]]:
    """List a vault's archives, by name, with sequence and size; see list_vault for errors.

    Ten digits start with 0 for a long time yet.
    """
    found = list_vault(backend, vault_id, "0")
    parsed = ((parse_archive_name(name), name, size) for name, size in found.items())
    return {name: (parts[1], size) for parts, name, size in parsed if parts is not None}
