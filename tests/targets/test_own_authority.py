"""A user's own target whose certificate an own authority signed: its PEM text is enough."""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.backends.servers.certificates import Authority
from tests.targets.test_target_trouble import Refusing
from vaultd.backends.opening import Guard, open_place
from vaultd.backends.transport.given_certificate import MOST, as_file
from vaultd.config import Target
from vaultd.errors import UsageError

GUARD = Guard((ip_network("127.0.0.0/8"), ip_network("::1/128")))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Iterator[Refusing]:
    made = Refusing()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("localhost"))
    made.socket = context.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.mark.parametrize("scheme", ["webdavs", "s3"])
@pytest.mark.parametrize("guard", [None, GUARD], ids=["pod", "user"])
def test_an_own_authority_is_trusted_by_its_text(
    server: Refusing, authority: Authority, scheme: str, guard: Guard | None
) -> None:
    host = f"localhost:{server.server_port}"
    pem = authority.file.read_text()

    def ask(ca: str) -> str:
        target = (
            Target(f"webdavs://me@{host}/dav", password="x", ca=ca)
            if scheme == "webdavs"
            else Target("s3://bucket", endpoint=f"https://{host}", access_key="a", secret_key="b",
                        region="us-east-1", path_style=True, ca=ca)
        )  # fmt: skip
        with pytest.raises(Exception) as raised:
            list(open_place(target.url, target, guard=guard).list())
        return str(raised.value)

    assert ask("").startswith("The certificate of ")
    assert not server.asked
    ask(pem)
    assert server.asked  # TLS came about


def test_what_is_no_certificate_is_refused() -> None:
    for text in ("", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                 "x" * (MOST + 1)):  # fmt: skip
        with pytest.raises(UsageError, match="no certificate"):
            as_file(text)


def test_the_certificate_lies_in_memory_only(authority: Authority) -> None:
    path = as_file(authority.file.read_text())
    assert path == as_file(authority.file.read_text())
    assert "memfd" in os.readlink(path)
    assert path.read_text() == authority.file.read_text()
