"""HTTP to a user's URL: rebinding, redirects inward, names and certificates, endless answers."""

from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network

import httpx
import pytest

from tests.backends.servers.authority import Authority
from tests.backends.servers.raw_tcp import read_request, serve
from tests.backends.test_guard import OUR_TEST_SERVERS, Dns
from vaultd.backends.guard import http as guarded_http
from vaultd.backends.guard.http import GuardedTransport, Limits
from vaultd.backends.guard.rules import Resolver
from vaultd.errors import PlaceBusy, PlaceError, PlaceRefused

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
GENEROUS = Limits()
ENDLESS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def client(
    resolver: Resolver,
    limits: Limits = GENEROUS,
    verify: ssl.SSLContext | None = None,
    **settings: object,
) -> httpx.Client:
    transport = GuardedTransport(
        verify=verify, limits=limits, permitted=OUR_TEST_SERVERS, resolver=resolver
    )
    return httpx.Client(transport=transport, timeout=5, **settings)


def always(answer: bytes, seen: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        while True:
            request = read_request(connection)
            if seen is not None:
                seen.append(request)
            connection.sendall(answer)

    return handle


def at(address: str = "127.0.0.2") -> Dns:
    return Dns([address])


def test_an_ordinary_answer_arrives_and_the_connection_is_kept() -> None:
    dns, seen = at(), []
    with serve(always(HELLO, seen), "127.0.0.2") as port, client(dns) as http:
        for _ in range(3):
            answer = http.get(f"http://place.example:{port}/a?b=c", headers={"X-Own": "1"})
            assert (answer.status_code, answer.content) == (200, b"hello")
    assert dns.asked == 1
    assert seen[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
    assert b"Host: place.example:" in seen[0]
    assert seen[0].lower().count(b"accept-encoding") == 1
    assert b"Accept-Encoding: identity" in seen[0]


def test_a_rebinding_name_never_leads_inward() -> None:
    dns, inward = Dns(["127.0.0.2"], ["127.0.0.1"]), []
    one_answer = HELLO.replace(b"200 OK\r\n", b"200 OK\r\nConnection: close\r\n")

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(one_answer)

    with serve(handle, "127.0.0.2") as port, client(dns) as http:
        assert http.get(f"http://rebinding.example:{port}/").content == b"hello"
        with (
            serve(always(HELLO, inward), "127.0.0.1"),
            pytest.raises(PlaceRefused, match=r"rebinding.example has the address 127\.0\.0\.1"),
        ):
            http.get(f"http://rebinding.example:{port}/")
    assert inward == []


def test_a_name_with_a_good_and_a_bad_address_is_refused() -> None:
    with (
        serve(always(HELLO), "127.0.0.2") as port,
        client(Dns(["127.0.0.2", "10.0.0.1"])) as http,
        pytest.raises(PlaceRefused, match=r"10\.0\.0\.1"),
    ):
        http.get(f"http://half.example:{port}/")


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:{port}/", "http://inside.example:{port}/", "http://2130706433:{port}/",
     "http://0x7f.1:{port}/", "http://[::1]:{port}/", "http://[::ffff:127.0.0.1]:{port}/",
     "http://localhost:{port}/", "//127.0.0.1:{port}/", "http://[fe80::1%25lo]:{port}/",
     "http://169.254.169.254/latest/meta-data/", "ftp://127.0.0.1/", "file:///etc/passwd",
     "http://0:{port}/"],
)  # fmt: skip
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_inward_is_refused(target: str, status: int) -> None:
    inward: list[bytes] = []

    def resolver(host: str, port: int) -> list[str]:
        if host == "outside.example":
            return ["127.0.0.2"]
        if host == "inside.example":
            return ["127.0.0.1"]
        return [str(item[4][0]) for item in socket.getaddrinfo(host, port)]

    with serve(always(HELLO, inward), "127.0.0.1") as inner:
        location = target.format(port=inner)
        answer = f"HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        with (
            serve(always(answer.encode()), "127.0.0.2") as port,
            client(resolver, follow_redirects=True) as http,
            pytest.raises((PlaceRefused, PlaceBusy, httpx.UnsupportedProtocol, httpx.InvalidURL,
                           httpx.RemoteProtocolError)),
        ):  # fmt: skip
            http.get(f"http://outside.example:{port}/")
    assert inward == []


def test_the_transport_itself_follows_nothing() -> None:
    answer = b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    with serve(always(answer), "127.0.0.2") as port, client(at()) as http:
        assert http.get(f"http://outside.example:{port}/").status_code == 302


@pytest.mark.parametrize(
    "url",
    ["http://2130706433:{port}/", "http://0x7f.1:{port}/", "http://0x7f000001:{port}/",
     "http://127.1:{port}/", "http://127.0.0.1:{port}/", "http://[::1]:{port}/",
     "http://[::ffff:7f00:1]:{port}/", "http://localhost:{port}/", "http://LOCALHOST.:{port}/",
     "http://user@127.0.0.1:{port}/", "http://0:{port}/", "http://[fe80::1%25lo]:{port}/",
     "http://127.0.0.1.:{port}/"],
)  # fmt: skip
def test_this_machine_is_not_reached_by_any_spelling(url: str) -> None:
    seen: list[bytes] = []
    with (
        serve(always(HELLO, seen), "127.0.0.1") as port,
        httpx.Client(transport=GuardedTransport()) as http,
        pytest.raises((PlaceRefused, PlaceBusy, httpx.InvalidURL)),
    ):
        http.get(url.format(port=port))
    assert seen == []


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    with serve(always(HELLO, seen), "127.0.0.1") as proxy:
        for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        with serve(always(HELLO), "127.0.0.2") as port, client(at()) as http:
            assert http.get(f"http://place.example:{port}/").content == b"hello"
    assert seen == []


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def https(authority: Authority) -> Callable[..., object]:
    def start(host: str, seen: list[str | None], *, expired: bool = False) -> object:
        context = authority.server_context(host, expired=expired)
        context.sni_callback = lambda _socket, name, _context: seen.append(name)

        def handle(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                always(HELLO)(secure)

        return serve(handle, "127.0.0.2")

    return start


def test_certificate_and_sni_are_those_of_the_name(
    authority: Authority, https: Callable[..., object]
) -> None:
    names: list[str | None] = []
    with (
        https("place.example", names) as port,
        client(at(), verify=authority.client_context()) as http,
    ):
        assert http.get(f"https://place.example:{port}/").content == b"hello"
    assert names == ["place.example"]


@pytest.mark.parametrize(
    ("host", "expired", "reason"),
    [("other.example", False, "Hostname mismatch"), ("127.0.0.2", False, "Hostname mismatch"),
     ("place.example", True, "expired")],
)  # fmt: skip
def test_a_certificate_that_does_not_fit_the_name_is_refused(
    authority: Authority,
    https: Callable[..., object],
    host: str,
    expired: bool,
    reason: str,
) -> None:
    with (
        https(host, [], expired=expired) as port,
        client(at(), verify=authority.client_context()) as http,
        pytest.raises(httpx.ConnectError) as raised,
    ):
        http.get(f"https://place.example:{port}/")
    assert any(
        isinstance(cause, ssl.SSLCertVerificationError) and reason in str(cause)
        for cause in causes(raised.value)
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_a_foreign_certificate_is_refused_by_default(https: Callable[..., object]) -> None:
    with (
        https("place.example", []) as port,
        client(at()) as http,
        pytest.raises(httpx.ConnectError),
    ):
        http.get(f"https://place.example:{port}/")


def endless_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(ENDLESS)
    while True:
        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def endless_head(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in itertools.count():
        connection.sendall(b"X-%d: 1\r\n" % number)


def endless_hints(connection: socket.socket) -> None:
    read_request(connection)
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)


def endless_extensions(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(ENDLESS)
    while True:
        connection.sendall(b"1;" + b"x" * 10000 + b"\r\na\r\n")


def endless_trailers(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(ENDLESS + b"0\r\n")
    while True:
        connection.sendall(b"X: " + b"1" * 100 + b"\r\n")


@pytest.mark.parametrize(
    "handle", [endless_body, endless_head, endless_hints, endless_extensions, endless_trailers]
)
def test_an_endless_answer_ends(handle: Callable[[socket.socket], None]) -> None:
    limits = Limits(size=1_000_000, seconds=5)
    with (
        serve(handle, "127.0.0.2") as port,
        client(at(), limits) as http,
        pytest.raises((PlaceError, httpx.RemoteProtocolError)) as raised,
    ):
        http.get(f"http://endless.example:{port}/")
    if handle in (endless_body, endless_hints, endless_extensions):
        assert "endless.example answers without end" in str(raised.value)


def test_a_long_answer_within_the_limit_is_read() -> None:
    body = b"x" * 900_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with (
        serve(always(answer), "127.0.0.2") as port,
        client(at(), Limits(size=1_000_000)) as http,
    ):
        for _ in range(3):  # counted anew for each, on one connection
            assert http.get(f"http://place.example:{port}/").content == body


def trickling_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def trickling_head(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def silent(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)


@pytest.mark.parametrize("handle", [trickling_body, trickling_head, silent])
def test_a_trickling_answer_is_given_up(handle: Callable[[socket.socket], None]) -> None:
    began = time.monotonic()
    with (
        serve(handle, "127.0.0.2") as port,
        client(at(), Limits(seconds=0.5)) as http,
        pytest.raises(PlaceBusy, match="slow.example is too slow"),
    ):
        http.get(f"http://slow.example:{port}/")
    assert time.monotonic() - began < 3


def test_a_server_that_hardly_takes_the_upload_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # The system's own buffers take some megabytes at once, which is no merit of the server.
    monkeypatch.setattr(guarded_http, "_SLOWEST", 50_000_000)

    def sipping(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while True:
            connection.recv(512)
            time.sleep(0.05)

    began = time.monotonic()
    with (
        serve(sipping, "127.0.0.2") as port,
        client(at(), Limits(seconds=0.2)) as http,
        pytest.raises(PlaceBusy, match="slow.example is too slow"),
    ):
        http.put(f"http://slow.example:{port}/", content=iter([b"x" * 200_000] * 250), timeout=None)
    assert time.monotonic() - began < 5


def test_an_upload_of_any_length_does_not_use_up_the_answers_seconds() -> None:
    def late(connection: socket.socket) -> None:
        head = read_request(connection)
        left = 100_000 - len(head.partition(b"\r\n\r\n")[2])
        while left:
            left -= len(connection.recv(min(left, 20_000)))
        connection.sendall(HELLO)

    def slow_source() -> Iterator[bytes]:
        for _ in range(10):
            time.sleep(0.1)  # not the server's fault
            yield b"x" * 10_000

    with serve(late, "127.0.0.2") as port, client(at(), Limits(seconds=0.5)) as http:
        answer = http.put(
            f"http://place.example:{port}/",
            content=slow_source(),
            headers={"Content-Length": "100000"},
        )
        assert answer.content == b"hello"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP", "x"])
def test_a_compressed_answer_is_refused_before_it_is_unfolded(encoding: str) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(bomb)}\r\n\r\n"
    with (
        serve(always(head.encode() + bomb), "127.0.0.2") as port,
        client(at()) as http,
        pytest.raises(PlaceError, match="bomb.example compresses"),
    ):
        http.get(f"http://bomb.example:{port}/", headers={"Accept-Encoding": "gzip"})


def test_a_connection_that_is_refused_or_breaks_is_the_error_of_httpx() -> None:
    with (
        serve(lambda connection: None, "127.0.0.2") as port,
        client(at()) as http,
        pytest.raises((httpx.RemoteProtocolError, httpx.NetworkError)),
    ):
        http.get(f"http://place.example:{port}/")
    with client(at()) as http, pytest.raises(httpx.ConnectError) as raised:
        http.get(f"http://place.example:{port}/")
    assert any(isinstance(cause, ConnectionRefusedError) for cause in causes(raised.value))


def test_a_secret_header_is_in_no_error() -> None:
    with (
        serve(always(HELLO), "127.0.0.2") as port,
        client(at()) as http,
        pytest.raises(httpx.LocalProtocolError) as raised,
    ):
        http.get(f"http://place.example:{port}/", headers={"Authorization": "Bearer s3cret\nx"})
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_permitted_networks_do_not_open_their_neighbours() -> None:
    transport = GuardedTransport(permitted=[ip_network("127.0.0.2/32")], resolver=at("127.0.0.3"))
    with httpx.Client(transport=transport) as http, pytest.raises(PlaceRefused):
        http.get("http://place.example/")
