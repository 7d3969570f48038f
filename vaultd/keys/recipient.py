"""The recipient `vault1…`: the public half of a kit, all that a pod ever sees of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from vaultd.errors import UsageError
from vaultd.keys import bech32m


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
        """Read a `vault1…` string; raises UsageError saying what is wrong with it."""
        try:
            hrp, data = bech32m.decode(text.strip())
        except ValueError as error:
            raise UsageError(
                f"This is not a recipient: {error}.",
                hint="A recipient starts with vault1; `vaultd recipient --kit KIT` prints it.",
            ) from error
        if hrp != "vault" or len(data) != 64:
            raise UsageError(
                f"This is a {hrp!r} string, not a recipient.",
                hint="A recipient starts with vault1; `vaultd recipient --kit KIT` prints it.",
            )
        return cls(data[:32], data[32:])
