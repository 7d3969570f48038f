"""HTTP to a place whose URL a user gave: only to checked addresses, and never without end."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

import httpcore
import httpx

from vaultd.backends.guard.own_addresses import is_on_this_machine
from vaultd.backends.guard.rules import Network, Own, Resolver, resolve, shown, system_resolver
from vaultd.backends.transport.addresses import first_that_answers
from vaultd.errors import PlaceBusy, PlaceError

SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)

_CONNECTIONS: Final = 32
_PIECE: Final = 64 * 1024
# A server that takes less than this many bytes a second of an upload, on average, hangs.
_SLOWEST: Final = 8 * 1024
_CORE: Final = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one response may cost: `size` in bytes with its head, `seconds` of waiting for it.

    `seconds` also is how long a server may lag behind the slowest sensible upload.
    """

    size: int = 1 << 30
    seconds: float = 600.0


class GuardedTransport(httpx.BaseTransport):
    """A transport for httpx.Client that connects to checked addresses only, and bounds responses.

    Certificate, SNI and Host stay those of the name. Redirects are left to the client, whose next
    request is checked like the first. Besides the errors of httpx it raises PlaceRefused and
    PlaceBusy like `resolve`, PlaceBusy for a response that is too slow, and PlaceError for one
    that is too long or compressed. `check` is asked before each request, and what it raises is
    passed on. Environment proxies are not used.
    """

    def __init__(
        self,
        *,
        verify: ssl.SSLContext | None = None,
        limits: Limits = Limits(),
        permitted: Sequence[Network] = (),
        own: Own = is_on_this_machine,
        resolver: Resolver = system_resolver,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._check = check
        self._pool = httpcore.ConnectionPool(
            ssl_context=verify or ssl.create_default_context(),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=_CONNECTIONS,
            keepalive_expiry=5.0,
            network_backend=_GuardedNetwork(limits, permitted, own, resolver),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; see the class for what it raises."""
        self._check()
        url = request.url
        headers = [item for item in request.headers.raw if item[0].lower() != b"accept-encoding"]
        # What is not compressed cannot unfold in memory.
        headers.append((b"Accept-Encoding", b"identity"))
        inner = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=headers,
            content=cast(httpx.SyncByteStream, request.stream),
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = self._pool.handle_request(inner)
        body = _Body(answer)
        for name, value in answer.headers:
            plain = value.strip().lower() in (b"", b"identity")
            if name.lower() == b"content-encoding" and not plain:
                body.close()
                raise PlaceError(
                    f"{shown(url.host)} compresses what was asked for as it is.",
                    hint="Switch compression off there (a proxy's, perhaps).",
                )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=body, extensions=answer.extensions
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from cast(Iterable[bytes], self._answer.stream)

    def close(self) -> None:
        self._answer.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except _CORE as error:
        # The classes of httpx have the names of httpcore's.
        twin = cast(type[httpx.TransportError], getattr(httpx, type(error).__name__))
        # The text of a LocalProtocolError may quote a header, and a secret with it.
        local = isinstance(error, httpcore.LocalProtocolError)
        raise twin(type(error).__name__) from (None if local else error)


class _GuardedNetwork(httpcore.NetworkBackend):
    def __init__(
        self, limits: Limits, permitted: Sequence[Network], own: Own, resolver: Resolver
    ) -> None:
        self._limits = limits
        self._resolve = partial(resolve, permitted=permitted, own=own, resolver=resolver)
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        patience = self._limits.seconds if timeout is None else timeout

        def connect(address: str, left: float) -> httpcore.NetworkStream:
            return self._inner.connect_tcp(address, port, left, local_address, socket_options)

        try:
            stream = first_that_answers(
                self._resolve(host, port),
                patience,
                connect,
                (httpcore.ConnectError, httpcore.ConnectTimeout),
            )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("timed out") from error
        return _LimitedStream(stream, self._limits, host)


class _LimitedStream(httpcore.NetworkStream):
    """One connection: counts bytes and seconds of waiting, anew for each request and response."""

    def __init__(self, inner: httpcore.NetworkStream, limits: Limits, host: str) -> None:
        self._inner, self._limits, self._host = inner, limits, host
        self._reading, self._waited, self._moved = False, 0.0, 0

    def _turn(self, reading: bool) -> None:
        if self._reading is not reading:
            self._reading, self._waited, self._moved = reading, 0.0, 0

    @contextmanager
    def _waiting(self, patience: float, timeout: float | None) -> Iterator[float]:
        """Give the seconds that one operation may wait, and add up those that it waited."""
        left = patience - self._waited
        if left <= 0:
            raise self._slow()
        began = time.monotonic()
        try:
            yield left if timeout is None else min(left, timeout)
        except httpcore.TimeoutException as error:
            if timeout is None or left < timeout:
                raise self._slow() from error
            raise
        self._waited += time.monotonic() - began

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._turn(True)
        with self._waiting(self._limits.seconds, timeout) as patience:
            data = self._inner.read(max_bytes, patience)
        self._moved += len(data)
        if self._moved > self._limits.size:
            raise PlaceError(
                f"{shown(self._host)} answers without end (over {self._limits.size} bytes)."
            )
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._turn(False)
        for start in range(0, len(buffer), _PIECE):
            piece = buffer[start : start + _PIECE]
            with self._waiting(self._limits.seconds + self._moved / _SLOWEST, timeout) as patience:
                self._inner.write(piece, patience)
            self._moved += len(piece)

    def _slow(self) -> PlaceBusy:
        return PlaceBusy(
            f"{shown(self._host)} is too slow (over {self._limits.seconds:g} seconds)."
        )

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, timeout)
        return _LimitedStream(stream, self._limits, self._host)

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)
