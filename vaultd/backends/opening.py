"""From a PLACE URL, with what a target's section says, to its backend.

Each library is imported only when a place of its kind is opened: the command line starts fast.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from vaultd.backends.base import Backend
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backends.guard.own_addresses import is_on_this_machine
from vaultd.backends.place_url import PlaceUrl, parse_place
from vaultd.errors import UsageError

if TYPE_CHECKING:
    import socket

    import httpx

    from vaultd.config import Target

_IMPLICIT_FTPS: Final = 990
# The others allow an address few sessions, or answer each with a process of their own.
_TAKE_MANY: Final = frozenset({"s3", "webdav", "webdavs"})
_FEW: Final = 8


class Guard(msgspec.Struct, frozen=True):
    """The place was given by a user: it may lie only at public addresses, or `permitted` ones.

    `own` tells the pod's own addresses, which are refused like private ones. `check` is asked
    before each request, and raises PlaceBusy when it has cost enough.
    """

    permitted: tuple[IPv4Network | IPv6Network, ...] = ()
    own: Callable[[str], bool] = is_on_this_machine
    check: Callable[[], None] = lambda: None


class _Order(msgspec.Struct, frozen=True):
    """What an opener gets: the URL, the section, its name for errors, and whose it is."""

    url: PlaceUrl
    target: Target
    where: str
    create: bool
    guard: Guard | None
    at_once: int

    def secret(self, key: str) -> str:
        return self.target.secret(key, self.where)

    @property
    def ca_file(self) -> Path | None:
        if self.target.ca:
            from vaultd.backends.transport.given_certificate import as_file

            return as_file(self.target.ca)
        return Path(self.target.ca_file) if self.target.ca_file else None

    @property
    def username(self) -> str:
        return self.target.username or self.url.username

    def check(self) -> None:
        """Ask whether the place may be asked more."""
        if self.guard is not None:
            self.guard.check()

    def transport(self) -> httpx.BaseTransport | None:
        if self.guard is None:
            return None
        import ssl

        from vaultd.backends.guard.http import GuardedTransport

        context = ssl.create_default_context(cafile=self.ca_file)
        return GuardedTransport(
            verify=context,
            permitted=self.guard.permitted,
            own=self.guard.own,
            check=self.guard.check,
        )

    def connect(self) -> Callable[[str, int, float], socket.socket] | None:
        """Return how to connect to checked addresses only; None where any will do."""
        if self.guard is None:
            return None
        from functools import partial

        from vaultd.backends.guard.rules import guarded_socket

        return partial(guarded_socket, permitted=self.guard.permitted, own=self.guard.own)


def open_place(
    url: str,
    target: Target | None = None,
    *,
    name: str = "",
    create: bool = False,
    guard: Guard | None = None,
    at_once: int = 16,
    first_contact: float | None = None,
) -> Backend:
    """Return the backend of a PLACE; with `create` a missing folder is made there.

    `target` has credentials and settings, `name` is its name, `at_once` bounds the requests at the
    same time, `first_contact` the seconds to wait for a place that never answered.
    Raises UsageError for a URL that is none or of an unknown scheme, ConfigError for secrets that
    cannot be read, PlaceError.
    """
    parts = parse_place(url)
    if parts.scheme == "file":
        backend: Backend = _file(parts, create=create, guard=guard, configured=target is not None)
        if target is None:  # to read a folder, fewer libraries are enough
            return backend
    from vaultd.backends.wrappers.retrying import RetryingBackend, RetryPolicy
    from vaultd.config import Target

    target = target or Target(url)
    where = f"targets.{name}" if name else "the place"
    many = at_once if parts.scheme in _TAKE_MANY else min(at_once, _FEW)
    if parts.scheme != "file":
        order = _Order(parts, target, where, create, guard, many)
        backend = _OPENERS[parts.scheme](order)
    patience = RetryPolicy(target.tries, at_once=many, first_contact=first_contact)
    return RetryingBackend(backend, name or parts.host or "it", patience)


def _file(url: PlaceUrl, *, create: bool, guard: Guard | None, configured: bool) -> Backend:
    if guard is not None:
        raise UsageError("A folder of the pod's machine cannot be a user's own target.")
    if url.host not in ("", "localhost") or not url.path.startswith("/"):
        raise UsageError(
            "This file:// URL names no folder.", hint="It has three slashes: file:///srv/vaults."
        )
    return FolderBackend(Path(url.path), create=create, configured=configured)


def _host(order: _Order) -> str:
    if not order.url.host:
        raise UsageError(
            f"This {order.url.scheme}:// URL names no host.",
            hint=f"It reads like {order.url.scheme}://host.example/folder.",
        )
    return order.url.host


def _s3(order: _Order) -> Backend:
    from vaultd.backends.s3.backend import S3Backend
    from vaultd.backends.s3.settings import S3Settings
    from vaultd.config import duration

    target = order.target
    if order.guard is not None and not (target.access_key and order.secret("secret_key")):
        # Without keys the library would use those of the pod's own machine.
        raise UsageError("A user's own S3 target needs an access key and a secret key.")
    connect = order.connect()
    period = duration(target.lock_period, f"{order.where}.lock_period") if target.lock else None
    return S3Backend(
        S3Settings(
            bucket=_host(order),
            prefix=order.url.path.strip("/"),
            endpoint=target.endpoint or None,
            region=target.region or None,
            path_style=target.path_style,
            access_key=target.access_key or None,
            secret_key=order.secret("secret_key") or None,
            session_token=order.secret("session_token") or None,
            profile=target.profile or None,
            storage_class=target.storage_class or None,
            checksum=target.checksum,
            conditional=target.conditional,
            lock_mode=target.lock or None,
            lock_days=0 if period is None else max(1, -(-int(period.total_seconds()) // 86400)),
            ca_file=order.ca_file,
            connect_timeout=target.connect_timeout,
            read_timeout=target.read_timeout,
            max_pool=order.at_once,
            check=order.check,
        ),
        connect=connect,
    )


def _webdav(order: _Order) -> Backend:
    from vaultd.backends.webdav.backend import WebdavBackend, WebdavSettings

    target = order.target
    scheme = "https" if order.url.scheme == "webdavs" else "http"
    if scheme == "http" and not target.insecure:
        raise UsageError(
            "webdav:// sends the password in clear.",
            hint="Use webdavs://, or set insecure = true where the network is yours alone.",
        )
    _host(order)
    return WebdavBackend(
        WebdavSettings(
            url=f"{scheme}://{order.url.authority}{_quoted(order.url.path)}",
            username=order.username,
            password=order.secret("password"),
            token=order.secret("token"),
            digest=target.digest,
            ca_file=order.ca_file,
            connect_timeout=target.connect_timeout,
            read_timeout=target.read_timeout,
        ),
        create=order.create,
        transport=order.transport(),
    )


def _cloud(order: _Order) -> Backend:
    from vaultd.backends.nextcloud.backend import NextcloudBackend, NextcloudSettings

    target = order.target
    _host(order)
    scheme = "http" if target.insecure else "https"
    return NextcloudBackend(
        NextcloudSettings(
            # The slash, as what stands before it is the host that people are shown.
            server=f"{scheme}://{order.url.authority}/{_quoted(target.base_path.lstrip('/'))}",
            username=order.username,
            password=order.secret("password"),
            folder=order.url.path.strip("/") or "vaultd",
            ca_file=order.ca_file,
            connect_timeout=target.connect_timeout,
            read_timeout=target.read_timeout,
        ),
        create=order.create,
        transport=order.transport(),
    )


def _dropbox(order: _Order) -> Backend:
    from vaultd.backends.dropbox.backend import DropboxBackend
    from vaultd.backends.dropbox.settings import DropboxSettings

    target = order.target
    if order.url.host:
        raise UsageError(
            "A dropbox:// URL names no host.", hint="It has three slashes: dropbox:///vaultd."
        )
    settings = DropboxSettings(
        app_key=target.app_key,
        refresh_token=order.secret("refresh_token"),
        folder=order.url.path or "/vaultd",
        ca_file=order.ca_file,
        connect_timeout=target.connect_timeout,
        read_timeout=target.read_timeout,
    )
    if target.endpoint:
        from dataclasses import replace

        settings = replace(settings, api_url=target.endpoint, content_url=target.endpoint)
    return DropboxBackend(settings, transport=order.transport())


def _ftp(order: _Order) -> Backend:
    from vaultd.backends.ftp.backend import FtpBackend, FtpSettings

    target = order.target
    return FtpBackend(
        FtpSettings(
            host=_host(order),
            port=order.url.port,
            username=order.username or "anonymous",
            password=order.secret("password"),
            # RFC 1738: from the folder after login; a second slash makes it absolute.
            path=order.url.path.removeprefix("/"),
            insecure=target.insecure,
            implicit=order.url.scheme == "ftps" and order.url.port == _IMPLICIT_FTPS,
            ca_file=order.ca_file,
            connect=_checked(order, order.url.port or 21),
            check=order.check,
            connect_timeout=target.connect_timeout,
            read_timeout=target.read_timeout,
        ),
        create=order.create,
    )


def _sftp(order: _Order) -> Backend:
    from vaultd.backends.sftp.backend import SftpBackend, SftpSettings

    target = order.target
    port = order.url.port or 22
    return SftpBackend(
        SftpSettings(
            host=_host(order),
            port=port,
            username=order.username,
            path=order.url.path.removeprefix("/~/"),
            password=order.secret("password") or None,
            key_file=Path(target.key_file) if target.key_file else None,
            key_text=order.secret("private_key") or None,
            passphrase=order.secret("passphrase") or None,
            host_key=target.host_key or None,
            known_hosts=Path(target.known_hosts) if target.known_hosts else None,
            connect=_checked(order, port),
            check=order.check,
            connect_timeout=target.connect_timeout,
            read_timeout=target.read_timeout,
        ),
        create=order.create,
    )


def _checked(order: _Order, port: int) -> Callable[[str, int, float], socket.socket]:
    """Return how to connect; a user's host at a closed address is refused at once."""
    from vaultd.backends.transport.addresses import dial

    if order.guard is not None:
        from vaultd.backends.guard.rules import resolve

        resolve(_host(order), port, permitted=order.guard.permitted, own=order.guard.own)
    return order.connect() or dial


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


_OPENERS: Final[dict[str, Callable[[_Order], Backend]]] = {
    "s3": _s3,
    "webdav": _webdav,
    "webdavs": _webdav,
    "nextcloud": _cloud,
    "owncloud": _cloud,
    "dropbox": _dropbox,
    "ftp": _ftp,
    "ftps": _ftp,
    "sftp": _sftp,
}
