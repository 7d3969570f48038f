"""The servers that uploads are measured on, as vaultd and as rclone reach them by a port."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import boto3

from tests.backends.servers import wheel_s3
from tests.backends.servers.apache_dav import start_apache
from tests.backends.servers.moto_s3 import start_moto
from tests.backends.servers.nginx_dav import start_nginx
from tests.backends.servers.running import PASSWORD, USER
from tests.backends.servers.swift_s3 import ACCESS_KEY, REGION, SECRET_KEY, start_swift
from tests.backends.servers.wheel_s3 import client_of, start_seaweedfs
from tests.backends.servers.wsgidav_server import start_wsgidav
from vaultd.backends.base import Backend
from vaultd.backends.opening import open_place
from vaultd.config import Target

_BUCKET: Final = "bench"


@dataclass(frozen=True)
class Place:
    """A folder on a server: `kind` is s3 or webdav, `base` the path of its collection there."""

    name: str
    kind: str
    port: int
    base: str
    folder: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    @property
    def _server(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def at(self, folder: str, port: int = 0) -> Place:
        """Return another folder of it, by another port where one is given."""
        return replace(self, folder=folder, port=port or self.port)

    def backend(self, at_once: int) -> Backend:
        """Open it as a target of a config is opened."""
        if self.kind == "s3":
            target = Target(
                f"s3://{_BUCKET}/{self.folder}", endpoint=self._server, region=REGION,
                path_style=True, access_key=self.access_key, secret_key=self.secret_key,
            )  # fmt: skip
        else:
            target = Target(
                f"webdav://127.0.0.1:{self.port}{self.base}/{self.folder}",
                username=USER, password=PASSWORD, insecure=True,
            )  # fmt: skip
        return open_place(target.url, target, name=self.name, create=True, at_once=at_once)

    def rclone(self, source: Path, transfers: int) -> float:
        """`rclone copy` a folder to it; return its wall time, raise if it fails."""
        if self.kind == "s3":
            remote = f"far:{_BUCKET}/{self.folder}"
            keys = {
                "TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": self._server, "REGION": REGION,
                "ACCESS_KEY_ID": self.access_key, "SECRET_ACCESS_KEY": self.secret_key,
            }  # fmt: skip
        else:
            remote = f"far:{self.folder}"
            keys = {
                "TYPE": "webdav", "URL": f"{self._server}{self.base}", "VENDOR": "other",
                "USER": USER, "PASS": _obscured(),
            }  # fmt: skip
        # Settings of this machine for the AWS library stop rclone before it starts.
        environment = {key: value for key, value in os.environ.items() if key[:4] != "AWS_"}
        environment |= {f"RCLONE_CONFIG_FAR_{key}": value for key, value in keys.items()}
        command = ["rclone", "copy", "--transfers", str(transfers), "--config", "", str(source)]
        begun = time.perf_counter()
        done = subprocess.run([*command, remote], env=environment, capture_output=True, check=False)
        taken = time.perf_counter() - begun
        if done.returncode:
            raise RuntimeError(done.stderr.decode("utf-8", "replace")[-2000:])
        return taken


def _obscured() -> str:
    done = subprocess.run(
        ["rclone", "obscure", PASSWORD], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _make_bucket(endpoint: str) -> None:
    boto3.client(
        "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    ).create_bucket(Bucket=_BUCKET)  # fmt: skip


@contextmanager
def _moto() -> Iterator[Place]:
    server = start_moto()
    try:
        _make_bucket(server.endpoint)
        yield Place("moto", "s3", server.port, "", "")
    finally:
        server.stop()


@contextmanager
def _swift() -> Iterator[Place]:
    server = start_swift()
    try:
        _make_bucket(server.endpoint)
        yield Place("Swift", "s3", int(server.endpoint.rpartition(":")[2]), "", "")
    finally:
        server.stop()


@contextmanager
def _seaweedfs() -> Iterator[Place]:
    server = start_seaweedfs()
    try:
        client_of(server).create_bucket(Bucket=_BUCKET)
        port = int(server.url.rpartition(":")[2])
        yield Place("SeaweedFS", "s3", port, "", "", wheel_s3.ACCESS_KEY, wheel_s3.SECRET_KEY)
    finally:
        server.stop()


@contextmanager
def _wsgidav() -> Iterator[Place]:
    server = start_wsgidav()
    try:
        yield Place("wsgidav", "webdav", int(server.url.rpartition(":")[2]), "", "")
    finally:
        server.stop()


@contextmanager
def _apache() -> Iterator[Place]:
    server = start_apache()
    try:
        yield Place("Apache", "webdav", int(server.url.rpartition(":")[2]), "/dav", "")
    finally:
        server.stop()


@contextmanager
def _nginx() -> Iterator[Place]:
    server = start_nginx()
    try:
        yield Place("nginx", "webdav", int(server.url.rpartition(":")[2]), "", "")
    finally:
        server.stop()


SERVERS: Final[Mapping[str, Callable[[], AbstractContextManager[Place]]]] = {
    "moto": _moto, "Swift": _swift, "SeaweedFS": _seaweedfs, "wsgidav": _wsgidav,
    "Apache": _apache, "nginx": _nginx,
}  # fmt: skip
