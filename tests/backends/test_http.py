"""One HTTP connection: trust, logins, bounds, and the sentence that each trouble gives."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.backends.servers.certificates import Authority
from tests.backends.servers.raw import RawServer
from tests.backends.servers.running import free_port
from vaultd.backends.transport.http import HttpConnection, HttpSettings, place_url
from vaultd.backends.transport.http_errors import from_library, retry_after
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError, PlaceFull, PlaceRefused, UsageError

SECRET = "geheim-42"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    started: list[RawServer] = []

    def start(
        answer: Callable[[socket.socket], None], certificate: Path | None = None
    ) -> RawServer:
        started.append(RawServer(answer, certificate))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def get(
    url: str,
    *,
    transport: httpx.BaseTransport | None = None,
    harmless: bool = True,
    **settings: object,
) -> bytes:
    given = {"username": "anna", "password": SECRET, "read_timeout": 1.0, **settings}
    connection = HttpConnection(HttpSettings(**given), "the place", transport=transport)  # type: ignore[arg-type]
    return connection.request(
        "GET", httpx.URL(url), "read objects", fine=(200,), harmless=harmless, limit=1000
    ).body


def answering(status: int, **headers: str) -> httpx.MockTransport:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.MockTransport(
        lambda _: httpx.Response(status, headers=named, stream=httpx.ByteStream(b"x"))
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_a_server_of_our_own_authority_is_trusted_only_with_its_file(
    authority: Authority, serve: Callable[..., RawServer]
) -> None:
    server = serve(lambda connection: connection.sendall(_OK), authority.issue("localhost"))
    url = f"https://localhost:{server.port}/"
    assert get(url, ca_file=authority.file) == b"ok"
    with pytest.raises(PlaceRefused, match="signed by nobody this machine trusts.*ca_file"):
        get(url)


@pytest.mark.parametrize(
    ("host", "days", "sentence"),
    [
        ("localhost", -1, r"has expired\. Its owner must renew it"),
        ("localhost", 10, r"not valid yet\. Is this machine's clock right"),
        ("cloud.example", 8, "is for another host name"),
    ],
)
def test_a_bad_certificate_is_named(
    authority: Authority, serve: Callable[..., RawServer], host: str, days: int, sentence: str
) -> None:
    server = serve(lambda connection: connection.sendall(_OK), authority.issue(host, days=days))
    with pytest.raises(PlaceRefused, match=sentence):
        get(f"https://localhost:{server.port}/", ca_file=authority.file)


def test_an_authoritys_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for path in (tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(PlaceError, match=f"file {path} cannot be used"):
            get("https://localhost/", ca_file=path)


def test_plain_http_on_a_tls_port_is_named() -> None:
    plain = socket.create_server(("127.0.0.1", 0))
    port = plain.getsockname()[1]

    def talk() -> None:
        connection, _ = plain.accept()
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    threading.Thread(target=talk, daemon=True).start()
    with pytest.raises(PlaceRefused, match=r"does not speak TLS.*right port"):
        get(f"https://localhost:{port}/")
    plain.close()


def test_nobody_there_is_a_reason_to_wait() -> None:
    with pytest.raises(
        PlaceBusy, match=r"refuses the connection\. Is the server running"
    ) as raised:
        get(f"http://127.0.0.1:{free_port()}/", harmless=False)
    assert not raised.value.unknown
    error = httpx.ConnectError("x")
    error.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert "host name of the place is not known" in str(
        from_library(error, "the place", unknown=True)
    )


def test_an_answer_that_never_comes_may_have_had_effect(serve: Callable[..., RawServer]) -> None:
    server = serve(lambda _: time.sleep(3))
    with pytest.raises(PlaceBusy, match="did not answer in time") as raised:
        get(f"http://127.0.0.1:{server.port}/", read_timeout=0.2, harmless=False)
    assert raised.value.unknown


@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"])
def test_a_connection_that_is_cut_is_a_reason_to_wait(
    serve: Callable[..., RawServer], half: bytes
) -> None:
    server = serve(lambda connection: connection.sendall(half))
    with pytest.raises(PlaceBusy, match="broke off"):
        get(f"http://127.0.0.1:{server.port}/")


def test_a_body_that_drips_is_given_up(serve: Callable[..., RawServer]) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    server = serve(drip)
    began = time.monotonic()
    with pytest.raises(PlaceBusy, match="too slowly"):
        get(f"http://127.0.0.1:{server.port}/", read_timeout=0.3)
    assert time.monotonic() - began < 2


def test_a_body_without_end_is_cut(serve: Callable[..., RawServer]) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    server = serve(flood)
    assert get(f"http://127.0.0.1:{server.port}/") == b"x" * 1000


@pytest.mark.parametrize(
    ("status", "kind", "sentence", "unknown"),
    [
        (401, PlaceClosed, "does not accept these credentials", None),
        (403, PlaceRefused, "does not allow this user to read objects", None),
        (407, PlaceClosed, "proxy", None),
        (408, PlaceBusy, "just now", False),
        (413, PlaceError, "no body that large", None),
        (423, PlaceBusy, "locked", False),
        (425, PlaceBusy, "just now", False),
        (429, PlaceBusy, "429 Too Many Requests", False),
        (500, PlaceBusy, "500 Internal Server Error", True),
        (501, PlaceError, "does not know how to", None),
        (502, PlaceBusy, "502", True),
        (503, PlaceBusy, "503", True),
        (504, PlaceBusy, "504", True),
        (507, PlaceFull, "is full", None),
        (509, PlaceBusy, "509", True),
        (599, PlaceError, "would not read objects", None),
    ],
)
def test_each_status_is_a_kind_of_error(
    status: int, kind: type[PlaceError], sentence: str, unknown: bool | None
) -> None:
    with pytest.raises(kind, match=sentence) as raised:
        get("http://place.example/", transport=answering(status), harmless=False)
    assert type(raised.value) is kind
    assert getattr(raised.value, "unknown", None) is unknown


def test_a_redirect_is_told_and_never_followed() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(
            302,
            headers={"Location": "https://u:pw@evil.example/x?token=t"},
            stream=httpx.ByteStream(b""),
        )

    with pytest.raises(PlaceError, match="sends vaultd on to https://evil.example/x ") as raised:
        get("http://place.example/", transport=httpx.MockTransport(answer))
    assert "token" not in str(raised.value)
    assert "pw" not in str(raised.value)
    assert seen == ["http://place.example/"]


def test_a_server_that_wants_digest_says_so() -> None:
    transport = answering(401, WWW_Authenticate='Digest realm="x", nonce="y"')
    with pytest.raises(PlaceRefused, match="digest = true"):
        get("http://place.example/", transport=transport)


def test_what_is_compressed_all_the_same_is_not_unfolded() -> None:
    connection = HttpConnection(
        HttpSettings(), "the place", transport=answering(200, Content_Encoding="gzip")
    )
    with (
        connection.stream("GET", httpx.URL("http://place.example/")) as response,
        pytest.raises(PlaceError, match="compresses"),
    ):
        list(connection.pieces(response, 100))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0), ("0", 0.0), ("1.5", 1.5), ("-3", 0.0), ("1e99", 86400.0), ("nan", None),
        ("inf", 86400.0), ("", None), ("soon", None), ("Fri, 01 Jan 2027 00:01:00 GMT", 60.0),
        ("Fri, 01 Jan 2027 00:00:00 -0000", 0.0), ("Fri, 01 Jan 2026 00:00:00 GMT", 0.0),
        ("Fri, 99 Jan 2026 00:00:00 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    assert retry_after({"retry-after": text}, now) == seconds


def test_retry_after_reaches_the_error() -> None:
    with pytest.raises(PlaceBusy) as raised:
        get("http://place.example/", transport=answering(503, Retry_After="7"))
    assert raised.value.retry_after == 7.0


def test_we_say_who_we_are_and_take_no_cookies() -> None:
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(
            200, headers={"Set-Cookie": "session=1; Path=/"}, stream=httpx.ByteStream(b"ok")
        )

    connection = HttpConnection(
        HttpSettings(token=SECRET), "the place", transport=httpx.MockTransport(answer)
    )
    for _ in range(2):
        connection.request("GET", httpx.URL("http://place.example/"), "read", fine=(200,))
    assert seen[0]["user-agent"].startswith("vaultd/")
    assert seen[1]["authorization"] == f"Bearer {SECRET}"
    assert "cookie" not in seen[1]
    connection.request("GET", httpx.URL("http://place.example/"), "read", fine=(200,), login=False)
    assert "authorization" not in seen[2]


def test_no_secret_shows(caplog: pytest.LogCaptureFixture) -> None:
    settings = HttpSettings(username="anna", password=SECRET, token=SECRET)
    assert SECRET not in repr(settings)
    for bad in ({"token": f"{SECRET}\n"}, {"password": f"{SECRET}\r\nX: y"}, {"token": "a b"}):
        with pytest.raises(UsageError) as raised:
            HttpSettings(**bad)  # type: ignore[arg-type]
        assert SECRET not in str(raised.value)
    with caplog.at_level(logging.DEBUG):
        get(f"http://place.example/?token={SECRET}", transport=answering(200))
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x/", "https://", "https://u:p@x/", "https://x/?a=1", "https://x/#a", "https://x:99999/",
     "https://[::1/", "nothing"],
)  # fmt: skip
def test_a_places_url_is_plain(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        place_url(url, {"https": "https"})
    assert "u:p" not in str(raised.value)


def test_a_places_url_keeps_its_escapes_and_loses_its_last_slash() -> None:
    assert str(place_url("https://x/a%20b/%25/", {"https": "https"})) == "https://x/a%20b/%25"
    assert str(place_url("webdav://x:8080", {"webdav": "http"})) == "http://x:8080/"
