"""Pictures: each is encrypted once into an object of its own and referenced by its record.

Uploads go on beside the reading. Only the thread that reads changes what vaults know.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, cast

from vaultd.backup.engine.context import RunContext, spool_error
from vaultd.backup.engine.vault_run import VaultRun
from vaultd.backup.pace import Pace
from vaultd.backup.report import unexpected
from vaultd.errors import ObjectExists, VaultdError
from vaultd.keys import Recipient
from vaultd.records import Body, Record
from vaultd.sizes import plural
from vaultd.sources.base import Source
from vaultd.state.vaults.photos import KnownPhoto
from vaultd.vault.blobs import blob_digest, pack_blob
from vaultd.vault.layout import blob_name
from vaultd.vault.writer import PackedObject


class _UnreadableError(Exception):
    """The picture file is missing, cannot be read, or changes while it is read."""


class _Picture:
    """A picture file whose read errors cannot be taken for those of the spool."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle

    def read(self, size: int) -> bytes:
        try:
            return self._handle.read(size)
        except OSError as error:
            raise _UnreadableError from error

    def fileno(self) -> int:
        return self._handle.fileno()


@dataclass(frozen=True, slots=True)
class _Flight:
    """A picture on its way, `size` bytes; `photos` are the records and files that show it."""

    upload: Future[list[tuple[VaultRun, int | VaultdError]]]
    size: int
    photos: list[tuple[str, str, KnownPhoto]] = field(default_factory=list)


class Pictures:
    """Stores the pictures of one account; `missing` and `kept` count what could not be read."""

    def __init__(
        self, source: Source, context: RunContext, recipient: Recipient, blob_key: bytes
    ) -> None:
        self._source = source
        self._context = context
        self._recipient = recipient
        self._blob_key = blob_key
        self._flights: dict[bytes, _Flight] = {}
        self.missing = 0
        self.kept = 0
        self.too_large = 0

    def attach(self, record: Record, file: str, vaults: Sequence[VaultRun]) -> Body:
        """Return what a photo record's body gets: `blob`, `blob_missing` or `blob_left_out`.

        A picture may still be on its way when this returns, until `land`.
        """
        if not self._context.what.photos:
            return {"blob_left_out": "text only"}
        try:
            return self._attach(record, file, vaults)
        except _UnreadableError:
            return self._without_file(record, file, vaults)

    @property
    def flying(self) -> int:
        """Bytes that are on their way, as far as is known here."""
        return sum(flight.size for flight in self._flights.values())

    @property
    def landed(self) -> bool:
        """Whether no picture is on its way any more."""
        return all(flight.upload.done() for flight in self._flights.values())

    def land(self) -> None:
        """Wait for the pictures on their way and note which arrived; vaults that failed say so."""
        self._land(wait=True)

    def _land(self, *, wait: bool) -> None:
        for digest, flight in list(self._flights.items()):
            if not wait and not flight.upload.done():
                continue
            del self._flights[digest]
            for vault, stored in flight.upload.result():
                if not isinstance(stored, VaultdError):
                    vault.blobs[digest] = flight.size
                    vault.blob_bytes += stored
                    for photo in flight.photos:
                        vault.photos.put(*photo)
                elif vault.error is None:
                    vault.fail(stored)

    def notes(self) -> list[str]:
        """Sentences for the report."""
        notes = []
        if self.missing:
            notes.append(
                f"{plural(self.missing, 'picture file')} missing or not readable; their records "
                "are stored without a picture. Look at pod.uploads."
            )
        if self.too_large:
            notes.append(
                f"{plural(self.too_large, 'picture')} larger than backup.photo_bytes left out."
            )
        if self.kept:
            notes.append(
                f"{plural(self.kept, 'picture file')} missing now; the vault keeps the copies "
                "that it has."
            )
        return notes

    def _attach(self, record: Record, file: str, vaults: Sequence[VaultRun]) -> Body:
        known = [vault.photos.get(record.id, file) for vault in vaults]
        with self._open(file) as handle:
            size, mtime_ns, inode = _stamp(handle)
            most = self._context.what.photo_bytes
            if most and size > most:
                self.too_large += 1
                return {"blob_left_out": f"larger than {most} bytes"}
            first = known[0]
            if first is not None and mtime_ns:
                same = KnownPhoto(first.digest, size, mtime_ns, inode)
                if all(photo == same for photo in known):
                    return self._body(first.digest, size)
            digest, size = blob_digest(self._blob_key, handle)
        photo = KnownPhoto(digest, size, mtime_ns, inode)
        if digest not in self._flights and any(digest not in vault.blobs for vault in vaults):
            self._upload(file, digest, size, vaults)
        if digest in self._flights:
            self._flights[digest].photos.append((record.id, file, photo))
        for vault in vaults:
            if digest in vault.blobs:
                vault.photos.put(record.id, file, photo)
        return self._body(digest, size)

    @contextmanager
    def _open(self, file: str) -> Iterator[BinaryIO]:
        try:
            handle = self._source.open_file(file)
        except OSError as error:
            raise _UnreadableError from error
        with handle:
            yield cast(BinaryIO, _Picture(handle))

    def _upload(self, file: str, digest: bytes, size: int, vaults: Sequence[VaultRun]) -> None:
        uploads = self._context.uploads
        with ExitStack() as held:
            uploads.take_room(size)
            held.callback(uploads.free_room, size)
            self._land(wait=False)
            lacking = [x for x in vaults if x.error is None and digest not in x.blobs]
            if not lacking:
                return
            spool = held.enter_context(self._context.temporary())
            packed = self._pack(file, digest, spool)
            send = partial(_send, packed, spool, self._context.pace, lacking)
            self._flights[digest] = _Flight(uploads.start(size, send), packed.size)
            held.pop_all()  # the upload lets go of both

    def _pack(self, file: str, digest: bytes, spool: BinaryIO) -> PackedObject:
        with self._open(file) as handle:
            try:
                packed = pack_blob(spool, handle, digest, self._recipient, self._context.pod_key)
            except OSError as error:
                raise spool_error(self._context.spool, error) from error
        with self._open(file) as handle:
            # The name promises this content: a file that changes under us must wait.
            if blob_digest(self._blob_key, handle)[0] != digest:
                raise _UnreadableError
        return packed

    def _without_file(self, record: Record, file: str, vaults: Sequence[VaultRun]) -> Body:
        """An uploads folder that is not mounted today must not take pictures out of a vault."""
        known = [vault.photos.get(record.id, file) for vault in vaults]
        first = known[0]
        if first is not None and all(p is not None and p.digest == first.digest for p in known):
            self.kept += 1
            return self._body(first.digest, first.size)
        self.missing += 1
        return {"blob_missing": True}

    def _body(self, digest: bytes, size: int) -> Body:
        return {"blob": {"name": blob_name(self._recipient.vault_id, digest), "size": size}}


def _send(
    packed: PackedObject, spool: BinaryIO, pace: Pace, vaults: Sequence[VaultRun]
) -> list[tuple[VaultRun, int | VaultdError]]:
    """Create a picture in one vault after the other; return the bytes stored, or why not."""
    with spool:
        return [(vault, _create(packed, pace, vault)) for vault in vaults if vault.error is None]


def _create(packed: PackedObject, pace: Pace, vault: VaultRun) -> int | VaultdError:
    try:
        vault.backend.create(packed.name, pace.stream(packed.open()), packed.size)
    except ObjectExists:
        return 0
    except VaultdError as error:
        return error
    except Exception as error:  # noqa: BLE001 - one account's trouble is its own
        return unexpected(error)
    return packed.size


def _stamp(handle: BinaryIO) -> tuple[int, int, int]:
    """Return size, mtime in ns and inode; zeros where the source has no real file."""
    try:
        status = os.fstat(handle.fileno())
    except OSError:
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ino
