"""What WebDAV servers and networks do to us: logins, kills, disobedience, proxies, other paths."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.backends.conformance import names, put
from tests.backends.servers.apache_dav import start_apache
from tests.backends.servers.certificates import Authority
from tests.backends.servers.nextcloud import CloudServer
from tests.backends.servers.running import PASSWORD, USER, Running, free_port
from tests.backends.servers.wsgidav_server import start_wsgidav
from tests.backends.webdav_conformance import numbers
from vaultd.backends.webdav.backend import WebdavBackend, WebdavSettings
from vaultd.backends.webdav.probe import _transit
from vaultd.errors import ObjectExists, PlaceBusy, PlaceError, PlaceRefused, UsageError

_WRITER = """
import io, itertools, sys
from vaultd.backends.webdav.backend import WebdavBackend, WebdavSettings
place = WebdavBackend(WebdavSettings(sys.argv[1], sys.argv[2], sys.argv[3]), create=True)
content = b"x" * 300_000
place.manners()
print("ready", flush=True)
for number in itertools.count():
    place.create(f"v/{sys.argv[4]}-{number}", io.BytesIO(content), len(content))
"""


class Passing(httpx.BaseTransport):
    """Passes requests on, counts them, and lets a test answer or change some."""

    def __init__(
        self, change: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    ) -> None:
        self.inner = httpx.HTTPTransport()
        self.change = change
        self.methods: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.methods.append(request.method)
        return self.change(request) or self.inner.handle_request(request)


def empty(status: int, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b""))


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    running = start_wsgidav()
    yield running
    running.stop()


def place_at(
    base: str, transport: httpx.BaseTransport | None = None, **settings: object
) -> WebdavBackend:
    given = {"username": USER, "password": PASSWORD, **settings}
    found = WebdavSettings(f"{base}/t{next(numbers)}", **given)  # type: ignore[arg-type]
    return WebdavBackend(found, create=True, transport=transport)


def test_a_small_object_costs_three_requests(server: Running) -> None:
    counting = Passing()
    place = place_at(server.url, counting)
    put(place, "v/first", b"x")
    for size in (0, 1, 4_000_000):
        counting.methods.clear()
        put(place, f"v/next-{size}", b"x" * size)
        assert counting.methods == ["PUT", "MOVE", "HEAD"]
    counting.methods.clear()
    assert place.read("v/next-1") == b"x"
    assert counting.methods == ["GET"]


def test_a_killed_client_leaves_only_whole_objects_and_what_a_probe_removes(
    server: Running,
) -> None:
    place = place_at(server.url)
    put(place, "v/before", b"x" * 300_000)
    for turn in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(place.root()), USER, PASSWORD, str(turn)],
            stdout=subprocess.PIPE,
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(0.004 * turn)
            writer.send_signal(signal.SIGKILL)
    time.sleep(0.3)
    found = list(place.list())
    assert {info.size for info in found} == {300_000}
    assert all(place.read(info.name) == b"x" * 300_000 for info in found)
    files = server.files / place.root().path.rpartition("/")[2]
    for path in files.rglob("*tmp-*"):
        os.utime(path, (time.time() - 90_000,) * 2)
    place.probe()
    assert list(files.rglob("*tmp-*")) == []
    assert list(place.list()) == found


@pytest.fixture(scope="module")
def digest_server() -> Iterator[Running]:
    running = start_wsgidav(digest=True)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def apache() -> Iterator[Running]:
    running = start_apache()
    yield running
    running.stop()


def logs_in_from_many_threads(place: WebdavBackend) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(place, f"v/{n}", b"x" * n * 800_000), range(8)))
    assert [info.size for info in place.list()] == [n * 800_000 for n in range(8)]


def test_digest_login_works_for_small_and_streamed_uploads(digest_server: Running) -> None:
    logs_in_from_many_threads(place_at(digest_server.url, digest=True))
    with pytest.raises(PlaceRefused, match="digest = true"):
        place_at(digest_server.url).probe()


def test_apaches_digest_login_works_too(apache: Running) -> None:
    logs_in_from_many_threads(place_at(f"{apache.url}/digest", digest=True))


def test_a_login_asked_for_amid_an_upload_is_a_reason_to_try_again(
    digest_server: Running,
) -> None:
    def forget(request: httpx.Request) -> httpx.Response | None:
        if request.method != "PUT":
            return None
        assert isinstance(request.stream, httpx.SyncByteStream)
        for _ in request.stream:
            pass
        return empty(401, **{"WWW-Authenticate": 'Digest realm="x", nonce="y", qop="auth"'})

    passing = Passing()
    place = place_at(digest_server.url, passing, digest=True)
    place.manners()
    passing.change = forget
    with pytest.raises(PlaceBusy, match="login again amid an upload"):
        put(place, "v/large", b"x" * 5_000_000)
    passing.change = lambda _: None
    put(place, "v/large", b"x" * 5_000_000)


def test_wrong_credentials_are_refused_in_a_sentence_without_them(server: Running) -> None:
    place = place_at(server.url, password="not this one")
    actions: list[Callable[[], object]] = [
        lambda: put(place, "v/one", b"x"), lambda: place.read("v/one"), lambda: names(place),
        lambda: place.delete("v/one"), place.space, place.probe,
    ]  # fmt: skip
    for action in actions:
        with pytest.raises(PlaceRefused, match="does not accept these credentials") as raised:
            action()
        assert "not this one" not in f"{raised.value} {raised.value.__cause__} {place!r}"


def test_tls_with_an_authority_of_our_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    running = start_wsgidav(certificate=authority.issue("localhost"))
    try:
        place = place_at(running.url, ca_file=authority.file)
        put(place, "v/one", b"x" * 5_000_000)
        assert place.read("v/one", 4_999_999) == b"x"
        sentences = {finding.what: finding.sentence for finding in place.probe()}
        assert sentences["transport"] == "the connection is encrypted"
        with pytest.raises(PlaceRefused, match="signed by nobody this machine trusts"):
            place_at(running.url).probe()
        by_address = running.url.replace("localhost", "127.0.0.1")
        with pytest.raises(PlaceRefused, match="for another host name"):
            place_at(by_address, ca_file=authority.file).probe()
    finally:
        running.stop()


def test_nobody_there_is_a_reason_to_wait() -> None:
    place = place_at(f"http://127.0.0.1:{free_port()}")
    for action in (lambda: put(place, "v/one", b"x"), place.probe, place.space):
        with pytest.raises(PlaceBusy, match="refuses the connection") as raised:
            action()
        assert not raised.value.unknown


def test_a_folder_that_is_not_there_is_never_made_silently(server: Running) -> None:
    place = WebdavBackend(WebdavSettings(f"{server.url}/nobody/made/this", USER, PASSWORD))
    actions: list[Callable[[], object]] = [
        lambda: put(place, "v/one", b"x"), lambda: place.read("v/one"), lambda: names(place),
        lambda: names(place, "v/"), lambda: place.delete("v/one"), place.space, place.probe,
    ]  # fmt: skip
    for action in actions:
        with pytest.raises(PlaceError, match="is not there.*vaultd init"):
            action()
    assert not (server.files / "nobody").exists()


def test_a_server_that_ignores_overwrite_is_asked_first() -> None:
    server = CloudServer()

    def disobey(request: httpx.Request) -> None:
        request.headers.pop("Overwrite", None)

    counting = Passing(disobey)
    url = f"{server.url}/remote.php/dav/files/anna%20b"
    place = place_at(url, counting)
    put(place, "v/one", b"first")
    counting.methods.clear()
    with pytest.raises(ObjectExists):
        put(place, "v/one", b"second")
    assert counting.methods == ["PROPFIND"]
    assert place.read("v/one") == b"first"
    put(place, "v/folder/two", b"x")
    with pytest.raises(ObjectExists):
        put(place, "v/folder", b"a name that is a folder")
    assert names(place) == ["v/folder/two", "v/one"]
    sentences = {finding.what: finding.sentence for finding in place.probe()}
    assert "asks first" in sentences["create without replacing"]
    server.stop()


def test_names_with_a_dot_first_may_be_forbidden(server: Running) -> None:
    def forbid(request: httpx.Request) -> httpx.Response | None:
        return empty(403) if "/." in request.url.path else None

    place = place_at(server.url, Passing(forbid))
    put(place, "v/one", b"x")
    assert place.manners().temporary == "tmp-{}.tmp"
    assert place.read("v/one") == b"x"
    assert names(place) == ["v/one"]


def test_a_proxy_that_ends_tls_gets_a_path_as_destination(server: Running) -> None:
    def proxy(request: httpx.Request) -> httpx.Response | None:
        wrong = request.headers.get("Destination", "/").startswith("http")
        return empty(502) if request.method == "MOVE" and wrong else None

    place = place_at(server.url, Passing(proxy))
    put(place, "v/one", b"x")
    assert place.manners().path_only
    assert place.read("v/one") == b"x"


def test_folders_that_vanish_are_made_anew_by_the_next_try(server: Running) -> None:
    place = place_at(server.url)
    put(place, "v/w/one", b"x")
    shutil.rmtree(server.files / place.root().path.rpartition("/")[2] / "v")
    with pytest.raises(PlaceBusy, match="has gone") as raised:
        put(place, "v/w/two", b"x")
    assert not raised.value.unknown
    put(place, "v/w/two", b"x")
    assert names(place) == ["v/w/two"]


@pytest.mark.parametrize("took_effect", [True, False])
def test_a_rename_without_an_answer_is_unknown(server: Running, took_effect: bool) -> None:
    passing = Passing()
    place = place_at(server.url, passing)
    put(place, "v/one", b"x")

    def cut(request: httpx.Request) -> httpx.Response | None:
        if request.method == "MOVE":
            if took_effect:
                passing.inner.handle_request(request).close()
            raise httpx.ReadTimeout("")
        return None

    passing.change = cut
    with pytest.raises(PlaceBusy) as raised:
        put(place, "v/two", b"x")
    assert raised.value.unknown
    passing.change = lambda _: None
    if took_effect:
        with pytest.raises(ObjectExists):
            put(place, "v/two", b"x")
    else:
        put(place, "v/two", b"x")
    assert names(place) == ["v/one", "v/two"]


def test_a_rename_that_cannot_be_confirmed_is_unknown(server: Running) -> None:
    passing = Passing()
    place = place_at(server.url, passing)
    put(place, "v/one", b"x")
    passing.change = lambda request: empty(503) if request.method == "HEAD" else None
    with pytest.raises(PlaceBusy) as raised:
        put(place, "v/two", b"x")
    assert raised.value.unknown
    passing.change = lambda request: empty(405) if request.method == "HEAD" else None
    put(place, "v/three", b"x")
    assert names(place) == ["v/one", "v/three", "v/two"]


def test_a_rename_that_fails_is_looked_at(server: Running) -> None:
    passing = Passing()
    place = place_at(server.url, passing)
    put(place, "v/one", b"x")
    passing.change = lambda request: empty(500) if request.method == "MOVE" else None
    with pytest.raises(PlaceBusy) as raised:
        put(place, "v/two", b"x")
    assert not raised.value.unknown
    with pytest.raises(ObjectExists):
        put(place, "v/one", b"y")
    assert names(place) == ["v/one"]


def test_a_body_stored_short_is_thrown_away(server: Running) -> None:
    passing = Passing()
    place = place_at(server.url, passing)
    put(place, "v/one", b"x")

    def shorten(request: httpx.Request) -> httpx.Response | None:
        if request.method == "PUT":
            request.read()
            request.headers["Content-Length"] = "3"
            request.stream = httpx.ByteStream(b"xxx")
        return None

    passing.change = shorten
    with pytest.raises(PlaceBusy, match="3 bytes of 10"):
        put(place, "v/two", b"x" * 10)
    assert names(place) == ["v/one"]


def test_a_server_without_ranges_is_read_all_the_same(server: Running) -> None:
    def forget(request: httpx.Request) -> None:
        request.headers.pop("Range", None)

    place = place_at(server.url, Passing(forget))
    put(place, "v/one", bytes(range(256)))
    assert place.read("v/one", 10, 20) == bytes(range(10, 30))
    assert place.read("v/one", 250) == bytes(range(250, 256))
    assert place.read("v/one", 300, 5) == b""
    findings = {finding.what: finding.fine for finding in place.probe()}
    assert not findings["ranges"]


def test_another_range_than_asked_for_is_an_error(server: Running) -> None:
    def shift(request: httpx.Request) -> None:
        if "Range" in request.headers:
            request.headers["Range"] = "bytes=0-3"

    passing = Passing()
    place = place_at(server.url, passing)
    put(place, "v/one", b"0123456789")
    passing.change = shift
    with pytest.raises(PlaceError, match="another part"):
        place.read("v/one", 4, 4)


def test_bearer_tokens_open_a_place() -> None:
    server = CloudServer("ocis")
    url = f"{server.url}/remote.php/dav/files/anna%20b"
    place = place_at(url, username="", password="", token=server.bearer)
    put(place, "v/one", b"x")
    assert names(place) == ["v/one"]
    with pytest.raises(PlaceRefused, match="credentials"):
        place_at(url, token="another").probe()
    server.stop()


def test_plain_http_over_a_network_is_told() -> None:
    finding = _transit(httpx.URL("http://dav.example/x"))
    assert not finding.fine
    assert "use https" in finding.sentence


def test_credentials_never_belong_in_the_url_and_never_show() -> None:
    with pytest.raises(UsageError) as raised:
        WebdavBackend(WebdavSettings("https://anna:geheim@dav.example/"))
    assert "geheim" not in str(raised.value)
    settings = WebdavSettings("https://dav.example/", "anna", "geheim", "geheim")
    assert "geheim" not in f"{settings} {WebdavBackend(settings)!r}"


def test_foreign_names_are_neither_listed_nor_touched(server: Running) -> None:
    place = place_at(server.url)
    put(place, "v/one", b"x")
    files = server.files / place.root().path.rpartition("/")[2]
    for name in ("README.txt", "v/.tmp-young", "v/Übung", "v/One", "v/" + "a" * 230):
        (files / name).write_bytes(b"foreign")
    place.probe()
    assert names(place) == ["v/one"]
    assert (files / "v" / ".tmp-young").exists()


def test_a_large_object_is_read_piece_by_piece(server: Running) -> None:
    class Watched(io.RawIOBase):
        largest = 0

        def read(self, size: int = -1) -> bytes:
            Watched.largest = max(Watched.largest, size if size >= 0 else 10**9)
            return super().read(size)

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            count = min(len(buffer), self.left)
            buffer[:count] = b"x" * count
            self.left -= count
            return count

        left = 40_000_000

    place = place_at(server.url)
    place.create("v/large", Watched(), 40_000_000)  # type: ignore[arg-type]
    assert Watched.largest <= 4 * 1024 * 1024
    assert [info.size for info in place.list()] == [40_000_000]
