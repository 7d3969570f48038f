"""The HTTP under boto3: answers of bounded size and pace, no DTD, a checked address to connect to.

botocore reads whole bodies without a limit and takes a cut body for a whole one, so its
`before-send` event (https://botocore.amazonaws.com/, topics/events) hands each request over here.
"""

from __future__ import annotations

import importlib
import os
import re
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

from vaultd.backends.s3.address import AT_ONCE, Connect, connect_through
from vaultd.backends.s3.settings import S3Settings
from vaultd.backends.transport.environment_proxy import proxy_for
from vaultd.backends.transport.http_headers import header
from vaultd.backends.transport.tls import trust
from vaultd.errors import PlaceBusy, PlaceError, PlaceRefused

# A page of 1,000 keys of 1,024 bytes, each escaped, is under 4 MiB.
ANSWER_BODY: Final = 4 * 1024 * 1024
ERROR_BODY: Final = 64 * 1024
# A server that gives less than this many bytes a second, after the read timeout, hangs.
_SLOWEST: Final = 1024
_PIECE: Final = 64 * 1024
_REGION_NAME: Final = re.compile(r"[a-z0-9-]{1,40}")
_PROBED: Final = b"vaultd-probe"


class _Raw(Protocol):
    def read1(self, amt: int) -> bytes: ...
    def close(self) -> None: ...


class Request(Protocol):
    """The part of botocore's AWSPreparedRequest that is used."""

    method: str
    url: str
    headers: MutableMapping[str, object]
    body: object
    stream_output: bool


class Response(Protocol):
    """The part of botocore's AWSResponse that is used."""

    url: str
    status_code: int
    headers: Mapping[str, str]
    raw: _Raw


class _Session(Protocol):
    def send(self, request: Request) -> Response: ...
    def close(self) -> None: ...


class PacedBody:
    """A body read as it arrives, at a lowest pace; what breaks it off is a PlaceBusy.

    `size` is its announced length in bytes.
    """

    def __init__(self, raw: _Raw, size: int, where: str, timeout: float) -> None:
        self._raw = raw
        self._size = size
        self._where = where
        self._timeout = timeout
        self._start = time.monotonic()
        self._received = 0
        self._broken = importlib.import_module("urllib3.exceptions").HTTPError

    def read(self, amt: int | None = None) -> bytes:
        """Return some bytes, at most `amt`; none at the end."""
        try:
            piece = self._raw.read1(_PIECE if amt is None else min(amt, _PIECE))
        except (OSError, self._broken):
            self.close()
            raise PlaceBusy(f"{self._where} broke off amid its answer.") from None
        self._received += len(piece)
        if not piece and self._received < self._size:
            self.close()
            raise PlaceBusy(f"{self._where} broke off amid its answer.")
        waited = time.monotonic() - self._start - self._timeout
        if piece and waited > self._received / _SLOWEST:
            self.close()
            raise PlaceBusy(f"{self._where} answers too slowly to be waited for.")
        return piece

    def read_all(self, limit: int) -> tuple[bytes, bool]:
        """Return the body, and whether it was more than `limit` bytes and therefore cut."""
        pieces, left = [], limit
        while piece := self.read(_PIECE):
            pieces.append(piece[:left])
            if len(piece) > left:
                self.close()
                return b"".join(pieces), True
            left -= len(piece)
        return b"".join(pieces), False

    def close(self) -> None:
        """Give up the connection."""
        with suppress(OSError, self._broken):
            self._raw.close()


class _Whole:
    """A body that was read already, as botocore wants to read it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


class S3Http:
    """Sends what botocore prepared; one pool of connections for all threads.

    With `connect` its sockets come from there, and no proxy is used.
    """

    def __init__(self, settings: S3Settings, connect: Connect | None = None) -> None:
        self._where = settings.where
        self._check = settings.check
        self._timeout = settings.read_timeout
        self._response = importlib.import_module("botocore.awsrequest").AWSResponse
        self._library_error = importlib.import_module("botocore.exceptions").HTTPClientError
        self._flip = ""
        proxies = None
        if connect is None:
            endpoint = settings.endpoint or "https://s3.amazonaws.com"
            proxy = proxy_for(endpoint)
            proxies = {urlsplit(endpoint).scheme: proxy} if proxy else None
        session = importlib.import_module("botocore.httpsession").URLLib3Session(
            verify=_authorities(settings),
            proxies=proxies,
            timeout=(settings.connect_timeout, settings.read_timeout),
            max_pool_connections=settings.max_pool,
            socket_options=[AT_ONCE],
        )
        if connect is not None:
            connect_through(session, connect, settings.connect_timeout)
        self._session = cast("_Session", session)

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()

    @contextmanager
    def flipping(self, key: str) -> Iterator[None]:
        """For the probe: bodies sent to `key` are changed after they were signed."""
        self._flip = key
        try:
            yield
        finally:
            self._flip = ""

    def send(self, request: Request, **_: object) -> object:
        """Answer botocore's `before-send`; raises PlaceError beside botocore's own exceptions."""
        self._check()
        # botocore waits for "100 Continue" before each body: a round trip for every object.
        if "Expect" in request.headers:
            del request.headers["Expect"]
        streaming = request.stream_output
        request.stream_output = True  # it reads nothing then
        if self._flip and self._flip in request.url and request.body:
            request.body = _flipped(request.body)
        try:
            response = self._session.send(request)
        except self._library_error as error:
            raise _own_error(error) or error from None
        if 300 <= response.status_code < 400 and response.status_code != 304:
            self._refuse_redirect(response)
        headers = {name: header(response.headers, name) for name in response.headers}
        length = header(response.headers, "content-length") or "0"
        if not length.isdecimal() or len(length) > 18:
            raise PlaceError(f"{self._where} does not speak HTTP as S3 does.")
        size = 0 if request.method == "HEAD" else int(length)
        body = PacedBody(response.raw, size, self._where, self._timeout)
        fine = response.status_code < 300
        content: object = body
        if not (streaming and fine):
            content = _Whole(self._content(body, fine))
        return self._response(response.url, response.status_code, headers, content)

    def _refuse_redirect(self, response: Response) -> None:
        """Raise PlaceRefused unless a region is given, which botocore then signs for.

        Without one it would ask again and again, without end.
        """
        if _REGION_NAME.fullmatch(header(response.headers, "x-amz-bucket-region")):
            return
        response.raw.close()
        raise PlaceRefused(
            f"{self._where} sends us elsewhere ({response.status_code}).",
            hint="Are the endpoint (https?), the region and the bucket right?",
        )

    def _content(self, body: PacedBody, fine: bool) -> bytes:
        content, cut = body.read_all(ANSWER_BODY if fine else ERROR_BODY)
        # Neither HTML nor a DTD with its entities is parsed; a status speaks for itself.
        if not fine:
            return b"" if cut or _has_doctype(content) else content
        if cut:
            raise PlaceError(f"{self._where} answers with more than {ANSWER_BODY} bytes of XML.")
        if _has_doctype(content):
            raise PlaceError(
                f"{self._where} does not answer as S3 does.",
                hint="Is the endpoint right, and is there no login page in between?",
            )
        return content


def _authorities(settings: S3Settings) -> str | bool:
    if settings.ca_file is None:
        return os.environ.get("AWS_CA_BUNDLE") or os.environ.get("REQUESTS_CA_BUNDLE") or True
    trust(settings.ca_file)  # raises where boto3 would fail later, and say less
    return str(settings.ca_file)


def _has_doctype(content: bytes) -> bool:
    # Zero bytes: UTF-16, which a search for ASCII would not look into. S3 is UTF-8.
    return b"<!DOCTYPE" in content.upper() or b"\0" in content


def _flipped(body: object) -> bytes:
    content = body if isinstance(body, bytes | bytearray) else cast("_Readable", body).read()
    return bytes(content).replace(_PROBED, _PROBED.upper())


class _Readable(Protocol):
    def read(self) -> bytes: ...


def _own_error(error: BaseException) -> PlaceError | None:
    """Return the PlaceError that `connect` raised beneath the libraries."""
    found: BaseException | None = error
    for _ in range(10):
        if found is None or isinstance(found, PlaceError):
            return found
        found = found.__cause__ or found.__context__
    return None
