"""The pod key: the Ed25519 key with which a daemon signs everything it stores."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import nacl.signing

from vaultd.errors import ConfigError, UsageError
from vaultd.keys import bech32m
from vaultd.keys.secret_file import create_or_keep


def fingerprint(public: bytes) -> str:
    """Return a pod key's public half (32 bytes) as `pod1…`, as it stands in kits."""
    return bech32m.encode("pod", public)


def parse_pod_key(text: str) -> bytes:
    """Read a `pod1…` string to 32 bytes; raises UsageError."""
    try:
        hrp, data = bech32m.decode("".join(text.split()))
    except ValueError as error:
        raise UsageError(
            f"This is not a pod key: {error}.",
            hint="A pod key starts with pod1; it stands in the kit.",
        ) from error
    if hrp != "pod" or len(data) != 32:
        raise UsageError(
            f"This is a {hrp[:20]!r} string of {len(data)} bytes, not a pod key.",
            hint="A pod key starts with pod1; it stands in the kit.",
        )
    return data


class PodKey:
    """The daemon's signing key; its seed lies in a file of mode 0600."""

    def __init__(self, seed: bytes) -> None:
        self._key = nacl.signing.SigningKey(seed)
        self.public = bytes(self._key.verify_key)
        self.fingerprint = fingerprint(self.public)

    def __repr__(self) -> str:
        return f"PodKey({self.fingerprint})"

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature over `message`."""
        return self._key.sign(message).signature

    def owner_tag(self, vault_id: str, guid: str) -> bytes:
        """Return the 16 bytes by which this pod knows again whose archive it wrote in a vault.

        To all others they are random: a keyed hash of vault id (hex) and person guid.
        """
        key = hashlib.blake2b(
            key=bytes(self._key), digest_size=32, person=b"vaultd-v1-owner"
        ).digest()
        return hashlib.blake2b(f"{vault_id}{guid}".encode(), key=key, digest_size=16).digest()

    @classmethod
    def generate(cls) -> PodKey:
        """Return a fresh key that lives in memory only."""
        return cls(os.urandom(32))

    @classmethod
    def load(cls, path: Path) -> PodKey:
        """Read the key file; raises ConfigError when it is missing or no key."""
        try:
            return cls(bytes.fromhex(path.read_text("ascii").strip()))
        except OSError as error:
            raise ConfigError(
                f"The pod key {path} cannot be read ({error.strerror}).",
                hint="`vaultd init` makes one.",
            ) from error
        except ValueError as error:
            raise ConfigError(
                f"{path} is not a pod key (64 hex characters).",
                hint="Put it back from a copy; a new one makes every kit distrust this pod.",
            ) from error

    @classmethod
    def load_or_create(cls, path: Path) -> PodKey:
        """Read the key file, or make a new key and write it (mode 0600) if there is none.

        The file is complete or absent, and two processes at once end with the same key.
        """
        try:
            create_or_keep(path, os.urandom(32).hex() + "\n")
        except OSError as error:
            raise ConfigError(
                f"The pod key {path} cannot be made ({error.strerror}).",
                hint="Make the folder, or let vaultd write into it.",
            ) from error
        return cls.load(path)
