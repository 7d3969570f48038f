"""Reading one archive front to back: header, manifest, records, end signature.

The header's signature vouches for the wrapped file key, so every chunk that authenticates under
that key was written by the pod: records before a damaged chunk are safe to use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain

from vaultd.errors import DamageError, WrongKeyError
from vaultd.keys import Secrets
from vaultd.records import StoredRecord
from vaultd.vault.clear_header import read_clear_header, unknown_pod
from vaultd.vault.coding.allowance import RECORD, Allowance
from vaultd.vault.coding.object_stream import ObjectStream
from vaultd.vault.coding.record_stream import RecordStream
from vaultd.vault.coding.sections import binding, read_section
from vaultd.vault.compression import decompress
from vaultd.vault.file_key import unwrap_key
from vaultd.vault.header import verify
from vaultd.vault.layout import (
    FRAME_PADDING,
    FRAME_RECORDS,
    MAX_MANIFEST,
    SIGNATURE_SIZE,
    parse_archive_name,
    whole_message,
)
from vaultd.vault.manifest import Manifest, decode_manifest
from vaultd.vault.place import Place


class ArchiveReader:
    """One archive opened with the recovery secrets; iterate `records()` once.

    `pods` are the trusted pod keys. Raises ForgeryError for another pod's archive, WrongKeyError
    when it is sealed to somebody else, DamageError when header or manifest are damaged.
    """

    def __init__(self, place: Place, name: str, secrets: Secrets, pods: Collection[bytes]) -> None:
        self.name = name
        self._stream = ObjectStream(place, name)
        self.header, self._clear = read_clear_header(self._stream, name)
        if self.header.pod not in pods:
            raise unknown_pod(name, self.header.pod)
        key = unwrap_key(self.header, secrets)
        if key is None:
            raise WrongKeyError(
                f"These words do not open {name}.",
                hint="It belongs to another kit; look for the kit with this vault's id.",
            )
        self._key = key
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> Manifest:
        chunks = list(
            read_section(
                self._key,
                binding(b"manifest", self._clear),
                self._stream.read_exact,
                self.name,
                MAX_MANIFEST,
            )
        )
        if len(chunks) != 1:
            raise DamageError(f"{self.name} has a manifest in {len(chunks)} pieces.")
        manifest = decode_manifest(decompress(chunks[0], MAX_MANIFEST), self.name)
        if manifest.sequence != self.header.sequence:
            raise DamageError(f"{self.name} holds the manifest of another archive.")
        return manifest

    def records(self) -> Iterator[StoredRecord]:
        """Yield the records in the order written; raises DamageError at the first damage, and
        TooLargeError.

        Everything yielded is authentic; after the last one the hash in the name and the pod's
        end signature are checked too.
        """
        return chain.from_iterable(self.batches())

    def batches(self, allowance: Allowance | None = None) -> Iterator[list[StoredRecord]]:
        """Yield what `records` does, in lists of at most a frame: less work for each record.

        What it unpacks to counts towards `allowance`, the archive's own if there is none.
        """
        allowance = allowance or Allowance()
        records = RecordStream(self.name)
        chunks = read_section(
            self._key, binding(b"records", self._clear), self._stream.read_exact, self.name
        )
        for chunk in chunks:
            kind, payload = chunk[:1], chunk[1:]
            if kind == bytes([FRAME_PADDING]):
                continue
            if kind != bytes([FRAME_RECORDS]):
                raise DamageError(f"{self.name} holds a chunk of an unknown type.")
            plain = decompress(payload)
            allowance.take(self.name, len(plain), len(chunk))
            left = len(plain)
            for batch in records.feed(plain):
                left -= RECORD * len(batch)
                if left < 0:
                    allowance.take(self.name, -left)
                    left = 0
                yield batch
        records.end()
        self._check_end()

    def _check_end(self) -> None:
        message = whole_message(self._stream.digest())
        signature = self._stream.read_exact(SIGNATURE_SIZE)
        parts = parse_archive_name(self.name)
        if not verify(self.header.pod, message, signature):
            raise DamageError(f"{self.name} does not end with its pod's signature.")
        if parts is None or parts[2] != self._stream.digest() or not self._stream.at_end():
            raise DamageError(f"{self.name} is not the object that its name promises.")
