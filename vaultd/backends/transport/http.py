"""HTTP for the backends that speak it: one client per place, bounded, translated, no redirects."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Final

import httpx

from vaultd import __version__
from vaultd.backends.transport.environment_proxy import proxy_for
from vaultd.backends.transport.http_errors import from_library, from_status
from vaultd.backends.transport.http_headers import header
from vaultd.backends.transport.tls import trust
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError, UsageError

ERROR_BODY: Final = 64 * 1024
# A server that gives less than this many bytes a second, after the read timeout, hangs.
_SLOWEST: Final = 1024
_CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Who we are to a server, whom we trust, and how many seconds we wait.

    `token` is a bearer token; without it `username` and `password` are Basic, or Digest where
    `digest`. `ca_file` (PEM) replaces the machine's authorities. `read_timeout` also bounds one
    write, and the wait for a free connection.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    digest: bool = False
    ca_file: Path | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0

    def __post_init__(self) -> None:
        # The library would quote an impossible header in its error.
        if not self.token.isascii() or not self.token.isprintable() or " " in self.token:
            raise UsageError("The token holds characters that no token has.", hint="Copy it again.")
        if not (self.username + self.password).isprintable():
            raise UsageError("User or password hold a line break or another control character.")


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer, read to its end or to the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _DigestPerThread(httpx.Auth):
    """Digest login (RFC 7616) whose nonce counter is not shared: it must grow by one a request."""

    def __init__(self, username: str, password: str) -> None:
        self._login = (username, password)
        self._local = threading.local()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request as often as the login takes; raises PlaceRefused where it cannot."""
        digest: httpx.DigestAuth | None = getattr(self._local, "digest", None)
        if digest is None:
            digest = self._local.digest = httpx.DigestAuth(*self._login)
        try:
            yield from digest.auth_flow(request)
        except (LookupError, ValueError, AssertionError, NotImplementedError):
            # What the library raises for challenges it does not know, or that are none.
            raise PlaceClosed(
                f"{request.url.host} asks for a login that vaultd does not know.",
                hint="It knows Digest with MD5 or SHA, qop auth, and Basic.",
            ) from None


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield the request with its token."""
        request.headers["Authorization"] = self._header
        yield request


def open_client(
    settings: HttpSettings,
    *,
    kind: type[httpx.Client] = httpx.Client,
    transport: httpx.BaseTransport | None = None,
    url: str = "",
) -> httpx.Client:
    """Return a client for many threads; `transport` replaces the connecting (and any proxy).

    Where the environment names a proxy for `url`, it is used. Raises PlaceError when that or the
    `ca_file` cannot be used.
    """
    # Its "HTTP Request: …" lines would show URLs with tokens in them.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return kind(
        auth=_auth(settings),
        verify=trust(settings.ca_file),
        transport=transport,
        proxy=proxy_for(url) if transport is None and url else None,
        trust_env=False,  # httpx refuses what others take for NO_PROXY
        timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout),
        limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
        # No compression: lengths stay what they are, and nothing unfolds in memory.
        headers={"User-Agent": f"vaultd/{__version__}", "Accept-Encoding": "identity"},
        # A session cookie would make PHP servers answer our threads one after the other.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
    )


def _auth(settings: HttpSettings) -> httpx.Auth | None:
    if settings.token:
        return _Bearer(settings.token)
    if not settings.username and not settings.password:
        return None
    if settings.digest:
        return _DigestPerThread(settings.username, settings.password)
    return httpx.BasicAuth(settings.username, settings.password)


class HttpConnection:
    """Requests to one place, `where` in all sentences; the client is opened at the first."""

    def __init__(
        self,
        settings: HttpSettings,
        where: str,
        *,
        kind: type[httpx.Client] = httpx.Client,
        transport: httpx.BaseTransport | None = None,
        refusal: Callable[[Answer], PlaceError | None] = lambda _: None,
    ) -> None:
        self.settings, self.where = settings, where
        self._kind, self._transport, self._refusal = kind, transport, refusal
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()

    def _open(self, url: httpx.URL) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = open_client(
                    self.settings, kind=self._kind, transport=self._transport, url=str(url)
                )
            return self._client

    def close(self) -> None:
        """Hang up; a later request connects anew, unless a `transport` was given."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def request(
        self,
        method: str,
        url: httpx.URL,
        doing: str,
        *,
        fine: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] = b"",
        harmless: bool = False,
        limit: int = ERROR_BODY,
        patience: float | None = None,
        login: bool = True,
    ) -> Answer:
        """Return an answer whose status is in `fine`, its body cut at `limit` bytes.

        `doing` is what for, in the sentence of an error; `harmless`: the request cannot change
        any object, whatever comes of it; `patience`: seconds to wait for the answer in place of
        the read timeout; not `login`: no credentials are sent. Raises PlaceError, and what the
        body raises.
        """
        with self.stream(
            method, url, headers=headers, body=body, harmless=harmless, patience=patience,
            login=login,
        ) as response:  # fmt: skip
            answer = self.answer(response, limit)
        if answer.status not in fine:
            raise self.refusal(answer, doing, harmless=harmless)
        return answer

    def _timeout(self, patience: float | None) -> httpx.Timeout:
        bound = self.settings.read_timeout
        read = bound if patience is None else patience
        return httpx.Timeout(bound, connect=self.settings.connect_timeout, read=read)

    def answer(self, response: httpx.Response, limit: int = ERROR_BODY) -> Answer:
        """Return the response with its body, cut at `limit` bytes."""
        taken = b"".join(self.pieces(response, limit, cut=True))
        return Answer(response.status_code, response.headers, taken)

    def refusal(self, answer: Answer, doing: str, *, harmless: bool) -> PlaceError:
        """Return the error of an answer; the server's own kind of error first."""
        return self._refusal(answer) or from_status(
            answer.status, answer.headers, self.where, doing, unknown=not harmless
        )

    @contextmanager
    def stream(
        self,
        method: str,
        url: httpx.URL,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] = b"",
        harmless: bool = True,
        patience: float | None = None,
        login: bool = True,
    ) -> Iterator[httpx.Response]:
        """Give the response before its body; what goes wrong in the block is translated too."""
        client = self._open(url)
        try:
            request = client.build_request(
                method, url, headers=headers, content=body or None, timeout=self._timeout(patience)
            )
            auth = httpx.USE_CLIENT_DEFAULT if login else None
            response = client.send(request, stream=True, auth=auth)
            try:
                yield response
            finally:
                response.close()
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ssl.SSLError) as error:
            # Not chained: the library's own text may quote headers.
            raise from_library(error, self.where, unknown=not harmless) from None

    def pieces(self, response: httpx.Response, limit: int, *, cut: bool = False) -> Iterator[bytes]:
        """Yield the body; beyond `limit` bytes it ends where `cut`, else raises PlaceError.

        Raises PlaceBusy for a body that trickles in too slowly.
        """
        if header(response.headers, "content-encoding").lower() not in ("", "identity"):
            if cut:
                return  # an error page; nobody needs it
            raise PlaceError(
                f"{self.where} compresses what was asked for as it is.",
                hint="Switch compression off there (a proxy's, perhaps).",
            )
        began, taken = time.monotonic(), 0
        for piece in response.iter_raw():
            taken += len(piece)
            if taken > limit:
                if cut:
                    yield piece[: len(piece) - (taken - limit)]
                    return
                raise PlaceError(f"{self.where} answers without end (over {limit} bytes).")
            patience = self.settings.read_timeout + taken / _SLOWEST
            if time.monotonic() - began > patience:
                raise PlaceBusy(f"{self.where} answers too slowly.", unknown=False)
            yield piece


def place_url(url: str, schemes: Mapping[str, str]) -> httpx.URL:
    """Return the HTTP URL of a place, without a slash at its end; `schemes` maps names to http(s).

    Raises UsageError for what is none, or has credentials, a query or a fragment in it.
    """
    try:
        found = httpx.URL(url)
        real = schemes[found.scheme]
        extra = found.userinfo or found.query or found.fragment
        bare = bool(found.host) and not extra and 0 < (found.port or 80) < 65536
    except (httpx.InvalidURL, KeyError):
        bare = False
    if not bare:
        raise UsageError(
            "The URL of this place cannot be used.",
            hint="It reads https://host/path: no user, password, ? or # in it.",
        )
    raw = found.raw_path.decode("ascii").rstrip("/")
    return found.copy_with(scheme=real, raw_path=raw.encode("ascii") or b"/")
