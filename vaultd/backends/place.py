"""From a PLACE URL to its backend."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from vaultd.backends.base import Backend
from vaultd.backends.folder import FolderBackend
from vaultd.config import redact_url
from vaultd.errors import UsageError

_NO_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


def open_place(url: str, *, create: bool = False) -> Backend:
    """Return the backend of a PLACE; with `create` a missing folder is made.

    Raises UsageError for a URL that is none or of an unknown scheme, PlaceError.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _no_folder(url, f"It is not a URL: {error}.") from error
    if parts.scheme != "file":
        raise UsageError(
            f"{parts.scheme or url[:40]!r} is not a place this vaultd knows.",
            hint="A place is a URL; now there is file:///absolute/path.",
        )
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise _no_folder(url, "It has three slashes: file:///srv/vaults.")
    if parts.query or parts.fragment or _NO_ESCAPE.search(parts.path):
        raise _no_folder(url, "In a URL, ? is written %3F, # is %23 and % is %25.")
    try:
        path = unquote(parts.path, errors="strict")
    except UnicodeDecodeError as error:
        raise _no_folder(url, "Its escapes are not UTF-8.") from error
    if "\0" in path:
        raise _no_folder(url, "A folder's name has no zero byte.")
    return FolderBackend(Path(path), create=create)


def _no_folder(url: str, hint: str) -> UsageError:
    try:
        shown = redact_url(url)
    except ValueError:  # so broken that a password could not be found in it
        shown = url.partition(":")[0] + ":…"
    return UsageError(f"{shown[:80]!r} is not a folder's URL.", hint=hint)
