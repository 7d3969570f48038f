"""OK is not proof: servers that say that an object is stored, and have nothing, or half of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest

from tests.backends.conformance import names, put
from tests.backends.servers.nextcloud import CloudServer
from tests.backends.servers.running import PASSWORD, USER
from tests.backends.servers.scripted_http import Answering, Asked, ScriptedServer, answer, error
from vaultd.backends.nextcloud.backend import NextcloudBackend, NextcloudSettings
from vaultd.backends.s3 import leftovers as s3_leftovers
from vaultd.backends.s3 import probe_lock as s3_probe_lock
from vaultd.backends.s3.backend import S3Backend, S3Settings
from vaultd.backends.s3.client import S3Client
from vaultd.backends.s3.settings import MIN_PART
from vaultd.backends.trial import try_out
from vaultd.backends.webdav.backend import WebdavBackend, WebdavSettings
from vaultd.errors import PlaceBusy, PlaceError


@pytest.fixture(scope="module")
def server() -> Iterator[CloudServer]:
    running = CloudServer("owncloud")
    yield running
    running.stop()


@pytest.fixture
def cloud(server: CloudServer) -> CloudServer:
    server.reset()
    return server


def as_cloud(cloud: CloudServer) -> NextcloudBackend:
    return NextcloudBackend(
        NextcloudSettings(cloud.url, USER, PASSWORD, chunk_size=5_000_000), create=True
    )


def as_webdav(cloud: CloudServer) -> WebdavBackend:
    url = f"{cloud.url}/remote.php/dav/files/anna%20b/vaults"
    return WebdavBackend(WebdavSettings(url, USER, PASSWORD), create=True)


@pytest.mark.parametrize("opened", [as_cloud, as_webdav])
@pytest.mark.parametrize("size", [10, 5_000_001])
@pytest.mark.parametrize("lie", ["nothing", "half"])
def test_a_move_that_does_less_than_it_says_is_found_out(
    cloud: CloudServer,
    opened: Callable[[CloudServer], WebdavBackend],
    size: int,
    lie: str,
) -> None:
    place = opened(cloud)
    put(place, "v/one", b"x")
    cloud.move_lies = lie
    with pytest.raises(PlaceBusy):
        put(place, "v/two", b"x" * size)
    assert not try_out(place, sleep=lambda _: None).fine
    cloud.move_lies = ""
    put(place, "v/two", b"x" * size)
    assert {info.name: info.size for info in place.list()} == {"v/one": 1, "v/two": size}
    assert cloud.leftovers() == []


def s3(server: ScriptedServer) -> S3Backend:
    return S3Backend(
        S3Settings(
            "pods", endpoint=server.endpoint, access_key="a", secret_key="b", path_style=True,
            part_size=MIN_PART,
        )
    )  # fmt: skip


def lying(stored: int | None) -> Answering:
    """Say yes to every upload, and have an object of this size, or none."""

    def answering(asked: Asked) -> list[bytes]:
        if asked.method == "HEAD":
            if stored is None or not done:
                return [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]
            head = f'HTTP/1.1 200 OK\r\nContent-Length: {stored}\r\nETag: "e"\r\n\r\n'
            return [head.encode()]
        if asked.method == "POST" and "uploadId" not in asked.path:
            return answer("200 OK", b"<R><UploadId>u1</UploadId></R>")
        if asked.method in ("PUT", "POST"):
            done.append(asked.method)
            return answer("200 OK", b"<R><Key>a</Key><ETag>e</ETag></R>", ETag='"another"')
        return error("404 N", "NoSuchKey")

    done: list[str] = []
    return answering


@pytest.mark.parametrize("size", [10, MIN_PART + 1])
@pytest.mark.parametrize("stored", [None, 5])
def test_an_s3_upload_that_did_less_than_it_says_is_found_out(
    size: int, stored: int | None
) -> None:
    answering = lying(stored)

    def only_at_the_end(asked: Asked) -> list[bytes]:
        # Before the completion nothing is there.
        looked = [each for each in server.asked if each.method == "HEAD"]
        if asked.method == "HEAD" and size > MIN_PART and len(looked) < 3:
            return [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]
        return answering(asked)

    with ScriptedServer(only_at_the_end) as server:
        backend = s3(server)
        with pytest.raises(PlaceError):
            backend.create("a", io.BytesIO(b"x" * size), size)


def test_a_refused_question_for_the_quota_costs_only_that(cloud: CloudServer) -> None:
    place = as_webdav(cloud)
    put(place, "v/one", b"x")
    cloud.refuses_quota = True
    assert place.space().free is None
    room = next(finding for finding in place.probe() if finding.what == "room")
    assert "tells no quota" in room.sentence
    assert names(place) == ["v/one"]


def test_a_server_without_head_and_options_is_fit(cloud: CloudServer) -> None:
    cloud.refuses = ("HEAD", "OPTIONS")
    place = as_webdav(cloud)
    put(place, "v/one", b"x")
    assert not any(finding.grave and not finding.fine for finding in place.probe())
    assert try_out(place).fine


def test_optional_questions_that_an_s3_store_breaks_on_cost_nothing() -> None:
    empty = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"

    def breaking(asked: Asked) -> list[bytes]:
        optional = any(word in asked.path for word in ("uploads", "versioning", "lifecycle"))
        return error("500 N", "InternalError") if optional else answer("200 OK", empty)

    with ScriptedServer(breaking) as server:
        client = S3Client(s3(server).settings)
        assert "does not list" in s3_leftovers.remove(client).sentence
        assert all(finding.fine for finding in s3_probe_lock.measure(client))
