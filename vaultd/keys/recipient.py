"""The recipient `vault1…`: the public half of a kit, all that a pod ever sees of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import nacl.bindings
import nacl.exceptions

from vaultd.errors import UsageError
from vaultd.keys import bech32m

_ANY_SCALAR = bytes(31) + b"\x40"


@dataclass(frozen=True, slots=True)
class Recipient:
    """X25519 public key `box` and Ed25519 public key `sign`, 32 bytes each."""

    box: bytes
    sign: bytes

    def __str__(self) -> str:
        return bech32m.encode("vault", self.box + self.sign)

    @property
    def vault_id(self) -> str:
        """The vault's opaque name on storage: 32 hex characters."""
        digest = hashlib.blake2b(self.box + self.sign, digest_size=16, person=b"vaultd-v1-id")
        return digest.hexdigest()

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """Read a `vault1…` string (line breaks from copying do not matter).

        Raises UsageError saying what is wrong with it.
        """
        try:
            hrp, data = bech32m.decode("".join(text.split()))
        except ValueError as error:
            raise UsageError(
                f"This is not a recipient: {error}.",
                hint="A recipient starts with vault1; `vaultd recipient --kit KIT` prints it.",
            ) from error
        if hrp != "vault" or len(data) != 64:
            raise UsageError(
                f"This is a {hrp[:20]!r} string of {len(data)} bytes, not a recipient.",
                hint="A recipient starts with vault1; `vaultd recipient --kit KIT` prints it.",
            )
        if not _usable(data[:32]) or not nacl.bindings.crypto_core_ed25519_is_valid_point(
            data[32:]
        ):
            raise UsageError(
                "This recipient holds a point that no kit can have; nobody could open the vault.",
                hint="`vaultd recipient --kit KIT` prints the right one.",
            )
        return cls(data[:32], data[32:])


def _usable(box: bytes) -> bool:
    """Tell whether X25519 works with this key; sealing to a point of low order fails later."""
    try:
        nacl.bindings.crypto_scalarmult(_ANY_SCALAR, box)
    except nacl.exceptions.RuntimeError:
        return False
    return True
