"""Dropbox's HTTP API v2, as far as a backend needs it: calls, their arguments, their results.

https://www.dropbox.com/developers/documentation/http/documentation
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Final, TypeVar

import msgspec

from vaultd.backends.dropbox.auth import AccessTokens
from vaultd.backends.dropbox.errors import MALFORMED, from_answer, tags
from vaultd.backends.dropbox.http import JSON_LIMIT, Answer, DropboxHttp
from vaultd.errors import PlaceError

Argument = Mapping[str, object]
Special = Callable[[tuple[str, ...]], PlaceError | None]
"""From the tags of a 409 to the error it means for this call; None for the general one."""

_Bytes = Annotated[int, msgspec.Meta(ge=0, le=1 << 60)]
_T = TypeVar("_T")
_STALE: Final = frozenset({"expired_access_token", "invalid_access_token"})


class Entry(msgspec.Struct, frozen=True):
    """A file, a folder, or a deleted one of them; only files have the last five."""

    tag: str = msgspec.field(default="file", name=".tag")
    name: str = ""
    path_lower: str | None = None
    size: _Bytes = 0
    rev: str = ""
    content_hash: str = ""
    server_modified: str = ""


class Page(msgspec.Struct, frozen=True):
    """A part of a listing; `cursor` leads to the next one."""

    entries: list[Entry]
    cursor: str
    has_more: bool


class Session(msgspec.Struct, frozen=True):
    """An upload in parts."""

    session_id: str


class Allocation(msgspec.Struct, frozen=True):
    """Room, in bytes: of one person, or of a team with perhaps a share for this member."""

    tag: str = msgspec.field(default="", name=".tag")
    allocated: _Bytes = 0
    used: _Bytes = 0
    user_within_team_space_allocated: _Bytes = 0
    user_within_team_space_used_cached: _Bytes = 0


class Usage(msgspec.Struct, frozen=True):
    """Bytes used by this account, and what it was given."""

    used: _Bytes
    allocation: Allocation


class Anything(msgspec.Struct, frozen=True):
    """A result that nobody looks at."""


def _none(_: tuple[str, ...]) -> PlaceError | None:
    return None


class DropboxApi:
    """Calls to Dropbox. Each is one request, or two and a new token when the old one ended."""

    def __init__(self, http: DropboxHttp) -> None:
        self.http = http
        self.tokens = AccessTokens(http)

    def rpc(
        self,
        route: str,
        argument: Argument | None,
        kind: type[_T],
        doing: str,
        *,
        special: Special = _none,
        unknown: bool = False,
    ) -> _T:
        """Call a route of the api host: JSON in, `kind` out. Raises PlaceError."""
        answer = self._send(
            f"{self.http.settings.api_url}/2/{route}",
            {"Content-Type": "application/json"},
            json.dumps(argument).encode("ascii"),
            unknown=unknown,
        )
        return self._result(answer, kind, doing, special, unknown=unknown)

    def upload(
        self,
        route: str,
        argument: Argument,
        content: bytes,
        kind: type[_T],
        doing: str,
        *,
        special: Special = _none,
        unknown: bool = False,
    ) -> _T:
        """Call a route of the content host that takes bytes. Raises PlaceError."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Dropbox-API-Arg": json.dumps(argument),  # ASCII, as a header must be
        }
        answer = self._send(
            f"{self.http.settings.content_url}/2/{route}", headers, content, unknown=unknown
        )
        return self._result(answer, kind, doing, special, unknown=unknown)

    def download(
        self, path: str, wanted: str | None, limit: int, doing: str, *, special: Special
    ) -> Answer:
        """Return the answer of 200, 206 or 416 for a file, of at most `limit` bytes.

        `wanted` is the Range header (RFC 9110 14.2). Raises PlaceError.
        """
        headers = {"Dropbox-API-Arg": json.dumps({"path": path})}
        if wanted is not None:
            headers["Range"] = wanted
        answer = self._send(
            f"{self.http.settings.content_url}/2/files/download", headers, b"", limit=limit
        )
        if answer.status not in (200, 206, 416):
            raise self._refusal(answer, doing, special, unknown=False)
        return answer

    def _send(
        self,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        *,
        limit: int = JSON_LIMIT,
        unknown: bool = False,
    ) -> Answer:
        def post() -> Answer:
            signed = {**headers, "Authorization": f"Bearer {token}"}
            return self.http.post(url, signed, content, limit=limit, unknown=unknown)

        token = self.tokens.current()
        answer = post()
        if answer.status == 401 and _STALE.intersection(tags(answer.body)):
            token = self.tokens.renewed(token)
            answer = post()
        return answer

    def _result(
        self, answer: Answer, kind: type[_T], doing: str, special: Special, *, unknown: bool
    ) -> _T:
        if answer.status != 200:
            raise self._refusal(answer, doing, special, unknown=unknown)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except MALFORMED as error:
            raise PlaceError(
                f"{self.http.settings.where} gives an answer that vaultd does not understand, "
                f"asked to {doing}.",
                hint="Is something between vaultd and Dropbox?",
            ) from error

    def _refusal(
        self, answer: Answer, doing: str, special: Special, *, unknown: bool
    ) -> PlaceError:
        found = special(tags(answer.body)) if answer.status == 409 else None
        return found or from_answer(
            answer.status,
            answer.headers,
            answer.body,
            self.http.settings.where,
            doing,
            unknown=unknown,
        )
