"""The clear header of archives and blobs: what anyone may read, and nothing more."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import msgspec
import nacl.bindings
import nacl.exceptions

from vaultd.errors import DamageError
from vaultd.vault.layout import (
    MAX_HEADER,
    MAX_NEEDS,
    MAX_OWNER,
    MAX_RECIPIENTS,
    MAX_TIME,
    SIGNATURE_SIZE,
    header_message,
)

if TYPE_CHECKING:
    from vaultd.keys import PodKey

_LENGTH: Final = struct.Struct("<I")


class Wrapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file key for one recipient: method and a sealed box (80 bytes for `x25519`)."""

    method: str
    box: bytes


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Clear header: vault id (16 bytes), sequence from 1, hash of the previous archive or nil,
    pod key (Ed25519, 32 bytes), the wrapped file key per recipient; a blob (sequence 0) has its
    own keyed hash in `blob`. An archive has its time (RFC 3339) and `needs`, the sequences of the
    archives it stands on, so that completeness can be checked and old points be retired by
    somebody who has no key, the pod itself after losing its state included. `owner` (16 bytes)
    lets the pod that wrote it, and nobody else, tell whose archive it is (`PodKey.owner_tag`)."""

    vault: bytes
    sequence: int
    previous: bytes | None
    pod: bytes
    recipients: tuple[Wrapped, ...]
    blob: bytes | None = None
    time: str | None = None
    needs: tuple[int, ...] | None = None
    owner: bytes | None = None


_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")
_decoder: Final = msgspec.msgpack.Decoder(Header)


def encode_header(magic: bytes, header: Header, pod_key: PodKey) -> bytes:
    """Return magic, length, msgpack header and the pod's signature over these."""
    body = _encoder.encode(header)
    clear = magic + _LENGTH.pack(len(body)) + body
    return clear + pod_key.sign(header_message(clear))


def verify(pod: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether `signature` (64 bytes) by the Ed25519 key `pod` covers `message`."""
    # The bare binding reads as many bytes as a key and a signature have, whatever it is given.
    if len(pod) != nacl.bindings.crypto_sign_PUBLICKEYBYTES or len(signature) != SIGNATURE_SIZE:
        return False
    try:
        nacl.bindings.crypto_sign_open(signature + message, pod)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def _needs_fit(header: Header) -> bool:
    """Needs rise, and all come before the archive itself."""
    needs = (0, *(header.needs or ()), max(header.sequence, 1))
    return len(needs) <= MAX_NEEDS + 2 and all(a < b for a, b in pairwise(needs))


def decode_header(magic: bytes, head: bytes, name: str) -> tuple[Header, int]:
    """Parse the start of an object; return the header and the offset of what follows it.

    The header's own signature is checked with the pod key it names; whether that pod is to be
    trusted is the caller's question. Raises DamageError naming the object when the bytes are not
    a header of format v1 or were changed.
    """
    start = len(magic) + _LENGTH.size
    if len(head) < start or head[: len(magic)] != magic:
        raise DamageError(
            f"{name} does not start like a vaultd object of format 1; it is damaged, or it was "
            "written by a newer vaultd."
        )
    (length,) = _LENGTH.unpack_from(head, len(magic))
    end = start + length
    if length > MAX_HEADER or len(head) < end + SIGNATURE_SIZE:
        raise DamageError(f"{name} has a header of {length} bytes that does not fit; it is cut.")
    try:
        header = _decoder.decode(head[start:end])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DamageError(f"{name} has an unreadable header ({error}).") from error
    if (
        len(header.vault) != 16
        or len(header.pod) != 32
        or header.sequence < 0
        or (header.previous is not None and len(header.previous) != 32)
        or (header.blob is not None and len(header.blob) != 32)
        or (header.owner is not None and len(header.owner) != 16)
        or len(header.time or "") > MAX_TIME
        or len(header.owner or b"") > MAX_OWNER
        or not 1 <= len(header.recipients) <= MAX_RECIPIENTS
        or not _needs_fit(header)
    ):
        raise DamageError(f"{name} has a header with impossible sizes; it is damaged.")
    if not verify(header.pod, header_message(head[:end]), head[end : end + SIGNATURE_SIZE]):
        raise DamageError(
            f"{name} has a header that is not what its pod signed; it is damaged or forged."
        )
    return header, end + SIGNATURE_SIZE
