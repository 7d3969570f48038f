"""Connections of boto3 that somebody else opens: to an address checked before, not DNS's next."""

from __future__ import annotations

import importlib
import socket
from collections.abc import Callable, Mapping
from typing import Final, Protocol, cast

# Host, port and seconds to a connected socket; raises PlaceError or OSError.
Connect = Callable[[str, int, float], socket.socket]


# Head and body are sent one after the other: without this the body waits for an acknowledgement
# of the head that the other side delays, 40 ms for each object.
AT_ONCE: Final = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Connection(Protocol):
    host: str
    port: int


class _PoolManager(Protocol):
    pool_classes_by_scheme: Mapping[str, object]


class _Session(Protocol):
    _manager: _PoolManager


def connect_through(session: object, connect: Connect, timeout: float) -> None:
    """Make a botocore URLLib3Session take its sockets from `connect`.

    The host itself still stands in the Host header and is what the certificate must name.
    """
    requests = importlib.import_module("botocore.awsrequest")
    broken = importlib.import_module("urllib3.exceptions")

    def new_connection(self: _Connection) -> socket.socket:
        try:
            made = connect(self.host, self.port, timeout)
            made.setsockopt(*AT_ONCE)
            return made
        except TimeoutError as error:
            raise broken.ConnectTimeoutError(self, "timed out") from error
        except OSError as error:
            raise broken.NewConnectionError(self, "cannot be reached") from error

    classes = {}
    for scheme, pool in (
        ("http", requests.AWSHTTPConnectionPool),
        ("https", requests.AWSHTTPSConnectionPool),
    ):
        guided = type("Guided", (pool.ConnectionCls,), {"_new_conn": new_connection})
        classes[scheme] = type("GuidedPool", (pool,), {"ConnectionCls": guided})
    cast("_Session", session)._manager.pool_classes_by_scheme = classes
