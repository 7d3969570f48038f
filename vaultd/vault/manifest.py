"""The manifest: what an archive says of the account at its moment (docs/format.md, section 5)."""

from __future__ import annotations

from typing import Final

import msgspec

from vaultd.clock import parse_rfc3339
from vaultd.errors import DamageError
from vaultd.vault.layout import MAX_MANIFEST


class ArchiveRef(msgspec.Struct, frozen=True):
    """An earlier archive that is part of this point in time."""

    sequence: int
    name: str
    size: int
    hash: bytes


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All about one point in time.

    `archives` are the earlier archives that together with this one (implied, last) make the
    account; `counts` has the whole account's records by kind, `changes` this archive's
    `[added, changed, removed]` by kind; `public_key` is the identity's PEM, empty where
    the first of `archives` tells it; `time` is RFC 3339.
    `selection` says, where it is not empty, that this archive holds only a part of the account.
    """

    account: str
    guid: str
    username: str
    public_key: str
    time: str
    sequence: int
    archives: tuple[ArchiveRef, ...]
    counts: dict[str, int]
    changes: dict[str, tuple[int, int, int]]
    blob_key: bytes
    pod_url: str
    software: str
    selection: str = ""


_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")
_decoder: Final = msgspec.msgpack.Decoder(Manifest)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest's deterministic msgpack bytes."""
    return _encoder.encode(manifest)


def decode_manifest(data: bytes, name: str) -> Manifest:
    """Parse decrypted manifest bytes of the archive `name`; raises DamageError."""
    if len(data) > MAX_MANIFEST:
        raise DamageError(f"{name} has a manifest of {len(data)} bytes, which is too large.")
    try:
        manifest = _decoder.decode(data)
        parse_rfc3339(manifest.time)
        return manifest
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DamageError(f"{name} has an unreadable manifest ({error}).") from error
