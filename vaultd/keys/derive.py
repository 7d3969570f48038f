"""From the recovery secret to its keys (docs/format.md, section 1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import nacl.public
import nacl.signing

from vaultd.errors import UsageError
from vaultd.keys.recipient import Recipient

SECRET_SIZE = 16


def _subkey(secret: bytes, purpose: bytes, size: int = 32) -> bytes:
    return hashlib.blake2b(b"", digest_size=size, key=secret, person=purpose).digest()


def owner_signing_seed(secret: bytes) -> bytes:
    """Return the seed of the Ed25519 key that signs archives which the kit's owner makes alone.

    Where no pod signs (`vaultd pull`), the words alone bring the key back.
    """
    return _subkey(secret, b"vaultd-v1-pull")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the twelve words open: the X25519 key, the Ed25519 key, the 8-byte check value."""

    box: nacl.public.PrivateKey = field(repr=False)
    sign: nacl.signing.SigningKey = field(repr=False)
    check: bytes
    recipient: Recipient

    @classmethod
    def from_secret(cls, secret: bytes) -> Secrets:
        """Derive everything from the 16-byte recovery secret; raises UsageError on other sizes."""
        if len(secret) != SECRET_SIZE:
            raise UsageError(f"A recovery secret has {SECRET_SIZE} bytes, not {len(secret)}.")
        box = nacl.public.PrivateKey(_subkey(secret, b"vaultd-v1-box"))
        sign = nacl.signing.SigningKey(_subkey(secret, b"vaultd-v1-sign"))
        return cls(
            box,
            sign,
            _subkey(secret, b"vaultd-v1-check", 8),
            Recipient(bytes(box.public_key), bytes(sign.verify_key)),
        )
