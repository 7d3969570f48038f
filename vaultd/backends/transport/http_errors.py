"""What an HTTP library or server says, as a PlaceError whose sentence says whose move it is."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import httpx

from vaultd.backends.transport.http_headers import header
from vaultd.backends.transport.tls import certificate_refused, tls_failed
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError, PlaceFull, PlaceRefused

_MAX_RETRY_AFTER: Final = 86400.0
_BUSY: Final = frozenset({408, 421, 423, 425, 429, 500, 502, 503, 504, 509, 520, 522, 524})
_REDIRECTS: Final = frozenset({300, 301, 302, 303, 307, 308})


def from_library(error: Exception, where: str, *, unknown: bool) -> PlaceError:
    """Return the PlaceError of an exception of httpx; `unknown`: the request may have had effect.

    No text of the library is passed on, as some of it quotes headers.
    """
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return certificate_refused(cause, where)
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
            return tls_failed(cause, where)
        if isinstance(cause, socket.gaierror):
            return PlaceBusy(
                f"The host name of {where} is not known ({cause.strerror}).",
                hint="Check the name and this machine's DNS.",
                unknown=False,
            )
        if isinstance(cause, ConnectionRefusedError):
            return PlaceBusy(
                f"{where} refuses the connection.",
                hint="Is the server running, and is this the right port?",
                unknown=False,
            )
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ConnectError):
        return PlaceBusy(f"{where} cannot be reached.", hint="Is the network up?", unknown=False)
    if isinstance(error, httpx.TimeoutException):
        return PlaceBusy(f"{where} did not answer in time.", unknown=unknown)
    if isinstance(error, httpx.StreamError):
        return PlaceBusy(f"{where} asked for the login again amid an upload.", unknown=False)
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | httpx.ProxyError):
        return PlaceBusy(f"{where} broke off the connection.", unknown=unknown)
    return PlaceError(f"{where} cannot be asked ({type(error).__name__}).", hint="Check its URL.")


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from."""
    found: BaseException | None = error
    for _ in range(10):  # a chain may be a circle
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__


def from_status(
    status: int, headers: Mapping[str, str], where: str, doing: str, *, unknown: bool
) -> PlaceError:
    """Return the PlaceError of an answer that was not the wished one.

    `doing` completes "… to …", like "store objects". The server's own words are left out: they
    may be anything.
    """
    said = f"{status} {_phrase(status)}".strip()
    if status == 401:
        return _not_let_in(headers, where)
    if status == 403:
        return PlaceRefused(
            f"{where} does not allow this user to {doing} (403).",
            hint="Check the user's rights there.",
        )
    if status == 407:
        return PlaceClosed(f"The proxy before {where} wants a login (407).")
    if status in (507, 402):
        return PlaceFull(f"{where} is full ({said}).", hint="Make room, then run again.")
    if status == 413:
        return PlaceError(
            f"{where} takes no body that large (413).",
            hint="Raise the limit of the server or its proxy (client_max_body_size).",
        )
    if status == 423:
        return PlaceBusy(
            f"What vaultd needs at {where} is locked just now (423).",
            retry_after=retry_after(headers),
            unknown=False,
        )
    if status in _BUSY:
        return PlaceBusy(
            f"{where} could not {doing} just now ({said}).",
            hint="If this lasts, look into its log.",
            retry_after=retry_after(headers),
            unknown=unknown and status not in (408, 421, 425, 429),
        )
    if status in _REDIRECTS:
        return _redirected(headers, where, status)
    if status in (405, 501):
        return PlaceError(
            f"{where} does not know how to {doing} ({said}).",
            hint="Is this the address for WebDAV?",
        )
    return PlaceError(f"{where} would not {doing} ({said}).", hint="Check its address and its log.")


def _not_let_in(headers: Mapping[str, str], where: str) -> PlaceRefused:
    schemes = headers.get("www-authenticate", "").lower()
    hint = "Check user and password (or app password, or token)."
    if "digest" in schemes and "basic" not in schemes:
        hint = "Check user and password; it wants Digest login (`digest = true`)."
    return PlaceClosed(f"{where} does not accept these credentials (401).", hint=hint)


def shown_host(url: httpx.URL) -> str:
    """Return scheme, host and port of an address that a server gave, fit to be shown."""
    try:
        text = f"{url.scheme}://{url.netloc.decode('ascii')}" if url.host else ""
    except UnicodeDecodeError:
        text = ""
    return "".join(c for c in text if c.isprintable() and c != "@")[:200] or "no address at all"


def _redirected(headers: Mapping[str, str], where: str, status: int) -> PlaceError:
    try:
        to = httpx.URL(header(headers, "location"))
        # Never the query: it may hold a token.
        shown = f"{to.scheme}://{to.netloc.decode('ascii')}{to.path}" if to.host else to.path
    except (httpx.InvalidURL, UnicodeDecodeError):
        shown = ""
    shown = "".join(c for c in shown if c.isprintable() and c != "@")[:200]
    return PlaceError(
        f"{where} sends vaultd on to {shown or 'another place'} ({status}).",
        hint="It never follows; if that is the right place, write it as the URL.",
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the seconds of `Retry-After` (RFC 9110 10.2.3: seconds or a date), at most a day."""
    text = header(headers, "retry-after")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = (date - (now or datetime.now(UTC))).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER)
