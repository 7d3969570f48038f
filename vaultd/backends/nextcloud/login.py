"""Nextcloud's Login Flow v2: the user clicks "allow" in a browser, vaultd gets an app password.

Rules (Nextcloud developer manual, "Login Flow"): POST /index.php/login/v2 gives an address to open
and a token; POST the token to the poll address, 404 till the user has agreed, then 200 once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from vaultd.backends.nextcloud.discovery import cloud_refusal, no_cloud, server_url
from vaultd.backends.transport.http import HttpConnection, HttpSettings
from vaultd.backends.transport.http_errors import shown_host
from vaultd.backends.webdav.verbs import below
from vaultd.errors import PlaceBusy, PlaceError

_PAUSE: Final = 2.0
_TOKEN_LIFE: Final = 20 * 60.0  # after that the server forgets it


_Kind = TypeVar("_Kind", "_Begun", "_Granted")


class _Poll(msgspec.Struct):
    token: str
    endpoint: str


class _Begun(msgspec.Struct):
    poll: _Poll
    login: str


class _Granted(msgspec.Struct):
    server: str
    login_name: str = msgspec.field(name="loginName")
    app_password: str = msgspec.field(name="appPassword")


@dataclass(frozen=True, slots=True)
class AppPassword:
    """What the user granted; the password is never shown again by the server."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """A login that has begun: the user opens `url` in a browser (it is as secret as a link)."""

    url: str = field(repr=False)
    _http: HttpConnection = field(repr=False)
    _endpoint: httpx.URL = field(repr=False)
    _token: str = field(repr=False)

    def wait(
        self, seconds: float = _TOKEN_LIFE, *, sleep: Callable[[float], None] = time.sleep
    ) -> AppPassword:
        """Return the app password when the user has agreed.

        Raises PlaceBusy when that took longer than `seconds` (at most 20 minutes), PlaceError.
        """
        end = time.monotonic() + min(seconds, _TOKEN_LIFE)
        while True:
            answer = self._http.request(
                "POST", self._endpoint, "be asked for the login", fine=(200, 404), harmless=True,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode({"token": self._token}).encode("ascii"),
            )  # fmt: skip
            if answer.status == 200:
                granted = _decoded(answer.body, _Granted, self._http.where)
                return AppPassword(granted.login_name, granted.app_password)
            if time.monotonic() + _PAUSE > end:
                raise PlaceBusy(
                    f"Nobody allowed the login at {self._http.where} in time.",
                    hint="Begin again, and open the new address.",
                    unknown=False,
                )
            sleep(_PAUSE)


def begin_login(
    server: str,
    settings: HttpSettings | None = None,
    *,
    transport: httpx.BaseTransport | None = None,
) -> Login:
    """Begin a login at a server's bare address; no credentials in `settings` are needed.

    Raises UsageError for what is no address, PlaceError where there is no Nextcloud.
    """
    url = server_url(server)
    where = str(url).rstrip("/")
    http = HttpConnection(
        settings or HttpSettings(), where, transport=transport,
        refusal=lambda answer: cloud_refusal(answer, where),
    )  # fmt: skip
    answer = http.request(
        "POST", below(url, "index.php/login/v2"), "begin a login", fine=(200, 404, 405),
        headers={"Content-Length": "0"}, harmless=True, login=False,
    )  # fmt: skip
    if answer.status != 200:
        raise no_cloud(where)
    begun = _decoded(answer.body, _Begun, where)
    return Login(
        str(_own(begun.login, url, where)), http, _own(begun.poll.endpoint, url, where),
        begun.poll.token,
    )  # fmt: skip


def _own(address: str, server: httpx.URL, where: str) -> httpx.URL:
    """Return an address that the server gave, if it is its own: else a user is led astray."""
    try:
        found = httpx.URL(address)
    except httpx.InvalidURL:
        found = httpx.URL("")
    if (found.scheme, found.netloc) != (server.scheme, server.netloc):
        raise PlaceError(
            f"{where} sends the login to another server ({shown_host(found)}).",
            hint="Use the address that its owner set (overwrite.cli.url, overwriteprotocol).",
        )
    return found


def _decoded(body: bytes, kind: type[_Kind], where: str) -> _Kind:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        # Not chained: it may quote the password.
        raise no_cloud(where) from None
