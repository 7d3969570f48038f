"""Connections of boto3 to an address that was checked before, not to what DNS says next."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Callable, Mapping
from typing import Protocol, cast

Resolve = Callable[[str, int], str]


class _Connection(Protocol):
    host: str
    port: int
    timeout: object
    source_address: tuple[str, int] | None
    socket_options: object


def connect_through(session: object, resolve: Resolve) -> None:
    """Make the session's connections go to the address that `resolve` gives for their host.

    The host itself still stands in the Host header and is what the certificate must name.
    """
    requests = importlib.import_module("botocore.awsrequest")
    connect = importlib.import_module("urllib3.util.connection").create_connection
    broken = importlib.import_module("urllib3.exceptions")

    def new_connection(self: _Connection) -> socket.socket:
        address = resolve(self.host, self.port)
        try:
            return cast(
                "socket.socket",
                connect(
                    (address, self.port),
                    self.timeout,
                    source_address=self.source_address,
                    socket_options=self.socket_options,
                ),
            )
        except TimeoutError as error:
            raise broken.ConnectTimeoutError(self, "timed out") from error
        except OSError as error:
            raise broken.NewConnectionError(self, "cannot be reached") from error

    manager = cast("_Pooled", session)._manager
    classes = {}
    for scheme, pool in (
        ("http", requests.AWSHTTPConnectionPool),
        ("https", requests.AWSHTTPSConnectionPool),
    ):
        checked = type("Checked", (pool.ConnectionCls,), {"_new_conn": new_connection})
        classes[scheme] = type("CheckedPool", (pool,), {"ConnectionCls": checked})
    manager.pool_classes_by_scheme = classes


class _PoolManager(Protocol):
    pool_classes_by_scheme: Mapping[str, object]


class _Pooled(Protocol):
    _manager: _PoolManager
