"""The constants of format v1 and the names of stored objects (docs/format.md, sections 2 and 3)."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Final

ARCHIVE_MAGIC: Final = b"vaultd-archive\x00\x01"
BLOB_MAGIC: Final = b"vaultd-blob\x00\x00\x00\x00\x01"
MAX_HEADER: Final = 64 * 1024
MAX_MANIFEST: Final = 1024 * 1024
FRAME_PLAIN: Final = 256 * 1024
FRAME_TAIL: Final = 17  # secretstream adds a tag byte and a 16-byte authenticator
MAX_RECIPIENTS: Final = 16
MAX_NEEDS: Final = 1000
MAX_TIME: Final = 40  # characters of an RFC 3339 time
MAX_OWNER: Final = 64
SIGNATURE_SIZE: Final = 64
LENGTH_SIZE: Final = 4

FRAME_PADDING: Final = 0
FRAME_RECORDS: Final = 1
FRAME_BLOB: Final = 2
MAX_CHUNK: Final = FRAME_PLAIN + 4096 + FRAME_TAIL  # zstd may grow what it cannot shrink

_ARCHIVE_NAME: Final = re.compile(r"([0-9a-f]{32})/([0-9]{10})-([0-9a-f]{64})")
_VAULT_PREFIX: Final = re.compile(r"([0-9a-f]{32})/.*")


def object_hash() -> hashlib.blake2b:
    """Return the hash over a whole stored object (BLAKE2b-256)."""
    return hashlib.blake2b(digest_size=32, person=b"vaultd-v1-object")


def header_message(header: bytes) -> bytes:
    """Return what the pod signs for the header: it vouches for the wrapped file key."""
    return b"vaultd-v1-header" + header


def whole_message(digest: bytes) -> bytes:
    """Return what the pod signs at the end: the BLAKE2b-256 of everything before."""
    return b"vaultd-v1-whole\x00" + digest


def archive_name(vault_id: str, sequence: int, digest: bytes) -> str:
    """Return the object name of an archive: `<vault id>/<10 digits>-<hash>`."""
    return f"{vault_id}/{sequence:010d}-{digest.hex()}"


@lru_cache(maxsize=64)
def parse_archive_name(name: str) -> tuple[str, int, bytes] | None:
    """Return (vault id, sequence, hash) of an archive's name, or None for other objects."""
    match = _ARCHIVE_NAME.fullmatch(name)
    if match is None:
        return None
    return match[1], int(match[2]), bytes.fromhex(match[3])


def blob_name(vault_id: str, digest: bytes) -> str:
    """Return the object name of a blob: `<vault id>/blob-<keyed hash>`."""
    return f"{vault_id}/blob-{digest.hex()}"


def vault_of(name: str) -> str | None:
    """Return the vault id that an object name belongs to, or None."""
    match = _VAULT_PREFIX.fullmatch(name)
    return match[1] if match else None
