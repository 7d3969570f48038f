"""Sealing what the state packs, with a key that is not in the state database.

XChaCha20-Poly1305. The nonce is a keyed hash of the plain bytes, so that equal pieces are equal
sealed too: vaults that stand at the same point are told by that, and nothing else is.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Final

import nacl.bindings
import nacl.exceptions

_LENGTH: Final = struct.Struct("<I")
_NONCE: Final = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_MOST: Final = 1024 * 1024  # a sealed piece has at most some 330 KiB
_PURPOSE: Final = b"vaultd state piece 1"


class PieceSeal:
    """Seals and opens pieces of up to 1 MiB under keys that come from the state's key."""

    __slots__ = ("_key", "_nonce_key")

    def __init__(self, key: bytes) -> None:
        self._key = _derived(key, b"state-seal")
        self._nonce_key = _derived(key, b"state-nonce")

    def seal(self, plain: bytes) -> bytes:
        """Return length (u32 LE), nonce and ciphertext."""
        nonce = hashlib.blake2b(plain, key=self._nonce_key, digest_size=_NONCE).digest()
        sealed = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            plain, _PURPOSE, nonce, self._key
        )
        return _LENGTH.pack(len(nonce) + len(sealed)) + nonce + sealed

    def open_all(self, stored: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the plain pieces of what was stored, however it is cut; raises ValueError."""
        held = bytearray()
        for part in stored:
            held += part
            while len(held) >= _LENGTH.size:
                (size,) = _LENGTH.unpack_from(held)
                if not _NONCE < size <= _MOST:
                    raise ValueError("impossible sizes")
                end = _LENGTH.size + size
                if len(held) < end:
                    break
                yield self._open(bytes(held[_LENGTH.size : end]))
                del held[:end]
        if held:
            raise ValueError("it is cut")

    def _open(self, sealed: bytes) -> bytes:
        try:
            return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed[_NONCE:], _PURPOSE, sealed[:_NONCE], self._key
            )
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise ValueError("it is not what this state's key sealed") from error


def _derived(key: bytes, person: bytes) -> bytes:
    return hashlib.blake2b(key=key, digest_size=32, person=person).digest()
