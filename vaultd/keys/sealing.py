"""Sealing credentials at rest: XChaCha20-Poly1305, bound to what they belong to."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from nacl.exceptions import CryptoError
from nacl.secret import Aead

from vaultd.errors import DamageError, WrongKeyError

_ID: Final = b"vaultd seal id"
_PURPOSE: Final = b"vaultd own target 1"


class SealingKey:
    """A 32-byte key; `id` names it without telling anything about it."""

    def __init__(self, key: bytes) -> None:
        self._box = Aead(key)
        self.id = hashlib.blake2b(_ID, key=key, digest_size=8).hexdigest()

    def seal(self, plain: bytes, belongs: Sequence[str]) -> bytes:
        """Return `plain` sealed; only with the same `belongs` it can be opened."""
        return bytes(self._box.encrypt(plain, _bound(belongs)))

    def open(self, sealed: bytes, belongs: Sequence[str], key_id: str) -> bytes:
        """Return what was sealed with the key that `key_id` names.

        Raises WrongKeyError for another key, DamageError for changed or moved bytes.
        """
        if key_id != self.id:
            raise WrongKeyError(
                f"These credentials are sealed with another key ({key_id[:16]}; the one here is "
                f"{self.id}).",
                hint="Put that key back, bring them to the new one with `vaultd target reseal`, or "
                "set the target again.",
            )
        try:
            return bytes(self._box.decrypt(sealed, _bound(belongs)))
        except (CryptoError, ValueError, TypeError) as error:
            raise DamageError(
                "These sealed credentials are damaged, or were moved here from another account.",
                hint="They are not used; set the target again.",
            ) from error


def _bound(belongs: Sequence[str]) -> bytes:
    parts = [_PURPOSE, *(part.encode("utf-8", "surrogatepass") for part in belongs)]
    return b"".join(len(part).to_bytes(4, "little") + part for part in parts)
