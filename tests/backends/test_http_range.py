"""Ranged answers: Content-Range counts whatever the status, and nothing is believed against it."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from tests.backends.servers.scripted_http import Answering, Asked, ScriptedServer, answer
from vaultd.backends.base import Backend
from vaultd.backends.dropbox.backend import DropboxBackend, DropboxSettings
from vaultd.backends.s3.backend import S3Backend, S3Settings
from vaultd.backends.transport.http_headers import header
from vaultd.backends.transport.http_range import wanted_part
from vaultd.backends.webdav.backend import WebdavBackend, WebdavSettings
from vaultd.errors import PlaceError

CONTENT = bytes(range(200))
FILE = (
    b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>/dav/a</D:href><D:propstat><D:prop>'
    b"<D:resourcetype/><D:getcontentlength>200</D:getcontentlength></D:prop>"
    b"<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>"
)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("5, 5", "content-length", "5"),
        ("SHA1:x,SHA1:x, SHA1:x", "oc-checksum", "SHA1:x"),
        ("Sat, 28 Nov 2026 16:55:29 GMT, Sat, 28 Nov 2026 16:55:29 GMT", "date",
         "Sat, 28 Nov 2026 16:55:29 GMT"),
        ("Sat, 28 Nov 2026 16:55:29 GMT", "date", "Sat, 28 Nov 2026 16:55:29 GMT"),
        ("5, 6", "content-length", "5, 6"), ("", "etag", ""),
    ],
)  # fmt: skip
def test_a_header_that_comes_twice_is_one_unless_it_contradicts_itself(
    given: str, name: str, value: str
) -> None:
    assert header({name: given}, name) == value


def test_headers_that_httpx_joined_are_told_apart() -> None:
    twice = httpx.Headers([("OC-Checksum", "SHA1:x"), ("OC-Checksum", "SHA1:x")])
    assert header(twice, "oc-checksum") == "SHA1:x"
    assert header(twice, "absent") == ""


@pytest.mark.parametrize(
    ("status", "content_range", "size", "offset", "length", "part"),
    [
        (206, "bytes 10-19/200", 10, 10, 10, (0, 10)),
        (200, "bytes 10-19/200", 10, 10, 10, (0, 10)),
        (200, "bytes 10-19/200, bytes 10-19/200", None, 10, 10, (0, 10)),
        (200, "bytes 0-199/200", 200, 10, 10, (10, 10)),
        (200, "", 200, 10, 10, (10, 10)),
        (200, "", None, 10, None, (10, None)),
        (200, "", 200, 300, 10, (300, 0)),
        (206, "bytes 150-199/200", 50, 150, 100, (0, 50)),
        (206, "bytes 10-199/*", 190, 10, None, (0, 190)),
        (206, "bytes 5-199/200", None, 10, 10, (5, 10)),
    ],
)  # fmt: skip
def test_where_the_wanted_bytes_lie(
    status: int, content_range: str, size: int | None, offset: int, length: int | None,
    part: tuple[int, int | None],
) -> None:  # fmt: skip
    headers = {"content-range": content_range}
    if size is not None:
        headers["content-length"] = str(size)
    assert wanted_part(status, headers, offset, length, "the place") == part


@pytest.mark.parametrize(
    ("status", "content_range", "size", "said"),
    [
        (206, "", 10, "without saying which"), (206, "bytes 10-19/200", 200, "contradicts itself"),
        (200, "bytes 10-19/200", 200, "contradicts itself"), (206, "bytes x", 10, "contradicts"),
        (206, "bytes 19-10/200", None, "contradicts"), (206, "bytes 10-19/15", 10, "contradicts"),
        (206, "bytes 11-20/200", 10, "another part"), (206, "bytes 0-9/200", 10, "another part"),
        (206, "bytes 10-14/200", 5, "less of an object"), (206, "bytes 10-14/*", 5, "less of"),
        (200, "bytes 10-19/200, bytes 20-29/200", None, "contradicts itself"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_an_error_and_never_damage(
    status: int, content_range: str, size: int | None, said: str
) -> None:
    headers = {"content-range": content_range}
    if size is not None:
        headers["content-length"] = str(size)
    with pytest.raises(PlaceError, match=said):
        wanted_part(status, headers, 10, 10, "the place")


def s3(endpoint: str) -> Backend:
    return S3Backend(
        S3Settings("pods", endpoint=endpoint, access_key="a", secret_key="b", path_style=True)
    )


def webdav(endpoint: str) -> Backend:
    return WebdavBackend(WebdavSettings(f"{endpoint}/dav"))


def dropbox(endpoint: str) -> Backend:
    return DropboxBackend(
        DropboxSettings("key", refresh_token="r", api_url=endpoint, content_url=endpoint)
    )


Place = Callable[[str], Backend]
PLACES = pytest.mark.parametrize("place", [s3, webdav, dropbox])


def ranged(status: str, total: int | None = None) -> Answering:
    """Answer a range rightly, but with this status."""

    def answering(asked: Asked) -> list[bytes]:
        if asked.method == "PROPFIND":
            return answer("207 Multi-Status", FILE)
        if asked.path.endswith("/oauth2/token"):
            return answer("200 OK", b'{"access_token": "t", "expires_in": 9999}')
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked.headers.get("range", ""))
        if found is None:
            return answer("200 OK", CONTENT, ETag='"e"')
        first, last = int(found[1]), min(int(found[2] or 199), 199)
        told = f"bytes {first}-{last}/{total or 200}"
        return answer(status, CONTENT[first : last + 1], ETag='"e"', Content_Range=told)

    return answering


@PLACES
@pytest.mark.parametrize("status", ["200 OK", "206 Partial Content"])
def test_a_part_that_comes_with_200_is_read_as_the_part_it_is(place: Place, status: str) -> None:
    with ScriptedServer(ranged(status)) as server:
        backend = place(server.endpoint)
        for offset, length in [(0, 10), (50, 10), (190, 30), (60, None), (0, None), (199, 1)]:
            end = None if length is None else offset + length
            assert backend.read("a", offset, length) == CONTENT[offset:end]


@PLACES
def test_a_416_for_what_is_there_is_an_error_and_beyond_the_end_is_nothing(place: Place) -> None:
    def answering(asked: Asked) -> list[bytes]:
        if asked.method in ("GET", "POST") and "range" in asked.headers:
            return answer("416 Range Not Satisfiable", Content_Range="bytes */200")
        return ranged("206")(asked)

    with ScriptedServer(answering) as server:
        backend = place(server.endpoint)
        assert backend.read("a", 200, 5) == b""
        with pytest.raises(PlaceError, match="refuses a part of an object that it has"):
            backend.read("a", 100, 5)


@PLACES
def test_a_part_shorter_than_asked_for_is_an_error(place: Place) -> None:
    with ScriptedServer(ranged("206 Partial Content", 5000)) as server:
        backend = place(server.endpoint)
        with pytest.raises(PlaceError, match="less of an object than asked for"):
            backend.read("a", 100, 500)
