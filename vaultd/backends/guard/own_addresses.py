"""The addresses under which the pod itself is reached, which a user's target must not have."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

# RFC 5737 and 3849: never on any interface, so that whoever can bind to these can bind to all.
_NOBODYS: Final = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
_ROUTES: Final = Path("/proc/net/fib_trie")
_LOCAL: Final = re.compile(r"\|-- (\S+)\s+/32 host LOCAL")
_FRESH_SECONDS: Final = 60.0

Resolver = Callable[[str, int], "list[str]"]


def is_on_this_machine(address: str) -> bool:
    """Tell whether a numeric address is one of an interface of this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if not _binds(family, address):
        return False
    if not _binds(family, _NOBODYS[family]):
        return True
    # Anything can be bound to (ip_nonlocal_bind), but the way to an own address begins there, or
    # at the interface's first one.
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((address, 9))  # sends nothing
        if asking.getsockname()[0] == address:
            return True
    with suppress(OSError):
        return address in _LOCAL.findall(_ROUTES.read_text("ascii", "replace"))
    return False


def _binds(family: socket.AddressFamily, address: str) -> bool:
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.bind((address, 0))
        return True
    return False


def _looked_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(item[4][0]) for item in found]


class PodAddresses:
    """Tells whether an address is this machine's, or one that the pod's name leads to.

    The name is looked up again after a minute; while that fails, what it led to last counts: a
    pod behind a router has its public address on no interface of its own.
    """

    def __init__(
        self,
        host: str,
        *,
        resolver: Resolver = _looked_up,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._resolver = resolver
        self._clock = clock
        self._lock = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._asked = float("-inf")

    def __call__(self, address: str) -> bool:
        """Tell whether a numeric address is the pod's own."""
        return address in self._of_the_name() or is_on_this_machine(address)

    def _of_the_name(self) -> frozenset[str]:
        with self._lock:
            if self._host and self._clock() - self._asked >= _FRESH_SECONDS:
                self._asked = self._clock()
                with suppress(OSError, ValueError):
                    self._known = frozenset(self._resolver(self._host, 443))
            return self._known


@lru_cache(maxsize=8)
def pod_addresses(host: str) -> PodAddresses:
    """Return the one PodAddresses of a host, which all places of users share."""
    return PodAddresses(host)
