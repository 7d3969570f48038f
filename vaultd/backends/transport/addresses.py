"""Connecting to a name with several addresses, of which some may be dead."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Final, TypeVar

_T = TypeVar("_T")
MAX_TRIES: Final = 4
"""A hostile name could have thousands of addresses at which nobody answers."""


def in_turns(addresses: Sequence[str]) -> list[str]:
    """Return numeric addresses with those of IPv6 and IPv4 in turns, the first one first.

    So a family that leads nowhere does not hide the other (RFC 8305 section 4).
    """
    families = {True: list[str](), False: list[str]()}
    for address in dict.fromkeys(addresses):
        families[":" in address].append(address)
    first = ":" in addresses[0] if addresses else True
    pairs = zip_longest(families[first], families[not first])
    return [address for address in chain.from_iterable(pairs) if address is not None]


def first_that_answers(
    addresses: Sequence[str],
    timeout: float,
    connect: Callable[[str, float], _T],
    failures: type[Exception] | tuple[type[Exception], ...],
) -> _T:
    """Return `connect(address, seconds)` of the first address for which it raises no failure.

    Each has its share of what is left of `timeout`, so that a dead one leaves time for the next.
    Raises the last failure.
    """
    tried = in_turns(addresses)[:MAX_TRIES]
    deadline = time.monotonic() + timeout
    failure: Exception = TimeoutError("timed out")
    for number, address in enumerate(tried):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return connect(address, left / (len(tried) - number))
        except failures as error:
            failure = error
    raise failure


def dial(host: str, port: int, timeout: float) -> socket.socket:
    """Return a TCP socket to a name or address; raises OSError and UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    def connect(address: str, patience: float) -> socket.socket:
        connection = socket.create_connection((address, port), patience)
        connection.settimeout(timeout)
        # Small packets go at once, not after the answer to those before them (40 ms each).
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    return first_that_answers([str(item[4][0]) for item in found], timeout, connect, OSError)
