"""Names of unfinished uploads on servers whose clocks and listings nobody should trust."""

from __future__ import annotations

import re
import secrets
import time
from typing import Final

# A dot never occurs in a legal object name; the first letter is none, as many FTP servers do
# not list names that start with a dot, and an unlisted leftover could never be removed.
_PATTERN: Final = re.compile(r"tmp\.([0-9a-f]{1,10})\.[0-9a-f]{16}")
_STALE_SECONDS: Final = 86400


def new_temporary() -> str:
    """Return a fresh name `tmp.<our clock's seconds, hex>.<16 random hex digits>`."""
    return f"tmp.{int(time.time()):x}.{secrets.token_hex(8)}"


def is_temporary(part: str) -> bool:
    """Return whether this last part of a name was made by `new_temporary`."""
    return _PATTERN.fullmatch(part) is not None


def is_leftover(part: str) -> bool:
    """Return whether it is the temporary of an upload that began more than a day ago."""
    found = _PATTERN.fullmatch(part)
    return found is not None and int(found[1], 16) < time.time() - _STALE_SECONDS


def beside(name: str, part: str) -> str:
    """Return `part` as a name in the same folder as `name`."""
    folder, slash, _ = name.rpartition("/")
    return f"{folder}{slash}{part}"
