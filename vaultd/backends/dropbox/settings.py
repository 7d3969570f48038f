"""Which Dropbox, whose, which folder in it, and how many seconds we wait."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from vaultd.backends.dropbox.content_hash import BLOCK
from vaultd.errors import UsageError

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_LARGEST_REQUEST: Final = 150_000_000  # https://www.dropbox.com/developers/documentation/http


@dataclass(frozen=True, slots=True)
class DropboxSettings:
    """One Dropbox folder. There is no app secret: vaultd is a public client (OAuth 2 with PKCE).

    `app_key` names the app that the user allowed; `refresh_token` is what `exchange_code` gave;
    `folder` is in the user's Dropbox, or in the app's own folder (`/` is that itself). Objects
    larger than `part_size` bytes are uploaded in parts of it, a multiple of 4 MiB. `largest_read`
    bounds one answer in bytes. The URLs differ only in tests. Raises UsageError for what Dropbox
    could not take.
    """

    app_key: str
    refresh_token: str = field(default="", repr=False)
    folder: str = "/vaultd"
    api_url: str = "https://api.dropboxapi.com"
    content_url: str = "https://content.dropboxapi.com"
    ca_file: Path | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    part_size: int = 2 * BLOCK
    largest_read: int = 1 << 30

    def __post_init__(self) -> None:
        for what, text in (("app key", self.app_key), ("refresh token", self.refresh_token)):
            # The text itself is not quoted: it may be the other one.
            if not text.isascii() or not text.isprintable() or " " in text:
                raise UsageError(
                    f"The {what} of Dropbox holds characters that none has.", hint="Copy it again."
                )
        if not self.app_key:
            raise UsageError("Dropbox needs an app key.", hint="https://www.dropbox.com/developers")
        _check_url(self.api_url)
        _check_url(self.content_url)
        if self.part_size % BLOCK or not BLOCK <= self.part_size <= _LARGEST_REQUEST:
            raise UsageError("A part of an upload to Dropbox is 4 to 140 MiB, in steps of 4 MiB.")
        object.__setattr__(self, "folder", _tidy(self.folder))

    @property
    def where(self) -> str:
        """What sentences call this place."""
        return f"Dropbox ({self.folder or '/'})"


def _tidy(folder: str) -> str:
    parts = folder.strip("/").split("/") if folder.strip("/") else []
    impossible = any(part in ("", ".", "..") or part != part.strip() for part in parts)
    if impossible or not folder.isprintable() or "\\" in folder:
        raise UsageError(
            f"{folder[:80]!r} is no folder of a Dropbox.", hint="It reads /folder or /folder/inner."
        )
    return "".join(f"/{part}" for part in parts)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not secure or not parts.hostname or parts.path or parts.query or "@" in parts.netloc:
        raise UsageError("Dropbox is reached by https only, at a URL without a path.")
