"""How vaultd is let into a Dropbox: OAuth 2 with PKCE (RFC 7636), without an app secret.

`authorize_url` is where the user clicks "Allow"; `exchange_code` turns the code that Dropbox then
shows into the refresh token that is kept; `AccessTokens` gives the short-lived tokens made of it.
https://developers.dropbox.com/oauth-guide
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from vaultd.backends.dropbox.errors import MALFORMED, from_answer, withdrawn
from vaultd.backends.dropbox.http import Answer, DropboxHttp
from vaultd.errors import PlaceClosed, PlaceError, PlaceRefused

SCOPES: Final = "account_info.read files.content.read files.content.write files.metadata.read"

_WWW: Final = "https://www.dropbox.com"
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_LIMIT: Final = 64 * 1024
_DOING: Final = "let vaultd in"
_EARLY: Final = 300.0  # seconds before its end in which a token is not used any more
_LONGEST: Final = 86400.0


class _Tokens(msgspec.Struct, frozen=True):
    access_token: str = ""
    refresh_token: str = ""
    expires_in: float = 0.0


class _Refusal(msgspec.Struct, frozen=True):
    error: str = ""


def new_verifier() -> str:
    """Return a fresh PKCE code verifier: a secret of the one who starts the authorization."""
    return secrets.token_urlsafe(64)


def authorize_url(
    app_key: str, verifier: str, *, redirect_uri: str = "", state: str = "", www_url: str = _WWW
) -> str:
    """Return the page where the user lets vaultd in; without `redirect_uri` it shows a code."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    query = {
        "response_type": "code",
        "client_id": app_key,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"),
        "code_challenge_method": "S256",
        "token_access_type": "offline",  # with a refresh token
        "scope": SCOPES,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    return f"{www_url}/oauth2/authorize?{urlencode({k: v for k, v in query.items() if v})}"


def exchange_code(http: DropboxHttp, code: str, verifier: str, *, redirect_uri: str = "") -> str:
    """Return the refresh token for the code that the user was shown.

    Raises PlaceRefused for a code that is wrong, used, too old or another verifier's; PlaceError.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code.strip(),
        "client_id": http.settings.app_key,
        "code_verifier": verifier,
    }
    if redirect_uri:
        form["redirect_uri"] = redirect_uri
    refused = PlaceClosed(
        "Dropbox does not accept this code: it is mistyped, too old, or already used.",
        hint="Start again at the page where vaultd is allowed in.",
    )
    token = _ask(http, form, refused).refresh_token
    if not _plausible(token):
        raise PlaceError("Dropbox gives no refresh token.", hint="Start the authorization again.")
    return token


def _ask(http: DropboxHttp, form: Mapping[str, str], refused: PlaceRefused) -> _Tokens:
    answer = http.post(
        f"{http.settings.api_url}/oauth2/token", _FORM, urlencode(form).encode(), limit=_LIMIT
    )
    if answer.status != 200:
        raise _refusal(answer, http, refused)
    try:
        return msgspec.json.decode(answer.body, type=_Tokens)
    except MALFORMED:
        # Not chained: the text could quote a token.
        raise PlaceError(f"{http.settings.where} answers what is no token.") from None


def _refusal(answer: Answer, http: DropboxHttp, refused: PlaceRefused) -> PlaceError:
    where = http.settings.where
    if answer.status in (400, 401, 403):
        try:
            reason = msgspec.json.decode(answer.body, type=_Refusal).error
        except MALFORMED:
            reason = ""
        if reason == "invalid_grant":
            return refused
        return PlaceClosed(
            f"{where} does not know this app key, or does not let it in without a secret.",
            hint="Check the app key.",
        )
    return from_answer(answer.status, answer.headers, answer.body, where, _DOING, unknown=False)


def _plausible(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


class AccessTokens:
    """The current access token, renewed shortly before its end; for many threads at once."""

    def __init__(self, http: DropboxHttp, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._http, self._clock = http, clock
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0

    def __repr__(self) -> str:
        return "AccessTokens(…)"

    def current(self) -> str:
        """Return a token that should be good. Raises PlaceRefused when access was withdrawn."""
        with self._lock:
            return self._current()

    def renewed(self, stale: str) -> str:
        """Return another token than `stale`, which Dropbox refused; asks once for all threads."""
        with self._lock:
            if self._token == stale:
                self._token = ""
            return self._current()

    def _current(self) -> str:
        if self._token and self._clock() < self._until:
            return self._token
        settings = self._http.settings
        if not settings.refresh_token:
            raise PlaceClosed(
                f"vaultd is not connected with {settings.where} yet.",
                hint="Allow it there first; a refresh token comes of it.",
            )
        form = {
            "grant_type": "refresh_token",
            "refresh_token": settings.refresh_token,
            "client_id": settings.app_key,
        }
        found = _ask(self._http, form, withdrawn(settings.where))
        if not _plausible(found.access_token):
            raise PlaceError(f"{settings.where} gives no access token.")
        lasts = min(max(found.expires_in, 0.0), _LONGEST)
        self._token = found.access_token
        self._until = self._clock() + lasts - min(_EARLY, lasts / 2)
        return self._token
