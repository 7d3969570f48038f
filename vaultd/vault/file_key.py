"""An archive's or blob's file key, sealed to those who may open it."""

from __future__ import annotations

from collections.abc import Sequence

import nacl.bindings
import nacl.exceptions
import nacl.public

from vaultd.keys import Recipient, Secrets
from vaultd.vault.header import Header, Wrapped


def wrap_key(file_key: bytes, recipients: Sequence[Recipient]) -> tuple[Wrapped, ...]:
    """Seal a 32-byte file key to each recipient's X25519 key (libsodium sealed box)."""
    return tuple(
        Wrapped("x25519", nacl.public.SealedBox(nacl.public.PublicKey(r.box)).encrypt(file_key))
        for r in recipients
    )


def unwrap_key(header: Header, secrets: Secrets) -> bytes | None:
    """Return the 32-byte file key, or None if no recipient in the header is ours."""
    opener = nacl.public.SealedBox(secrets.box)
    for wrapped in header.recipients:
        if wrapped.method != "x25519":
            continue
        try:
            key = opener.decrypt(wrapped.box)
        except (nacl.exceptions.CryptoError, ValueError):
            continue  # sealed to somebody else
        if len(key) == nacl.bindings.crypto_secretstream_xchacha20poly1305_KEYBYTES:
            return key
    return None
