"""Pictures: each is encrypted once into an object of its own and referenced by its record."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

from vaultd.backup.lane import Lane
from vaultd.backup.report import unexpected
from vaultd.backup.workbench import Workbench, spool_error
from vaultd.errors import ObjectExists, VaultdError
from vaultd.keys import Recipient
from vaultd.records import Body, Record
from vaultd.sources.base import Source
from vaultd.state.photos import KnownPhoto
from vaultd.vault.blobs import blob_digest, pack_blob
from vaultd.vault.layout import blob_name


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


class Pictures:
    """Stores the pictures of one account; `missing` and `kept` count what could not be read."""

    def __init__(
        self, source: Source, bench: Workbench, recipient: Recipient, blob_key: bytes
    ) -> None:
        self._source = source
        self._bench = bench
        self._recipient = recipient
        self._blob_key = blob_key
        self.missing = 0
        self.kept = 0
        self.too_large = 0

    def attach(self, record: Record, file: str, lanes: Sequence[Lane]) -> Body:
        """Return what a photo record's body gets: `blob`, `blob_missing` or `blob_left_out`.

        The picture is in the vault of every lane that did not fail when this returns.
        """
        if not self._bench.what.photos:
            return {"blob_left_out": "text only"}
        try:
            return self._attach(record, file, lanes)
        except _UnreadableError:
            return self._without_file(record, file, lanes)

    def notes(self) -> list[str]:
        """Sentences for the report."""
        notes = []
        if self.missing:
            notes.append(
                f"{self.missing} picture files are missing or cannot be read; their records are "
                "stored without a picture. Look at pod.uploads."
            )
        if self.too_large:
            notes.append(
                f"{self.too_large} pictures are larger than backup.photo_bytes and left out."
            )
        if self.kept:
            notes.append(
                f"{self.kept} picture files are missing now; the vault keeps the copies it has."
            )
        return notes

    def _attach(self, record: Record, file: str, lanes: Sequence[Lane]) -> Body:
        known = [lane.photos.get(record.id, file) for lane in lanes]
        with self._open(file) as handle:
            size, mtime_ns, inode = _stamp(handle)
            most = self._bench.what.photo_bytes
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
        lacking = [
            lane
            for lane, old in zip(lanes, known, strict=True)
            if (old is None or old.digest != digest) and digest not in lane.blobs
        ]
        if lacking:
            self._upload(file, digest, lacking)
        for lane in lanes:
            if lane.error is None:
                lane.photos.put(record.id, file, photo)
        return self._body(digest, size)

    @contextmanager
    def _open(self, file: str) -> Iterator[BinaryIO]:
        try:
            handle = self._source.open_file(file)
        except OSError as error:
            raise _UnreadableError from error
        with handle:
            yield cast(BinaryIO, _Picture(handle))

    def _upload(self, file: str, digest: bytes, lanes: Sequence[Lane]) -> None:
        with self._bench.temporary() as spool:
            with self._open(file) as handle:
                try:
                    packed = pack_blob(spool, handle, digest, self._recipient, self._bench.pod_key)
                except OSError as error:
                    raise spool_error(self._bench.spool, error) from error
            with self._open(file) as handle:
                # The name promises this content: a file that changes under us must wait.
                if blob_digest(self._blob_key, handle)[0] != digest:
                    raise _UnreadableError
            for lane in lanes:
                try:
                    data = self._bench.pace.stream(packed.open())
                    lane.backend.create(packed.name, data, packed.size)
                except ObjectExists:
                    lane.blobs[digest] = packed.size
                except VaultdError as error:
                    lane.fail(error)
                except Exception as error:  # noqa: BLE001 - one target's trouble is its own
                    lane.fail(unexpected(error))
                else:
                    lane.blobs[digest] = packed.size
                    lane.blob_bytes += packed.size

    def _without_file(self, record: Record, file: str, lanes: Sequence[Lane]) -> Body:
        """An uploads folder that is not mounted today must not take pictures out of a vault."""
        known = [lane.photos.get(record.id, file) for lane in lanes]
        first = known[0]
        if first is not None and all(p is not None and p.digest == first.digest for p in known):
            self.kept += 1
            return self._body(first.digest, first.size)
        self.missing += 1
        return {"blob_missing": True}

    def _body(self, digest: bytes, size: int) -> Body:
        return {"blob": {"name": blob_name(self._recipient.vault_id, digest), "size": size}}


def _stamp(handle: BinaryIO) -> tuple[int, int, int]:
    """Return size, mtime in ns and inode; zeros where the source has no real file."""
    try:
        status = os.fstat(handle.fileno())
    except OSError:
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ino
