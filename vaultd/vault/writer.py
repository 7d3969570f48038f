"""Writing an archive: records stream into an encrypted spool; the manifest comes at the end.

The spool holds ciphertext only. The finished object is `header | manifest section | records
section | signature`; the manifest stands first, so it is encrypted as a section of its own.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from vaultd.keys import PodKey, Recipient
from vaultd.records import Body, encode_record
from vaultd.vault.coding.sections import SectionWriter, binding, new_file_key
from vaultd.vault.compression import compress, frames_of
from vaultd.vault.file_key import wrap_key
from vaultd.vault.header import Header, encode_header
from vaultd.vault.layout import (
    ARCHIVE_MAGIC,
    FRAME_PLAIN,
    FRAME_RECORDS,
    SIGNATURE_SIZE,
    archive_name,
    object_hash,
    whole_message,
)
from vaultd.vault.manifest import Manifest, encode_manifest

_COPY: Final = 1024 * 1024


class _Joined(io.RawIOBase):
    """Bytes in front, a spool, bytes behind: one readable stream without copying the spool.

    It can be rewound to its start, which is what a second try of an upload needs.
    """

    def __init__(self, front: bytes, spool: BinaryIO, behind: bytes) -> None:
        super().__init__()
        self._all: tuple[BinaryIO, ...] = (io.BytesIO(front), spool, io.BytesIO(behind))
        self._parts: list[BinaryIO] = []
        self._position = 0
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only to the start")
        for part in self._all:
            part.seek(0)
        self._parts, self._position = list(self._all), 0
        return 0

    def read(self, size: int = -1) -> bytes:
        if size is None or size < 0:
            data = b"".join(part.read() for part in self._parts)
            self._parts = []
        else:
            data = b""
            while self._parts and not data and size:
                data = self._parts[0].read(size)
                if not data:
                    self._parts.pop(0)
        self._position += len(data)
        return data


@dataclass(frozen=True, slots=True)
class PackedObject:
    """A finished object, ready for `Backend.create`: its name, size in bytes and hash."""

    name: str
    size: int
    hash: bytes
    _front: bytes
    _spool: BinaryIO
    _behind: bytes

    def open(self) -> BinaryIO:
        """Return a fresh stream over the whole object (one at a time)."""
        return _Joined(self._front, self._spool, self._behind)  # type: ignore[return-value]


def seal(front: bytes, spool: BinaryIO, pod_key: PodKey) -> tuple[bytes, bytes]:
    """Return the end signature over `front` + spool, and the hash of the whole object."""
    digest = object_hash()
    digest.update(front)
    for piece in _pieces(spool):
        digest.update(piece)
    signature = pod_key.sign(whole_message(digest.digest()))
    digest.update(signature)
    return signature, digest.digest()


def _pieces(spool: BinaryIO) -> Iterator[bytes]:
    spool.seek(0)
    while piece := spool.read(_COPY):
        yield piece


class ArchiveWriter:
    """Packs the changed records of one run for one vault.

    `spool` is an empty, seekable, writable file that sees only ciphertext; `sequence` counts
    from 1; `previous` is the hash of the archive before, or None for the first; `needs` are the
    sequences of the archives that this one stands on, `time` is RFC 3339, `owner` a tag of 16
    bytes (`PodKey.owner_tag`).
    """

    def __init__(
        self,
        spool: BinaryIO,
        recipient: Recipient,
        pod_key: PodKey,
        *,
        sequence: int,
        previous: bytes | None,
        needs: Sequence[int] | None = None,
        time: str | None = None,
        owner: bytes | None = None,
        extra_recipients: Sequence[Recipient] = (),
    ) -> None:
        self._spool = spool
        self._pod_key = pod_key
        self._vault_id = recipient.vault_id
        self._sequence = sequence
        self._key = new_file_key()
        header = Header(
            vault=bytes.fromhex(recipient.vault_id),
            sequence=sequence,
            previous=previous,
            pod=pod_key.public,
            recipients=wrap_key(self._key, (recipient, *extra_recipients)),
            time=time,
            needs=None if needs is None else tuple(needs),
            owner=owner,
        )
        self._clear = encode_header(ARCHIVE_MAGIC, header, pod_key)
        self._records = SectionWriter(self._key, binding(b"records", self._clear), spool.write)
        self._frame: list[bytes] = []
        self._held = 0
        self.records = 0

    def add(self, kind: str, record_id: str, body: Body | None) -> None:
        """Append a record, or its tombstone when `body` is None."""
        self.add_encoded(encode_record(kind, record_id, body))

    def add_encoded(self, *records: bytes) -> None:
        """Append records that are encoded already (`encode_record`)."""
        self._frame += records
        self.records += len(records)
        self._held += sum(map(len, records))
        if self._held >= FRAME_PLAIN:
            plain = b"".join(self._frame)
            whole = len(plain) - len(plain) % FRAME_PLAIN
            for start in range(0, whole, FRAME_PLAIN):
                self._write_frame(plain[start : start + FRAME_PLAIN])
            self._frame = [plain[whole:]]
            self._held = len(plain) - whole

    def add_shared(self, records: tuple[bytes, ...]) -> None:
        """Append encoded records that go into many archives: compressed once, in own frames."""
        self._end_frame()
        for frame in frames_of(records):
            self._write_compressed(frame)
        self.records += len(records)

    @property
    def size(self) -> int:
        """Bytes of ciphertext so far."""
        return self._records.size

    def _end_frame(self) -> None:
        if self._held:
            self._write_frame(b"".join(self._frame))
            self._frame.clear()
            self._held = 0

    def _write_frame(self, plain: bytes) -> None:
        self._write_compressed(compress(plain))

    def _write_compressed(self, frame: bytes) -> None:
        self._records.write(bytes([FRAME_RECORDS]) + frame)

    def finish(self, manifest: Manifest) -> PackedObject:
        """End the archive with its manifest; the writer is of no use afterwards."""
        self._end_frame()
        front = bytearray(self._clear)
        section = SectionWriter(self._key, binding(b"manifest", self._clear), front.extend)
        section.write(compress(encode_manifest(manifest)), final=True)
        self._records.write_padding(len(front) + SIGNATURE_SIZE)
        signature, digest = seal(bytes(front), self._spool, self._pod_key)
        return PackedObject(
            name=archive_name(self._vault_id, self._sequence, digest),
            size=len(front) + self._records.size + SIGNATURE_SIZE,
            hash=digest,
            _front=bytes(front),
            _spool=self._spool,
            _behind=signature,
        )
