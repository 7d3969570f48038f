"""Dropbox's content hash: SHA-256 over the SHA-256 of each block of 4 MiB.

https://www.dropbox.com/developers/reference/content-hash
"""

from __future__ import annotations

import hashlib
from typing import Final

BLOCK: Final = 4 * 1024 * 1024


class ContentHash:
    """The hash of bytes that come in pieces of any size."""

    def __init__(self) -> None:
        self._blocks = hashlib.sha256()
        self._block = hashlib.sha256()
        self._taken = 0

    def update(self, data: bytes) -> None:
        """Add the next bytes."""
        rest = memoryview(data)
        while rest:
            part = rest[: BLOCK - self._taken]
            self._block.update(part)
            self._taken += len(part)
            rest = rest[len(part) :]
            if self._taken == BLOCK:
                self._blocks.update(self._block.digest())
                self._block, self._taken = hashlib.sha256(), 0

    def hexdigest(self) -> str:
        """Return the hash of what was added till now, 64 hex digits."""
        whole = self._blocks.copy()
        if self._taken:
            whole.update(self._block.digest())
        return whole.hexdigest()


def content_hash(data: bytes) -> str:
    """Return the content hash of these bytes, 64 hex digits."""
    found = ContentHash()
    found.update(data)
    return found.hexdigest()
