"""Sections: secretstream chunks with lengths (docs/format.md, section 4).

A section is the 24-byte secretstream header, then chunks of `length (u32 LE) | ciphertext`; the
last chunk carries the FINAL tag. Associated data of the first chunk binds the section to its
place (`manifest` / `records` / `blob`) and to the object's clear header.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

import nacl.bindings as sodium
import nacl.exceptions

from vaultd.errors import DamageError
from vaultd.vault.coding.padme import padme
from vaultd.vault.layout import FRAME_PADDING, FRAME_PLAIN, LENGTH_SIZE, MAX_CHUNK, object_hash

HEADER_SIZE: Final = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
OVERHEAD: Final = LENGTH_SIZE + sodium.crypto_secretstream_xchacha20poly1305_ABYTES
_MESSAGE: Final = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_FINAL: Final = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_LENGTH: Final = struct.Struct("<I")


def new_file_key() -> bytes:
    """Return a fresh random 32-byte file key."""
    return sodium.crypto_secretstream_xchacha20poly1305_keygen()


def binding(place: bytes, clear: bytes) -> bytes:
    """Return the associated data of a section's first chunk: its place and the header's hash."""
    digest = object_hash()
    digest.update(clear)
    return place + digest.digest()


class SectionWriter:
    """Encrypts chunks in order and hands the bytes to `sink`."""

    def __init__(self, key: bytes, ad: bytes, sink: Callable[[bytes], object]) -> None:
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        self._ad = ad
        self._sink = sink
        head = sodium.crypto_secretstream_xchacha20poly1305_init_push(self._state, key)
        sink(head)
        self.size = len(head)

    def write(self, plain: bytes, *, final: bool = False) -> None:
        """Encrypt one chunk; nothing may follow a final one."""
        cipher = sodium.crypto_secretstream_xchacha20poly1305_push(
            self._state, plain, self._ad, _FINAL if final else _MESSAGE
        )
        self._ad = b""
        self._sink(_LENGTH.pack(len(cipher)))
        self._sink(cipher)
        self.size += LENGTH_SIZE + len(cipher)

    def write_padding(self, others: int) -> None:
        """End the section so that it and `others` bytes around it are a Padmé size together."""
        bare = others + self.size + OVERHEAD + 1
        left = padme(bare) - bare
        while left > FRAME_PLAIN:
            step = min(FRAME_PLAIN, left - OVERHEAD - 1)
            self.write(bytes([FRAME_PADDING]) + bytes(step))
            left -= step + OVERHEAD + 1
        self.write(bytes([FRAME_PADDING]) + bytes(left), final=True)


def read_section(
    key: bytes, ad: bytes, read_exact: Callable[[int], bytes], name: str, limit: int = MAX_CHUNK
) -> Iterator[bytes]:
    """Yield the decrypted chunks of a section until its final one.

    `read_exact(n)` returns n bytes or raises DamageError. Raises DamageError naming the object
    at the first chunk that is not what was written; chunks yielded before that are authentic.
    """
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    sodium.crypto_secretstream_xchacha20poly1305_init_pull(state, read_exact(HEADER_SIZE), key)
    number = 0
    while True:
        number += 1
        (length,) = _LENGTH.unpack(read_exact(LENGTH_SIZE))
        if not OVERHEAD - LENGTH_SIZE <= length <= limit:
            raise DamageError(f"{name} is damaged: chunk {number} claims {length} bytes.")
        cipher = read_exact(length)
        try:
            plain, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(state, cipher, ad)
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise DamageError(
                f"{name} is damaged: chunk {number} is not what was written."
            ) from error
        ad = b""
        if tag not in (_MESSAGE, _FINAL):
            raise DamageError(f"{name} is damaged: chunk {number} has an unknown tag.")
        yield plain
        if tag == _FINAL:
            return
