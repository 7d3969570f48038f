"""Proxies that the environment names, in the forms that machines really have."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.backends.servers.raw_tcp import serve
from vaultd.backends.transport.environment_proxy import proxy_for
from vaultd.backends.webdav.backend import WebdavBackend, WebdavSettings
from vaultd.errors import PlaceError

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def _no_proxies_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_no_variable_means_a_direct_way() -> None:
    assert proxy_for("https://cloud.example/") is None


@pytest.mark.parametrize(
    ("name", "value", "url", "found"),
    [
        ("https_proxy", PROXY, "https://cloud.example/", PROXY),
        ("HTTPS_PROXY", "proxy.example:3128", "https://cloud.example/", PROXY),
        ("https_proxy", PROXY, "http://cloud.example/", None),
        ("ALL_PROXY", PROXY, "http://cloud.example/", PROXY),
        ("HTTP_PROXY", "https://a:b@proxy.example", "http://x/", "https://a:b@proxy.example"),
    ],
)
def test_the_proxy_of_a_scheme_is_used(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, url: str, found: str | None
) -> None:
    monkeypatch.setenv(name, value)
    assert proxy_for(url) == found


@pytest.mark.parametrize(
    ("entries", "direct", "through"),
    [
        ("localhost,127.0.0.1,::1,[::1]", "https://[::1]:8080/", "https://[::2]/"),
        ("fe80::/10,10.0.0.0/8", "https://10.1.2.3/", "https://11.1.2.3/"),
        ("[fe80::]/10", "https://[fe80::1]/", "https://[2a01::1]/"),
        ("cloud.example", "https://a.cloud.example/", "https://acloud.example/"),
        (".cloud.example", "https://a.cloud.example/", "https://example/"),
        ("*.cloud.example", "https://a.cloud.example/", "https://example/"),
        ("cloud.example:8443", "https://cloud.example:8443/", "https://cloud.example/"),
        (" CLOUD.example , ", "https://cloud.example/", "https://x.example/"),
        ("[,,]/99,http://[,10.0.0.0/99, x y ,cloud.example", "https://cloud.example/", "https://10.0.0.1/"),
    ],
)  # fmt: skip
def test_no_proxy_is_understood_and_nonsense_passed_over(
    monkeypatch: pytest.MonkeyPatch, entries: str, direct: str, through: str
) -> None:
    monkeypatch.setenv("https_proxy", PROXY)
    monkeypatch.setenv("no_proxy", entries)
    assert proxy_for(direct) is None
    assert proxy_for(through) == PROXY
    monkeypatch.setenv("no_proxy", "*")
    assert proxy_for(through) is None


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "socks://u:hunter2@h/", "http://", "http://[", "http://h:x"]
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(PlaceError, match="HTTPS_PROXY") as raised:
        proxy_for("https://cloud.example/")
    assert "hunter2" not in str(raised.value)


@contextmanager
def refusing_proxy(asked: list[bytes]) -> Iterator[int]:
    def answer(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 407 no\r\nContent-Length: 0\r\n\r\n")

    with serve(answer) as port:
        yield port


def test_requests_go_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    with refusing_proxy(asked) as port:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
        backend = WebdavBackend(
            WebdavSettings(url="http://cloud.example/x", username="anna", password="p")
        )
        with pytest.raises(PlaceError, match="407"):
            backend.read("a")
    assert asked[0].startswith(b"GET http://cloud.example/")
