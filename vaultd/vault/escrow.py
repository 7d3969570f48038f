"""Escrow: an account's recovery secret, sealed to the podmin's offline recovery key.

The pod makes the secret, seals it and forgets it; only the podmin's recovery words open it again.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
import nacl.exceptions
import nacl.public

from vaultd.errors import DamageError, WrongKeyError
from vaultd.keys import Recipient, Secrets

_VERSION: Final = 1
MAX_ESCROW: Final = 4096


class EscrowedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed: whose account (handle, person guid) and its 16-byte recovery secret."""

    version: int
    account: str
    guid: str
    secret: bytes

    def __repr__(self) -> str:
        return f"EscrowedSecret({self.account})"


_encoder: Final = msgspec.msgpack.Encoder(order="deterministic")
_decoder: Final = msgspec.msgpack.Decoder(EscrowedSecret)


def seal_secret(recovery: Recipient, account: str, guid: str, secret: bytes) -> bytes:
    """Return the sealed box (libsodium) that only the recovery key opens."""
    plain = _encoder.encode(
        EscrowedSecret(version=_VERSION, account=account, guid=guid, secret=secret)
    )
    return nacl.public.SealedBox(nacl.public.PublicKey(recovery.box)).encrypt(plain)


def open_secret(sealed: bytes, recovery: Secrets) -> EscrowedSecret:
    """Open a sealed secret with the podmin's recovery key; raises WrongKeyError, DamageError."""
    try:
        plain = nacl.public.SealedBox(recovery.box).decrypt(sealed)
    except (nacl.exceptions.CryptoError, ValueError) as error:
        raise WrongKeyError(
            "This sealed secret was not made for this recovery key, or it is damaged."
        ) from error
    try:
        found = _decoder.decode(plain)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise DamageError("The sealed secret holds something else than a secret.") from error
    if found.version != _VERSION:
        raise DamageError(f"The sealed secret has version {found.version}; use a newer vaultd.")
    return found


def escrow_name(vault_id: str, sealed: bytes) -> str:
    """Return the object name of a sealed secret: `<vault id>/escrow-<BLAKE2b-256>`."""
    return f"{vault_id}/escrow-{hashlib.blake2b(sealed, digest_size=32).hexdigest()}"
