"""moto, Swift and Ceph, each started once, and a fresh bucket for every test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.backends.servers.ceph_rgw import CephRgw, start_ceph_rgw
from tests.backends.servers.certificates import Authority
from tests.backends.servers.http_front import HttpFront
from tests.backends.servers.moto_s3 import Moto, start_moto
from tests.backends.servers.swift_s3 import ACCESS_KEY, REGION, SECRET_KEY, Swift, start_swift
from vaultd.backends.s3.backend import S3Settings

_numbers = count()


@pytest.fixture(autouse=True)
def _no_aws_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("AWS_") or name.endswith("_CA_BUNDLE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    server = start_moto()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def swift() -> Iterator[Swift]:
    server = start_swift()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ceph() -> Iterator[CephRgw]:
    server = start_ceph_rgw()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ceph_tls(ceph: CephRgw, authority: Authority) -> Iterator[HttpFront]:
    with HttpFront(ceph.port, authority.issue("localhost")) as front:
        yield front


@pytest.fixture(scope="session")
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory(prefix="vt-ca-") as folder:
        yield Authority(Path(folder))


@pytest.fixture(scope="session")
def moto_tls(moto: Moto, authority: Authority) -> Iterator[HttpFront]:
    with HttpFront(moto.port, authority.issue("localhost")) as front:
        yield front


def raw_client(endpoint: str) -> Any:
    """Return boto3's own client, for what vaultd never does."""
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name=REGION,
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        config=Config(request_checksum_calculation="when_required"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def moto_client(moto: Moto) -> Any:
    return raw_client(moto.endpoint)


@pytest.fixture(scope="session")
def swift_client(swift: Swift) -> Any:
    return raw_client(swift.endpoint)


def new_bucket(client: Any, **how: object) -> str:
    bucket = f"pods-{os.getpid()}-{next(_numbers)}"
    client.create_bucket(Bucket=bucket, **how)
    return bucket


Place = Callable[..., S3Settings]


@pytest.fixture
def moto_place(moto: Moto, moto_client: Any) -> Place:
    """Give settings of a fresh bucket on moto."""

    def place(**settings: Any) -> S3Settings:
        locked = settings.get("lock_mode") is not None
        given = {"endpoint": moto.endpoint, **_KEYS, **settings}
        return S3Settings(new_bucket(moto_client, ObjectLockEnabledForBucket=locked), **given)

    return place


@pytest.fixture
def swift_place(swift: Swift, swift_client: Any) -> Place:
    """Give settings of a fresh bucket on Swift."""

    def place(**settings: Any) -> S3Settings:
        return S3Settings(
            new_bucket(swift_client), **{"endpoint": swift.endpoint, **_KEYS, **settings}
        )

    return place


@pytest.fixture
def ceph_place(ceph: CephRgw) -> Place:
    """Give settings of a fresh bucket on Ceph's gateway."""
    client = raw_client(ceph.endpoint)

    def place(**settings: Any) -> S3Settings:
        locked = settings.get("lock_mode") is not None
        given = {"endpoint": ceph.endpoint, **_KEYS, **settings}
        return S3Settings(new_bucket(client, ObjectLockEnabledForBucket=locked), **given)

    return place


_KEYS = {"region": REGION, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
