"""The end of a multipart upload with an empty ETag, as Ceph 16 answers: a look confirms it."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest

from tests.backends.servers.scripted_http import Asked, ScriptedServer, answer, error
from vaultd.backends.s3.backend import S3Backend, S3Settings
from vaultd.errors import ObjectMissing, PlaceError

SIZE = 6 * 1024 * 1024
ETAG = '"0123456789abcdef0123456789abcdef"'


def ceph(*stored: int) -> ScriptedServer:
    """A store that shows an object of this size once its upload was completed."""
    completed: list[bool] = []

    def answering(asked: Asked) -> Iterable[bytes]:
        if asked.method == "HEAD":
            if not completed or not stored:
                return [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]
            # A HEAD has the length of what it does not send.
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {stored[0]}\r\nETag: {ETAG}\r\n\r\n"
            return [head.encode()]
        if asked.method == "POST" and "uploads" in asked.path:
            return answer("200 OK", b"<R><UploadId>u1</UploadId></R>")
        if asked.method == "POST":
            completed.append(True)
            return answer("200 OK", b"<R><Key>big</Key><ETag></ETag></R>")
        return answer("200 OK", ETag=ETAG) if asked.method == "PUT" else error("400", "No")

    return ScriptedServer(answering)


def put(server: ScriptedServer) -> None:
    settings = S3Settings(
        "pods", endpoint=server.endpoint, access_key="AKID", secret_key="secret",
        region="us-east-1", read_timeout=5.0, part_size=5 * 1024 * 1024,
    )  # fmt: skip
    S3Backend(settings).create("big", io.BytesIO(bytes(SIZE)), SIZE)


def test_a_look_confirms_what_the_empty_etag_does_not() -> None:
    with ceph(SIZE) as server:
        put(server)
        assert server.asked[-1].method == "HEAD"


def test_another_size_is_an_error() -> None:
    with ceph(SIZE - 1) as server, pytest.raises(PlaceError, match="another size"):
        put(server)


def test_nothing_there_is_an_error() -> None:
    with ceph() as server, pytest.raises(ObjectMissing):
        put(server)
