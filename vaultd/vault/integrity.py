"""Integrity with public keys only: what hosts, scrubbers and `verify` without a kit check."""

from __future__ import annotations

from vaultd.errors import DamageError
from vaultd.vault.clear_header import read_clear_header
from vaultd.vault.coding.object_stream import ObjectStream
from vaultd.vault.escrow import MAX_ESCROW, escrow_name
from vaultd.vault.header import Header, decode_header, verify
from vaultd.vault.layout import (
    BLOB_MAGIC,
    MAX_HEADER,
    SIGNATURE_SIZE,
    blob_name,
    parse_archive_name,
    vault_of,
    whole_message,
)
from vaultd.vault.place import Place


def check_archive(place: Place, name: str, size: int) -> Header:
    """Read a whole archive of `size` bytes; check header, end signature and the hash in its name.

    Raises DamageError, ObjectMissing or PlaceError.
    """
    check = ArchiveCheck(place, name, size)
    check.finish()
    return check.header


class ArchiveCheck:
    """`check_archive` in two steps, for whom the header is of use even if the rest is damaged.

    Both steps raise DamageError, ObjectMissing or PlaceError.
    """

    def __init__(self, place: Place, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self._stream = ObjectStream(place, name, size)
        self.header, _ = read_clear_header(self._stream, name)

    def finish(self) -> None:
        """Read and check what follows the header."""
        _check_rest(self._stream, self.header, self.name, self.size)
        parts = parse_archive_name(self.name)
        if parts is None or parts[2] != self._stream.digest():
            raise DamageError(f"{self.name} is not the object that its name promises.")


def check_blob(place: Place, name: str, size: int) -> Header:
    """Read a whole blob; check header, end signature and that it stands under its own name."""
    stream = ObjectStream(place, name, size)
    header, offset = decode_header(BLOB_MAGIC, stream.peek(MAX_HEADER + 128), name)
    stream.read_exact(offset)
    if header.blob is None or blob_name(header.vault.hex(), header.blob) != name:
        raise DamageError(f"{name} is another blob under this name.")
    _check_rest(stream, header, name, size)
    return header


def check_escrow(place: Place, name: str, size: int) -> None:
    """Read a sealed secret of `size` bytes and check the hash in its name.

    Raises DamageError, ObjectMissing or PlaceError.
    """
    vault_id = vault_of(name) or ""
    small = size <= MAX_ESCROW
    if not small or escrow_name(vault_id, place.read(name, 0, MAX_ESCROW + 1)) != name:
        raise DamageError(f"{name} is not the sealed secret that its name promises.")


def _check_rest(stream: ObjectStream, header: Header, name: str, size: int) -> None:
    left = size - SIGNATURE_SIZE - stream.position
    if left < 0:
        raise DamageError(f"{name} is cut: it has only {size} bytes.")
    stream.skip(left)
    message = whole_message(stream.digest())
    signature = stream.read_exact(SIGNATURE_SIZE)
    if not stream.at_end() or not verify(header.pod, message, signature):
        raise DamageError(f"{name} is damaged: the pod's signature over the whole does not hold.")
