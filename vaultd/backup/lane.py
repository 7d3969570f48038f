"""A lane: one account on its way into one vault (one target) during a run.

The order of a commit is what makes a kill harmless: stage the point in the state, create the
archive, promote the point. Whether a staged archive arrived is asked of the place, once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final, cast

from vaultd.backends.base import Backend
from vaultd.backup.escrow import store_escrow
from vaultd.backup.report import Changes, Status, TargetResult
from vaultd.errors import DamageError, ObjectExists, PlaceFull, VaultdError
from vaultd.keys import PodKey, Recipient
from vaultd.records import Body
from vaultd.state.index import AccountIndex
from vaultd.state.photos import PhotoCache
from vaultd.state.points import NOTHING, StoredArchive, VaultPoint
from vaultd.state.store import Enrollment, State
from vaultd.vault.layout import parse_archive_name
from vaultd.vault.manifest import ArchiveRef, Manifest
from vaultd.vault.writer import ArchiveWriter

_BLOB: Final = "/blob-"


@dataclass(frozen=True, slots=True)
class Workbench:
    """What all lanes of a run share; `spool` is a folder that sees only ciphertext."""

    state: State
    pod_key: PodKey
    spool: Path

    def temporary(self) -> BinaryIO:
        """Return a nameless file in the spool folder; raises PlaceFull."""
        try:
            return cast(BinaryIO, tempfile.TemporaryFile(dir=self.spool))
        except OSError as error:
            raise spool_error(self.spool, error) from error


class StartOverError(Exception):
    """The place does not hold what the state says; the account must be read again in full."""


@dataclass(slots=True)
class Lane:
    """Opened by `open_lane`; `error` is set when it failed, and it takes no more records.

    `sequence` is the next archive's, `previous` the hash of the one before, if it is known.
    """

    bench: Workbench
    enrollment: Enrollment
    recipient: Recipient
    target: str
    backend: Backend
    point: VaultPoint
    photos: PhotoCache
    sequence: int
    previous: bytes | None
    stored_blobs: frozenset[bytes] = frozenset()
    note: str = ""
    error: VaultdError | None = None
    blob_bytes: int = 0
    _writer: ArchiveWriter | None = None
    _spool: BinaryIO | None = None
    _archive: StoredArchive | None = None
    _changes: Changes = field(default_factory=dict)

    def fail(self, error: VaultdError) -> None:
        """Give this target up for this account and run; what was uploaded is remembered."""
        self.error = error
        self.discard()

    def add(self, kind: str, record_id: str, body: Body | None) -> None:
        """Write a record or a tombstone; a full spool fails the lane."""
        try:
            if self._writer is None:
                self._spool = self.bench.temporary()
                self._writer = ArchiveWriter(
                    self._spool,
                    self.recipient,
                    self.bench.pod_key,
                    sequence=self.sequence,
                    previous=self.previous,
                )
            self._writer.add(kind, record_id, body)
        except PlaceFull as error:
            self.fail(error)
        except OSError as error:
            self.fail(spool_error(self.bench.spool, error))

    def discard(self) -> None:
        """Drop what was packed; keep the pictures that are in the vault by now."""
        if self._spool is not None:
            self._spool.close()
        self._spool = self._writer = None
        if self.photos.dirty and self.point.last is not None:
            self.bench.state.save_photos(
                self.enrollment.id, self.target, self.photos.dump(everything=True)
            )
            self.photos.dirty = False

    def commit(self, manifest: Manifest, index: Iterable[bytes]) -> None:
        """Store the archive and make it the vault's newest point.

        Raises StartOverError (the state is reset then), PlaceError.
        """
        if self._writer is None:
            return
        if self.point.last is not None:
            self._check_place(self.point.last)
        packed = self._writer.finish(manifest)
        archive = StoredArchive(self.sequence, packed.name, packed.size, packed.hash)
        point = VaultPoint(
            self.sequence,
            archive,
            (*self.point.archives, archive),
            sum(manifest.counts.values()),
            self.photos.dump(),
        )
        state, account = self.bench.state, self.enrollment.id
        state.stage(account, self.target, point, index)
        # The name carries the content's hash: where it exists, an earlier try of ours arrived.
        with suppress(ObjectExists):
            self.backend.create(packed.name, packed.open(), packed.size)
        state.promote(account, self.target)
        self.photos.dirty = False
        self._archive, self._changes = archive, manifest.changes

    def _check_place(self, last: StoredArchive) -> None:
        """Make sure that the newest archive there is the one that the state knows."""
        found = _archives(self.backend, self.enrollment.vault_id)
        ahead = [a for a in found if a[0] >= last.sequence and a[1] != last.name]
        there = any(name == last.name for _, name, _ in found)
        if there and not ahead:
            return
        highest = max([last.sequence, *(sequence for sequence, _, _ in found)])
        self.bench.state.restart(self.enrollment.id, self.target, highest)
        self.discard()
        if ahead:
            raise StartOverError(
                f"{self.target}: the vault holds an archive {ahead[-1][0]} that this state did not "
                "write after its own (an old state was put back, or two writers use the vault). "
                "Both stay restorable; the next archive holds the whole account on its own."
            )
        raise StartOverError(
            f"{self.target}: archive {last.sequence}, the newest that this state knows, is not in "
            "the vault. The next archive holds the whole account on its own."
        )

    def refs(self) -> tuple[ArchiveRef, ...]:
        """The earlier archives that the next one stands on."""
        return tuple(ArchiveRef(a.sequence, a.name, a.size, a.hash) for a in self.point.archives)

    def result(self) -> TargetResult:
        """What this lane came to."""
        if self.error is not None:
            return TargetResult(
                self.target,
                Status.FAILED,
                blobs=self.blob_bytes,
                reason=str(self.error),
                code=self.error.code,
            )
        if self._archive is None:
            return TargetResult(self.target, Status.UNCHANGED, blobs=self.blob_bytes)
        return TargetResult(
            self.target,
            Status.WRITTEN,
            self._archive.name,
            self._archive.sequence,
            self._archive.size,
            self.blob_bytes,
            self._changes,
        )


def spool_error(spool: Path, error: OSError) -> PlaceFull:
    """Say that the spool folder is the trouble, not the target."""
    return PlaceFull(
        f"The spool folder {spool} cannot be written ({error.strerror}).",
        hint="Packing needs room for the largest archive in the state folder.",
    )


def _archives(backend: Backend, vault_id: str) -> list[tuple[int, str, bytes]]:
    """List a vault's archives by sequence; ten digits start with 0 for a long time yet."""
    parsed = ((parse_archive_name(o.name), o.name) for o in backend.list(f"{vault_id}/0"))
    return [(parts[1], name, parts[2]) for parts, name in parsed if parts is not None]


def open_lane(
    bench: Workbench,
    enrollment: Enrollment,
    recipient: Recipient,
    target: str,
    backend: Backend,
) -> tuple[Lane, AccountIndex]:
    """Find out where a vault stands; a vault with a known point costs the place no request.

    Raises PlaceError.
    """
    state = bench.state
    staged = state.staged_name(enrollment.id, target)
    if staged is not None:
        if any(o.name == staged for o in backend.list(staged)):
            state.promote(enrollment.id, target)
        else:
            state.unstage(enrollment.id, target)
    point = state.point(enrollment.id, target) or NOTHING
    damage = ""
    last = point.last
    if last is not None:
        try:
            pieces = state.index_pieces(enrollment.id, target, point.sequence)
            index = AccountIndex.load(state.digests, pieces)
            photos = PhotoCache(state.digests, point.photos)
        except DamageError as error:
            damage = f"{target}: {error}"
            state.restart(enrollment.id, target, point.sequence)
            point = replace(NOTHING, sequence=point.sequence)
        else:
            lane = Lane(
                bench=bench,
                enrollment=enrollment,
                recipient=recipient,
                target=target,
                backend=backend,
                point=replace(point, photos=b""),
                photos=photos,
                sequence=point.sequence + 1,
                previous=last.hash,
            )
            return lane, index
    lane = _open_fresh(bench, enrollment, recipient, (target, backend), point)
    lane.note = damage or lane.note
    return lane, AccountIndex(state.digests)


def _open_fresh(
    bench: Workbench,
    enrollment: Enrollment,
    recipient: Recipient,
    place: tuple[str, Backend],
    point: VaultPoint,
) -> Lane:
    """Open a vault whose next archive stands on its own, after all that is there already."""
    target, backend = place
    vault = enrollment.vault_id
    if enrollment.escrow is not None:
        store_escrow(backend, vault, enrollment.escrow)
    archives: list[tuple[int, bytes]] = []
    blobs: set[bytes] = set()
    for item in backend.list(f"{vault}/"):
        parts = parse_archive_name(item.name)
        if parts is not None:
            archives.append((parts[1], parts[2]))
        elif item.name.startswith(vault + _BLOB):
            blobs.add(_blob_digest(item.name[len(vault + _BLOB) :]))
    sequence = max([point.sequence, *(number for number, _ in archives)]) + 1
    before = [digest for number, digest in archives if number == sequence - 1]
    note = ""
    if archives and point.sequence == 0:
        note = (
            f"{target}: the vault already holds archives up to {sequence - 1} that this state does "
            f"not know (the state was lost); archive {sequence} holds the whole account on its own."
        )
    return Lane(
        bench=bench,
        enrollment=enrollment,
        recipient=recipient,
        target=target,
        backend=backend,
        point=point,
        photos=PhotoCache(bench.state.digests),
        sequence=sequence,
        previous=before[0] if len(before) == 1 else None,
        stored_blobs=frozenset(blobs),
        note=note,
    )


def _blob_digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
