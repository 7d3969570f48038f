"""POST requests to Dropbox: one client for all threads, bounded answers, translated errors."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from vaultd import __version__
from vaultd.backends.dropbox.errors import from_library
from vaultd.backends.dropbox.settings import DropboxSettings
from vaultd.backends.transport.environment_proxy import proxy_for
from vaultd.backends.transport.http_headers import header
from vaultd.backends.transport.tls import trust
from vaultd.errors import PlaceBusy, PlaceError

JSON_LIMIT: Final = 64 * 1024 * 1024
_ERROR_BODY: Final = 64 * 1024
# A server that gives less than this many bytes a second, beyond the read timeout, hangs.
_SLOWEST: Final = 8 * 1024
_CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read to its end; of an error's body only the beginning."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class DropboxHttp:
    """The connections to one Dropbox; opened at the first request, and kept."""

    def __init__(
        self, settings: DropboxSettings, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.settings = settings
        self._transport = transport
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()

    def _open(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                settings = self.settings
                # Its lines would show every request.
                logging.getLogger("httpx").setLevel(logging.WARNING)
                self._client = httpx.Client(
                    verify=trust(settings.ca_file),
                    transport=self._transport,
                    proxy=proxy_for(settings.api_url) if self._transport is None else None,
                    trust_env=False,  # httpx refuses what others take for NO_PROXY
                    timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout),
                    limits=httpx.Limits(
                        max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS
                    ),
                    headers={
                        "User-Agent": f"vaultd/{__version__}",
                        # What is not compressed cannot unfold in memory.
                        "Accept-Encoding": "identity",
                    },
                    follow_redirects=False,
                )
            return self._client

    def close(self) -> None:
        """Hang up; a later request connects anew, unless a `transport` was given."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def post(
        self,
        url: str,
        headers: Mapping[str, str],
        content: bytes = b"",
        *,
        limit: int = JSON_LIMIT,
        unknown: bool = False,
    ) -> Answer:
        """Return the answer to one request, of at most `limit` bytes where it went well.

        `unknown`: after a broken connection the request may have taken effect. Raises PlaceError
        when there is no answer, or none that ends.
        """
        where = self.settings.where
        try:
            with self._open().stream("POST", url, headers=headers, content=content) as response:
                status = response.status_code
                body = self._body(response, limit if status in (200, 206) else None)
                return Answer(status, response.headers, body)
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, ssl.SSLError) as error:
            # Not chained: the library's own text may quote headers.
            raise from_library(error, where, unknown=unknown) from None

    def _body(self, response: httpx.Response, limit: int | None) -> bytes:
        where = self.settings.where
        if (header(response.headers, "content-encoding") or "identity").lower() != "identity":
            raise PlaceError(f"{where} compresses what was asked for as it is.")
        began, taken, pieces = time.monotonic(), 0, []
        for piece in response.iter_raw():
            pieces.append(piece)
            taken += len(piece)
            if limit is None and taken > _ERROR_BODY:
                break
            if limit is not None and taken > limit:
                raise PlaceError(f"{where} answers more than was asked for (over {limit} bytes).")
            if time.monotonic() - began > self.settings.read_timeout + taken / _SLOWEST:
                raise PlaceBusy(f"{where} answers too slowly.")
        return b"".join(pieces)
