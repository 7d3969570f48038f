"""Every scheme that a user may give: rebinding, redirects inward, lying PASV, silence, floods.

127.0.0.2 stands for the internet (it is permitted), 127.0.0.1 for the pod's own machine.
"""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from typing import Any

import pytest

from tests.backends.servers.authority import Authority
from tests.backends.servers.nextcloud import CloudServer
from tests.backends.servers.raw_tcp import read_request, serve
from tests.backends.servers.running import PASSWORD, USER, free_port
from tests.backends.servers.scripted_ftp import Conversation, ScriptedFtp
from tests.backends.test_guard import Dns
from vaultd.backends.base import Backend
from vaultd.backends.opening import Guard, open_place
from vaultd.config import Target
from vaultd.errors import PlaceError, PlaceRefused

OUTSIDE = Guard((ip_network("127.0.0.2/32"),))
HOST = "place.example"
WEB = ("s3", "webdav", "nextcloud", "dropbox")
SCHEMES = (*WEB, "ftp", "sftp")
KEY = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def target(scheme: str, port: int, **more: Any) -> Target:
    at = f"{HOST}:{port}"
    url, keys = {
        "s3": ("s3://bucket/a", {"endpoint": f"http://{at}", "access_key": "a", "secret_key": "b",
                                 "path_style": True, "region": "r"}),
        "webdav": (f"webdav://me@{at}/a", {"password": "x", "insecure": True}),
        "nextcloud": (f"nextcloud://me@{at}/a", {"password": "x", "insecure": True}),
        "dropbox": ("dropbox:///a", {"app_key": "k", "refresh_token": "t", "endpoint": f"https://{at}"}),
        "ftp": (f"ftp://me@{at}/a", {"password": "x", "insecure": True}),
        "sftp": (f"sftp://me@{at}/a", {"password": "x", "host_key": KEY}),
    }[scheme]  # fmt: skip
    settings = {"tries": 2, "connect_timeout": 1.0, "read_timeout": 1.0, **keys, **more}
    return Target(url, **settings)  # type: ignore[arg-type]


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dns]:
    """Have the machine's resolver answer for HOST from a sequence."""

    def start(*sequence: list[str]) -> Dns:
        hostile, honest = Dns(*sequence), socket.getaddrinfo

        def getaddrinfo(host: object, port: int, *rest: Any, **more: Any) -> Any:
            if host not in (HOST, HOST.encode()):
                return honest(host, port, *rest, **more)
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, (address, port)) for address in hostile(HOST, port)]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return hostile

    return start


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def outside(authority: Authority) -> Callable[..., Any]:
    """Start a server on the internet: with TLS for Dropbox, which is reached by no other way."""

    def start(scheme: str, handle: Callable[[socket.socket], None]) -> Any:
        context = authority.server_context(HOST)

        def secure(connection: socket.socket) -> None:
            with suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as inner:
                handle(inner)

        return serve(secure if scheme == "dropbox" else handle, "127.0.0.2")

    return start


@contextmanager
def inside(port: int = 0) -> Iterator[list[object]]:
    """Listen on the pod's own machine, and give who came."""
    seen: list[object] = []
    listener = socket.create_server(("127.0.0.1", port))
    listener.settimeout(0)
    try:
        yield seen
        try:
            while True:
                connection, peer = listener.accept()
                connection.close()
                seen.append(peer)
        except BlockingIOError:
            pass
    finally:
        listener.close()


def verbs(place: Backend) -> list[Callable[[], object]]:
    return [
        lambda: list(place.list()),
        lambda: place.create("a", io.BytesIO(b"content"), 7),
        lambda: place.read("a"),
        lambda: place.delete("a"),
        place.probe,
    ]


def every_verb_fails(settings: Target, numbers: Sequence[int] = range(5)) -> None:
    for number in numbers:
        try:
            place = open_place(settings.url, settings, guard=OUTSIDE)
        except PlaceRefused:
            continue  # FTP and SFTP look the name up when they are opened
        with pytest.raises(PlaceError):
            verbs(place)[number]()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_rebinding_name_never_leads_inward(scheme: str, dns: Callable[..., Dns]) -> None:
    hostile = dns(["127.0.0.2"], ["127.0.0.1"])
    with (
        serve(lambda connection: None, "127.0.0.2") as port,  # hangs up, so that we come again
        inside(port) as seen,
    ):
        every_verb_fails(target(scheme, port))
    assert hostile.asked
    assert seen == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_inner_address_among_the_others_refuses_a_place(
    scheme: str, dns: Callable[..., Dns]
) -> None:
    dns(["127.0.0.2", "127.0.0.1"])
    with serve(lambda connection: None, "127.0.0.2") as port, inside(port) as seen:
        every_verb_fails(target(scheme, port))
    assert seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", WEB)
def test_no_redirect_leads_inward(
    scheme: str,
    status: int,
    dns: Callable[..., Dns],
    outside: Callable[..., Any],
    authority: Authority,
) -> None:
    dns(["127.0.0.2"])
    inner = free_port()
    answer = (
        f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:{inner}/\r\n"
        "x-amz-bucket-region: elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ).encode()

    arrived: list[bytes] = []

    def redirect(connection: socket.socket) -> None:
        arrived.append(read_request(connection))
        connection.sendall(answer)

    trusted = {"ca_file": str(authority.ca_file)} if scheme == "dropbox" else {}
    with outside(scheme, redirect) as port, inside(inner) as seen:
        every_verb_fails(target(scheme, port, **trusted))
    assert arrived
    assert seen == []


def test_where_a_cloud_wants_its_upload_is_checked_like_the_cloud() -> None:
    """oCIS answers with the address to upload to, which may be any."""
    cloud = CloudServer("ocis")
    try:
        other = free_port()
        url = f"owncloud://{USER}@127.0.0.1:{cloud.port}/vaultd"
        settings = Target(url, password=PASSWORD, insecure=True, tries=1)
        place = open_place(
            url, settings, create=True, guard=Guard((ip_network("127.0.0.1/32"),))
        )  # fmt: skip
        place.create("a", io.BytesIO(b"fine"), 4)
        cloud.url = f"http://127.0.0.2:{other}"
        size = 12_000_000  # large enough to be sent in parts
        with pytest.raises(PlaceError):
            place.create("b", io.BytesIO(b"x" * size), size)
    finally:
        cloud.stop()


@pytest.mark.parametrize("answers", [
    {"PASV": "227 Entering (127,0,0,1,{high},{low})"},
    {"PASV": "502 no", "EPSV": "229 Entering (|1|127.0.0.1|{port}|)"},
    {"PASV": "502 no", "EPSV": "229 Entering (|||{port}|)"},
])  # fmt: skip
def test_no_passive_address_leads_elsewhere_than_to_the_checked_one(
    answers: dict[str, str], dns: Callable[..., Dns]
) -> None:
    dns(["127.0.0.2"])
    server = ScriptedFtp()
    inner = free_port()
    for command, text in answers.items():
        server.answers[command] = text.format(high=inner >> 8, low=inner & 255, port=inner)
    server.answers["CWD"] = "250 fine"
    with (
        serve(lambda control: Conversation(server, control).run(), "127.0.0.2") as port,
        inside(inner) as seen,
    ):
        every_verb_fails(target("ftp", port), (0, 1))
    assert any(line.startswith(("PASV", "EPSV")) for line in server.said)
    assert seen == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_silent_server_ends_every_verb(scheme: str, dns: Callable[..., Dns]) -> None:
    dns(["127.0.0.2"])

    def silent(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    with serve(silent, "127.0.0.2") as port:
        settings = target(scheme, port, tries=1, connect_timeout=0.3, read_timeout=0.3)
        place = open_place(settings.url, settings, guard=OUTSIDE)
        for verb in verbs(place):
            with pytest.raises(PlaceError):
                verb()


FLOODS = {
    "head": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 10,
    "body": b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n<a>",
    "line": b"220-",
    "banner": b"SSH-not-yet\r\n",
}


@pytest.mark.parametrize("flood", sorted(FLOODS))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_flood_ends(
    scheme: str,
    flood: str,
    dns: Callable[..., Dns],
    outside: Callable[..., Any],
    authority: Authority,
) -> None:
    dns(["127.0.0.2"])
    piece = {"head": b"X-A: b\r\n", "body": b"<a></a>", "line": b"x", "banner": b"220-x\r\n"}[flood]

    def pour(connection: socket.socket) -> None:
        connection.sendall(FLOODS[flood])
        while True:
            connection.sendall(piece * 10_000)

    trusted = {"ca_file": str(authority.ca_file)} if scheme == "dropbox" else {}
    with outside(scheme, pour) as port:
        settings = target(scheme, port, tries=1, **trusted)
        place = open_place(settings.url, settings, guard=OUTSIDE)
        with pytest.raises(PlaceError):
            list(place.list())
        with suppress(PlaceError):
            assert len(place.read("a", 0, 100)) <= 100  # what was asked for, and no more
