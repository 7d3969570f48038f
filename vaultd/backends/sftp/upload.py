"""Writing one new file over SFTP, many blocks ahead of the server's replies."""

from __future__ import annotations

from collections import deque
from typing import Final

from vaultd.backends.sftp import packets
from vaultd.backends.sftp.packets import Attributes, Code, Kind
from vaultd.backends.sftp.requests import BLOCK, ON_THE_WAY, SftpRequests, StatusError

SYNC: Final = "fsync@openssh.com"
_WRITE_NEW: Final = 0x2 | 0x8 | 0x20  # WRITE, CREAT, EXCL
_WRITE: Final = 0x2 | 0x8 | 0x10  # WRITE, CREAT, TRUNC


class SftpUpload:
    """A new file, made by the constructor: `write` pieces, then `finish` or `give_up`.

    Raises what SftpRequests raises. `refused` is the server's refusal to sync the file, if any.
    """

    def __init__(self, channel: SftpRequests, path: str) -> None:
        self._channel = channel
        try:
            self._handle = packets.string(self._open(path, _WRITE_NEW))
        except StatusError as error:
            if error.code != Code.OP_UNSUPPORTED:
                raise
            # It knows no "only if new"; the names of temporaries are random.
            self._handle = packets.string(self._open(path, _WRITE))
        self._waiting: deque[int] = deque()
        self._offset = 0
        self.refused: StatusError | None = None

    def _open(self, path: str, flags: int) -> bytes:
        content = packets.string(path) + packets.number(flags) + packets.mode(0o600)
        return self._channel.ask(Kind.OPEN, content, Kind.HANDLE).string()

    def write(self, piece: bytes) -> None:
        """Send a piece; what the server says to it may be raised by a later call."""
        for start in range(0, len(piece), BLOCK):
            block = piece[start : start + BLOCK]
            content = self._handle + packets.long(self._offset) + packets.string(block)
            self._waiting.append(self._channel.send(Kind.WRITE, content))
            self._offset += len(block)
            if len(self._waiting) >= ON_THE_WAY:
                self._channel.expect(self._waiting.popleft())

    def finish(self, *, sync: bool = True) -> Attributes:
        """Have the file go to the disk where that can be asked for, close it; returns what it is.

        Some servers cannot tell what an open file is: its attributes are None then, and only
        those by its path count. All blocks are waited for first: some servers work on several
        requests at once.
        """
        channel = self._channel
        while self._waiting:
            channel.expect(self._waiting.popleft())
        synced = None
        if sync and SYNC in channel.extensions:
            content = packets.string(SYNC) + self._handle
            self._waiting.append(synced := channel.send(Kind.EXTENDED, content))
        self._waiting.append(described := channel.send(Kind.FSTAT, self._handle))
        self._waiting.append(channel.send(Kind.CLOSE, self._handle))
        attributes = Attributes(None, None)
        while self._waiting:
            number = self._waiting.popleft()
            try:
                if number == described:
                    attributes = channel.expect(number, Kind.ATTRS).attributes()
                else:
                    channel.expect(number)
            except StatusError as error:
                if number == synced:
                    self.refused = error
                elif number != described:
                    raise
        return attributes

    def give_up(self) -> None:
        """Close the file whatever state it is in, and drop the replies still to come."""
        self._channel.ignore(self._waiting)
        self._channel.ignore([self._channel.send(Kind.CLOSE, self._handle)])


def refuses_to_sync(channel: SftpRequests, path: str) -> bool:
    """Return whether the server refuses to sync even a small new file, made here and removed."""
    upload = SftpUpload(channel, path)
    upload.write(b"sync")
    upload.finish()
    channel.ask(Kind.REMOVE, packets.string(path))
    return upload.refused is not None
