"""PLACE URLs: `scheme://[user@]host[:port]/path`, without a password, taken apart."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from vaultd.errors import UsageError

SCHEMES: Final = (
    "file", "s3", "webdav", "webdavs", "nextcloud", "owncloud", "ftp", "ftps", "sftp", "dropbox",
)  # fmt: skip
_NO_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAX_URL: Final = 4096


class PlaceUrl(msgspec.Struct, frozen=True):
    """The parts of a PLACE URL; `path` is unescaped and begins with `/` or is empty."""

    scheme: str
    host: str
    port: int | None
    username: str
    path: str

    @property
    def authority(self) -> str:
        """`host` or `host:port`, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def parse_place(url: str) -> PlaceUrl:
    """Take a URL apart; raises UsageError, which never repeats a password."""
    if len(url) > _MAX_URL or not url.isprintable():
        raise UsageError("A place's URL has at most 4,096 characters, all of them printable.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as error:
        raise _wrong(url, f"It is not a URL: {error}.") from error
    if parts.scheme not in SCHEMES:
        raise UsageError(
            f"{parts.scheme[:40] or _shown(url)!r} is not a place vaultd knows.",
            hint="A place is a URL like file:///absolute/path; there are "
            + ", ".join(f"{scheme}://" for scheme in SCHEMES) + ".",
        )  # fmt: skip
    if parts.password is not None:
        raise _wrong(url, "A URL with a password ends up in logs; give it as `password`.")
    if parts.query or parts.fragment or _NO_ESCAPE.search(parts.path + (parts.username or "")):
        raise _wrong(url, "In a URL, ? is written %3F, # is %23 and % is %25.")
    try:
        path = unquote(parts.path, errors="strict")
        username = unquote(parts.username or "", errors="strict")
    except UnicodeDecodeError as error:
        raise _wrong(url, "Its escapes are not UTF-8.") from error
    if not path.isprintable() or not username.isprintable():
        raise _wrong(url, "It has a character in it that no name has.")
    return PlaceUrl(parts.scheme, host, port, username, path)


def _shown(url: str) -> str:
    from vaultd.config import redact_url

    try:
        # What stands behind a ? may be a password, too.
        return redact_url(re.split("[?#]", url)[0])[:80]
    except ValueError:  # so broken that a password could not be found in it
        return url.partition(":")[0][:40] + ":…"


def _wrong(url: str, hint: str) -> UsageError:
    return UsageError(f"{_shown(url)!r} is not a place's URL.", hint=hint)
