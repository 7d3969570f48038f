"""From a PLACE URL to its backend."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from vaultd.backends.base import Backend
from vaultd.backends.folder import FolderBackend
from vaultd.errors import UsageError


def open_place(url: str, *, create: bool = False) -> Backend:
    """Return the backend of a PLACE; with `create` a missing folder is made.

    Raises UsageError for a URL that is none or of an unknown scheme, PlaceError.
    """
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise UsageError(
            f"{parts.scheme or url[:40]!r} is not a place this vaultd knows.",
            hint="A place is a URL; now there is file:///absolute/path.",
        )
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise UsageError(
            f"{url[:80]!r} is not a folder's URL.", hint="It has three slashes: file:///srv/vaults."
        )
    return FolderBackend(Path(unquote(parts.path)), create=create)
