"""SFTP requests and their replies over one channel, many of them on the way at once."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from vaultd.backends.sftp import packets
from vaultd.backends.sftp.packets import Code, Fields, GarbledError, Kind

BLOCK: Final = 32 * 1024  # bytes read or written by one request; every server takes it (§3)
ON_THE_WAY: Final = 64  # such requests sent before the first reply is waited for: 2 MiB
_VERSION: Final = 3
_MAX_PACKET: Final = 1024 * 1024
_SLOWEST: Final = 1024  # bytes/s


class Wire(Protocol):
    """What is used of paramiko's channel."""

    def sendall(self, s: bytes, /) -> None:
        """Send all bytes; raises OSError."""
        ...

    def recv(self, nbytes: int, /) -> bytes:
        """Return some bytes, none at the end; raises OSError."""
        ...

    def settimeout(self, timeout: float, /) -> None:
        """Set how long `recv` may take, in seconds."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class StatusError(Exception):
    """The server's refusal of one request."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class SftpRequests:
    """Speaks SFTP 3 over a channel. One thread at a time.

    Raises StatusError for a refused request; EOFError, OSError or GarbledError when the channel
    broke, which is not `usable` from then on.
    """

    def __init__(
        self,
        wire: Wire,
        timeout: float,
        connected: Callable[[], bool],
        check: Callable[[], None],
    ) -> None:
        """Agree on the version; `connected` says whether the connection below still is, `check`
        is asked before each request."""
        self._wire = wire
        self._timeout = timeout
        self._connected = connected
        self._check = check
        self._number = 0
        self._asked: set[int] = set()
        self._early: dict[int, tuple[int, Fields]] = {}
        self._ignored: set[int] = set()
        self._used = time.monotonic()
        self._whole = True
        self.extensions = self._agree()

    @property
    def usable(self) -> bool:
        """Whether the next request will get its own reply."""
        return self._whole

    def close(self) -> None:
        """Hang up."""
        self._whole = False
        try:
            self._wire.close()
        except (OSError, EOFError):
            return

    def _agree(self) -> frozenset[str]:
        self._transmit(Kind.INIT, packets.number(_VERSION))
        kind, fields = self._packet()
        if kind != Kind.VERSION or fields.number() < _VERSION:
            self._whole = False
            raise GarbledError("it does not speak SFTP version 3")
        names = set()
        while fields:
            names.add(fields.string().decode("utf-8", "replace"))
            fields.string()
        return frozenset(names)

    def send(self, kind: Kind, content: bytes) -> int:
        """Send a request; returns its number, by which its reply is expected or ignored."""
        self._check()
        self._number = self._number % 0xFFFFFFFF + 1
        self._asked.add(self._number)
        self._transmit(kind, packets.number(self._number) + content)
        return self._number

    def _transmit(self, kind: Kind, content: bytes) -> None:
        whole, self._whole = self._whole, False
        self._wire.settimeout(self._timeout)
        self._wire.sendall(struct.pack(">IB", len(content) + 1, kind) + content)
        self._whole = whole
        self._used = time.monotonic()

    def _packet(self) -> tuple[int, Fields]:
        whole, self._whole = self._whole, False
        until = time.monotonic() + self._timeout
        length, kind = struct.unpack(">IB", self._exactly(5, until))
        if not 1 <= length <= _MAX_PACKET:
            raise GarbledError("a packet of no sensible length")
        fields = Fields(self._exactly(length - 1, until + length / _SLOWEST))
        self._whole = whole
        return kind, fields

    def _exactly(self, count: int, until: float) -> bytes:
        content = bytearray()
        while len(content) < count:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._wire.settimeout(left)
            piece = self._wire.recv(count - len(content))
            if not piece:
                raise EOFError
            content += piece
        return bytes(content)

    def _receive(self, number: int) -> tuple[int, Fields]:
        """Return the reply to one request; a STATUS other than OK is raised."""
        while number not in self._early:
            kind, fields = self._packet()
            self._whole = False
            given = fields.number()
            if given not in self._asked:
                raise GarbledError("a reply to nothing")
            self._asked.discard(given)
            self._whole = True
            if given in self._ignored:
                self._ignored.discard(given)
            else:
                self._early[given] = kind, fields
        kind, fields = self._early.pop(number)
        if kind == Kind.STATUS:
            code = fields.number()
            if code != Code.OK:
                message = fields.string().decode("utf-8", "replace") if fields else ""
                raise StatusError(code, message)
        return kind, fields

    def ignore(self, numbers: Iterable[int]) -> None:
        """Have the replies to these requests dropped when they come, or now."""
        for number in numbers:
            if self._early.pop(number, None) is None:
                self._ignored.add(number)

    def expect(self, number: int, wanted: Kind = Kind.STATUS) -> Fields:
        """Return the reply to a request, which must be of one kind."""
        kind, fields = self._receive(number)
        if kind != wanted:
            self._whole = False
            raise GarbledError(f"a reply of type {kind}")
        return fields

    def ask(self, kind: Kind, content: bytes, wanted: Kind = Kind.STATUS) -> Fields:
        """Send a request and return its reply."""
        return self.expect(self.send(kind, content), wanted)
