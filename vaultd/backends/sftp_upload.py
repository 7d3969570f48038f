"""Writing one new file over SFTP, many blocks ahead of the server's replies."""

from __future__ import annotations

from collections import deque
from typing import Final

from vaultd.backends import sftp_packets as packets
from vaultd.backends.sftp_packets import Attributes, Kind
from vaultd.backends.sftp_requests import BLOCK, ON_THE_WAY, SftpRequests

SYNC: Final = "fsync@openssh.com"
_WRITE_NEW: Final = 0x2 | 0x8 | 0x20  # WRITE, CREAT, EXCL


class SftpUpload:
    """A new file, made by the constructor: `write` pieces, then `finish` or `give_up`.

    Raises what SftpRequests raises.
    """

    def __init__(self, channel: SftpRequests, path: str) -> None:
        content = packets.string(path) + packets.number(_WRITE_NEW) + packets.mode(0o600)
        self._channel = channel
        self._handle = packets.string(channel.ask(Kind.OPEN, content, Kind.HANDLE).string())
        self._waiting: deque[int] = deque()
        self._offset = 0

    def write(self, piece: bytes) -> None:
        """Send a piece; what the server says to it may be raised by a later call."""
        for start in range(0, len(piece), BLOCK):
            block = piece[start : start + BLOCK]
            content = self._handle + packets.long(self._offset) + packets.string(block)
            self._waiting.append(self._channel.send(Kind.WRITE, content))
            self._offset += len(block)
            if len(self._waiting) >= ON_THE_WAY:
                self._channel.expect(self._waiting.popleft())

    def finish(self) -> Attributes:
        """Have the file go to the disk where that can be asked for, close it; returns what it is.

        All blocks are waited for first: some servers work on several requests at once.
        """
        channel = self._channel
        while self._waiting:
            channel.expect(self._waiting.popleft())
        if SYNC in channel.extensions:
            content = packets.string(SYNC) + self._handle
            self._waiting.append(channel.send(Kind.EXTENDED, content))
        described = channel.send(Kind.FSTAT, self._handle)
        self._waiting.append(described)
        self._waiting.append(channel.send(Kind.CLOSE, self._handle))
        attributes = Attributes(None, None)
        while self._waiting:
            number = self._waiting.popleft()
            if number == described:
                attributes = channel.expect(number, Kind.ATTRS).attributes()
            else:
                channel.expect(number)
        return attributes

    def give_up(self) -> None:
        """Close the file whatever state it is in, and drop the replies still to come."""
        self._channel.ignore(self._waiting)
        self._channel.ignore([self._channel.send(Kind.CLOSE, self._handle)])
