"""How much a vault may unpack to: nobody's archive makes a computer's disk or memory full.

A chunk of 62 stored bytes can unpack to 256 KiB. What people write does not: every record has an
id or a signature of its own, which no compression takes away.
"""

from __future__ import annotations

from typing import Final

from vaultd.errors import TooLargeError
from vaultd.sizes import shown_bytes

FREE: Final = 64 * 1024 * 1024
RATIO: Final = 300
RECORD: Final = 64  # what a record counts at least, for its place in memory


class Allowance:
    """What is unpacked in one pass over a vault, against the bytes stored.

    `limit` in bytes, where it is given, is allowed whatever is stored.
    """

    def __init__(self, limit: int = 0) -> None:
        self._limit = limit
        self._plain = 0
        self._stored = 0

    def take(self, name: str, plain: int, stored: int = 0) -> None:
        """Count what a piece of `name` unpacked to; raises TooLargeError."""
        self._plain += plain
        self._stored += stored
        if self._plain > max(self._limit, FREE + RATIO * self._stored):
            raise TooLargeError(
                f"{name} unpacks to more than {shown_bytes(self._plain)} from "
                f"{shown_bytes(self._stored)}: it is hostile, or an account like no other.",
                hint="If you trust it and have the room, allow more with --unpack-limit 10GB.",
            )
