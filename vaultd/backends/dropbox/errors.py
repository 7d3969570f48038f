"""What Dropbox, or the way to it, says as a PlaceError whose sentence says whose move it is."""

from __future__ import annotations

import math
import re
import ssl
from collections.abc import Mapping
from typing import Final

import msgspec

from vaultd.backends.transport import http_errors
from vaultd.backends.transport.http_headers import header
from vaultd.backends.transport.tls import is_unknown_issuer
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError, PlaceFull, PlaceRefused

MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding somebody else's JSON may raise."""

_MAX_RETRY_AFTER: Final = 86400.0
_DEPTH: Final = 6
_TAG: Final = re.compile(r"[a-z_]{1,40}")
_CONNECT_AGAIN: Final = "Connect vaultd with this Dropbox again."


class _Tagged(msgspec.Struct, frozen=True):
    """A union of Dropbox: its tag, and what may stand below it."""

    tag: str = msgspec.field(default="", name=".tag")
    path: _Tagged | None = None
    path_lookup: _Tagged | None = None
    path_write: _Tagged | None = None
    lookup_failed: _Tagged | None = None
    conflict: _Tagged | None = None
    reason: _Tagged | None = None
    retry_after: float | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Tagged


def _error(body: bytes) -> _Tagged:
    try:
        return msgspec.json.decode(body, type=_ErrorBody).error
    except MALFORMED:
        return _Tagged()


def tags(body: bytes) -> tuple[str, ...]:
    """Return the tags of an error, outermost first, like `("path", "conflict", "file")`.

    Empty when the body is no JSON of that shape. (`error_summary` is not for programs.)
    """
    found: list[str] = []
    at: _Tagged | None = _error(body)
    for _ in range(_DEPTH):
        if at is None:
            break
        if _TAG.fullmatch(at.tag):
            found.append(at.tag)
        below = getattr(at, at.tag) if at.tag in _BELOW else None
        at = below or at.reason
    return tuple(found)


_BELOW: Final = frozenset({"path", "path_lookup", "path_write", "lookup_failed", "conflict"})


def retry_after(headers: Mapping[str, str], body: bytes = b"") -> float | None:
    """Return the seconds that Dropbox asks us to wait (header, or body of a 429), at most a day."""
    try:
        seconds = float(header(headers, "retry-after"))
    except ValueError:
        in_body = _error(body).retry_after
        if in_body is None:
            return None
        seconds = in_body
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)


def from_answer(
    status: int, headers: Mapping[str, str], body: bytes, where: str, doing: str, *, unknown: bool
) -> PlaceError:
    """Return the PlaceError of an answer that is not the wished one.

    `doing` completes "… to …". Dropbox's own texts are left out: they may quote what we sent.
    """
    found = tags(body)
    if status == 409:
        return _from_tags(found, where, doing)
    if status in (401, 403):
        return _not_let_in(status, found, where, doing)
    if status == 429:
        return PlaceBusy(
            f"{where} asks vaultd to slow down (429).",
            retry_after=retry_after(headers, body),
            unknown=False,
        )
    if status == 408 or status >= 500:
        return PlaceBusy(
            f"{where} could not {doing} just now ({status}).",
            retry_after=retry_after(headers),
            unknown=unknown,
        )
    return PlaceError(
        f"{where} does not understand vaultd's request to {doing} ({status}).",
        hint="This is vaultd's fault, or that of something between vaultd and Dropbox.",
    )


def _not_let_in(status: int, found: tuple[str, ...], where: str, doing: str) -> PlaceRefused:
    if "missing_scope" in found:
        return PlaceClosed(
            f"vaultd is not allowed to {doing} in {where}: the app has no such permission.",
            hint="Give it the scopes account_info.read, files.metadata.read, files.content.read "
            "and files.content.write, then connect again.",
        )
    if "user_suspended" in found:
        return PlaceClosed(f"The account of {where} is suspended.")
    if status == 403:
        return PlaceRefused(f"{where} does not allow vaultd to {doing} (403).")
    return PlaceClosed(
        f"{where} does not accept vaultd's access any more (401).", hint=_CONNECT_AGAIN
    )


def withdrawn(where: str) -> PlaceRefused:
    """Return the error of a refresh token that is revoked or was never one."""
    return PlaceClosed(
        f"{where} does not let vaultd in: the access was withdrawn, or the refresh token is wrong.",
        hint=_CONNECT_AGAIN,
    )


def _from_tags(found: tuple[str, ...], where: str, doing: str) -> PlaceError:
    known = set(found)
    if "insufficient_space" in known:
        return PlaceFull(f"{where} is full.", hint="Make room, then run again.")
    if "too_many_write_operations" in known:
        return PlaceBusy(f"{where} is busy with other changes.", unknown=False)
    if "content_hash_mismatch" in known:
        return PlaceBusy(f"What vaultd sent reached {where} damaged.", unknown=False)
    session = "lookup_failed" in known or found == ("not_found",)
    if session or known & {"incorrect_offset", "closed", "not_closed"}:
        return PlaceBusy(f"{where} lost count of an upload in parts.", unknown=False)
    if "reset" in known:
        return PlaceBusy(f"{where} wants its listing to start again.", unknown=False)
    if known & {"no_write_permission", "team_folder", "access_error"}:
        return PlaceRefused(f"vaultd may not write to {where}.", hint="Check the folder's rights.")
    if "restricted_content" in known:
        return PlaceRefused(f"{where} withholds the content for legal reasons.")
    said = "/".join(found) or "no reason"
    return PlaceError(f"{where} would not {doing} ({said}).", hint="Look at the folder there.")


def from_library(error: Exception, where: str, *, unknown: bool) -> PlaceError:
    """Return the PlaceError of an exception of httpx, none of whose text is passed on."""
    for cause in http_errors.causes(error):
        # Dropbox's own certificate is everywhere known.
        if isinstance(cause, ssl.SSLCertVerificationError) and is_unknown_issuer(cause):
            return PlaceClosed(
                f"The certificate of {where} is not one that this machine trusts "
                f"(OpenSSL says {cause.verify_code}).",
                hint="Does something between vaultd and Dropbox open the connections?",
            )
    return http_errors.from_library(error, where, unknown=unknown)
