"""moto and wsgidav behind a proxy, each with a fresh place for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import boto3
import msgspec
import pytest
from botocore.config import Config

from tests.backends.proxy import Proxy
from tests.backends.servers.moto_s3 import Moto, start_moto
from tests.backends.servers.running import PASSWORD, USER, Running
from tests.backends.servers.wsgidav_server import start_wsgidav
from vaultd.backends.base import Backend
from vaultd.backends.opening import open_place
from vaultd.backends.wrappers.retrying import RetryingBackend, RetryPolicy
from vaultd.config import Target

QUICK = RetryPolicy(tries=10, first=0.01, longest=0.1, budget=60)
_numbers = count()


@dataclass
class FarPlace:
    """A place behind a proxy: `target` goes through it, `near` does not."""

    proxy: Proxy
    target: Target
    near: Target

    def open(self) -> Backend:
        """Open it through the proxy, with little patience between tries."""
        return self._opened(self.target)

    def directly(self) -> Backend:
        """Open it beside the proxy: what is really there."""
        return self._opened(self.near)

    def _opened(self, target: Target) -> Backend:
        place = open_place(target.url, target, name="far", create=True)
        assert isinstance(place, RetryingBackend)
        return RetryingBackend(place.inner, "far", QUICK)


Maker = Callable[[], FarPlace]


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    server = start_moto()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def wsgidav() -> Iterator[Running]:
    server = start_wsgidav()
    yield server
    server.stop()


@pytest.fixture
def s3(moto: Moto) -> Iterator[FarPlace]:
    bucket = f"far{next(_numbers)}"
    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{moto.port}", region_name="us-east-1", aws_access_key_id="a",
        aws_secret_access_key="b", config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip
    client.create_bucket(Bucket=bucket)
    near = Target(
        f"s3://{bucket}/vaults", endpoint=f"http://127.0.0.1:{moto.port}", access_key="a", secret_key="b",
        path_style=True, region="us-east-1", connect_timeout=2, read_timeout=2,
    )  # fmt: skip
    with Proxy(moto.port) as proxy:
        target = _changed(near, endpoint=f"http://127.0.0.1:{proxy.port}")
        yield FarPlace(proxy, target, near)


@pytest.fixture
def webdav(wsgidav: Running) -> Iterator[FarPlace]:
    port = int(wsgidav.url.rpartition(":")[2])
    path = f"far{next(_numbers)}"
    keys = {"username": USER, "password": PASSWORD, "insecure": True, "connect_timeout": 2.0,
            "read_timeout": 2.0}  # fmt: skip
    with Proxy(port) as proxy:
        yield FarPlace(
            proxy,
            Target(f"webdav://127.0.0.1:{proxy.port}/{path}", **keys),
            Target(f"webdav://127.0.0.1:{port}/{path}", **keys),
        )


@pytest.fixture(params=["s3", "webdav"])
def place(request: pytest.FixtureRequest) -> FarPlace:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, FarPlace)
    return found


def _changed(target: Target, **keys: str) -> Target:
    return msgspec.structs.replace(target, **keys)
