"""The manifest: what an archive says of the account at its moment (docs/format.md, section 5)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from vaultd.clock import parse_rfc3339
from vaultd.errors import DamageError
from vaultd.vault.layout import MAX_MANIFEST, MAX_NEEDS, MAX_TIME

MAX_KINDS: Final = 1000
_Name = Annotated[str, Meta(max_length=200)]
_Text = Annotated[str, Meta(max_length=4096)]


class ArchiveRef(msgspec.Struct, frozen=True):
    """An earlier archive that is part of this point in time."""

    sequence: int
    name: _Name
    size: int
    hash: Annotated[bytes, Meta(max_length=32)]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All about one point in time.

    `archives` are the earlier archives that together with this one (implied, last) make the
    account; `counts` has the whole account's records by kind, `changes` this archive's
    `[added, changed, removed]` by kind; `public_key` is the identity's PEM, empty where
    the first of `archives` tells it; `time` is RFC 3339.
    `selection` says, where it is not empty, that this archive holds only a part of the account.
    """

    account: _Text
    guid: _Text
    username: _Text
    public_key: Annotated[str, Meta(max_length=64 * 1024)]
    time: Annotated[str, Meta(max_length=MAX_TIME)]
    sequence: int
    archives: Annotated[tuple[ArchiveRef, ...], Meta(max_length=MAX_NEEDS)]
    counts: Annotated[dict[_Name, int], Meta(max_length=MAX_KINDS)]
    changes: Annotated[dict[_Name, tuple[int, int, int]], Meta(max_length=MAX_KINDS)]
    blob_key: Annotated[bytes, Meta(max_length=64)]
    pod_url: _Text
    software: _Text
    selection: _Text = ""

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes, besides its `archives`."""
        texts = self.account + self.username + self.public_key + self.pod_url + self.selection
        texts += self.guid + self.software
        return 1000 + len(texts) + 150 * len(self.counts) + 300 * len(self.changes)


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
