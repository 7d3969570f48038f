"""What vaultd does with files over one SFTP channel."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from vaultd.backends.sftp import packets
from vaultd.backends.sftp.packets import Attributes, Code, GarbledError, Kind
from vaultd.backends.sftp.requests import BLOCK, ON_THE_WAY, SftpRequests, StatusError

HARD_LINK: Final = "hardlink@openssh.com"
SPACE: Final = "statvfs@openssh.com"

_ASK_AFTER_SECONDS: Final = 60.0
_READ: Final = 0x1


class SftpChannel(SftpRequests):
    """Files and folders by their paths, and open files by their handles.

    Raises what SftpRequests raises.
    """

    def alive(self) -> bool:
        """Return whether the server still answers: without asking when it was used just now."""
        if not self._connected():
            return False
        if time.monotonic() - self._used < _ASK_AFTER_SECONDS:
            return True
        try:
            self.stat(".")
        except StatusError:
            return True
        except (OSError, EOFError, GarbledError):
            return False
        return True

    def stat(self, path: str, *, follow: bool = True) -> Attributes:
        """Return what a path is; with `follow` a link is what it leads to."""
        kind = Kind.STAT if follow else Kind.LSTAT
        return self.ask(kind, packets.string(path), Kind.ATTRS).attributes()

    def make_folder(self, path: str) -> None:
        """Make a folder that only its owner may enter."""
        self.ask(Kind.MKDIR, packets.string(path) + packets.mode(0o700))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self.ask(Kind.REMOVE, packets.string(path))

    def forget_file(self, path: str) -> None:
        """Remove a file, without waiting for the reply."""
        self.ignore([self.send(Kind.REMOVE, packets.string(path))])

    def rename(self, path: str, to: str) -> None:
        """Rename; version 3 says that a file that is there is not replaced (§6.5)."""
        self.ask(Kind.RENAME, packets.string(path) + packets.string(to))

    def hard_link(self, path: str, to: str) -> None:
        """Give a file a second name, where that is free (OpenSSH PROTOCOL §4.5)."""
        self.ask(Kind.EXTENDED, b"".join(map(packets.string, (HARD_LINK, path, to))))

    def space(self, path: str) -> tuple[int, int]:
        """Return bytes in all and bytes free for us (OpenSSH PROTOCOL §4.4)."""
        asked = packets.string(SPACE) + packets.string(path)
        fields = self.ask(Kind.EXTENDED, asked, Kind.EXTENDED_REPLY)
        _, size, blocks, _, available = (fields.long() for _ in range(5))
        return size * blocks, size * available

    def open_to_read(self, path: str) -> bytes:
        """Open a file and return its handle."""
        content = packets.string(path) + packets.number(_READ) + packets.number(0)
        return self.ask(Kind.OPEN, content, Kind.HANDLE).string()

    def attributes(self, handle: bytes) -> Attributes:
        """Return what an open file is."""
        return self.ask(Kind.FSTAT, packets.string(handle), Kind.ATTRS).attributes()

    def forget(self, handle: bytes) -> None:
        """Close a file, without waiting for the reply."""
        self.ignore([self.send(Kind.CLOSE, packets.string(handle))])

    def read(self, handle: bytes, offset: int, count: int) -> bytes:
        """Return up to `count` bytes, fewer where the file ends before."""
        content = bytearray()
        waiting: deque[tuple[int, int]] = deque()
        end, asked = offset + count, offset
        try:
            while len(content) < count:
                while asked < end and len(waiting) < ON_THE_WAY:
                    length = min(BLOCK, end - asked)
                    waiting.append((self._ask_for(handle, asked, length), length))
                    asked += length
                number, length = waiting.popleft()
                while True:
                    try:
                        data = self.expect(number, Kind.DATA).string()
                    except StatusError as error:
                        if error.code != Code.EOF:
                            raise
                        return bytes(content)
                    if not 0 < len(data) <= length:
                        self._whole = False
                        raise GarbledError("more or less data than was asked for")
                    content += data
                    if len(data) == length:
                        break
                    length -= len(data)
                    number = self._ask_for(handle, offset + len(content), length)
        finally:
            self.ignore(number for number, _ in waiting)
        return bytes(content)

    def _ask_for(self, handle: bytes, offset: int, length: int) -> int:
        content = packets.string(handle) + packets.long(offset) + packets.number(length)
        return self.send(Kind.READ, content)

    def open_folder(self, path: str) -> bytes:
        """Open a folder to list it and return its handle."""
        return self.ask(Kind.OPENDIR, packets.string(path), Kind.HANDLE).string()

    def entries(self, handle: bytes) -> Iterator[tuple[bytes, Attributes]]:
        """Yield the names in an open folder, as the bytes they are, and what each is; close it."""
        try:
            while True:
                try:
                    fields = self.ask(Kind.READDIR, packets.string(handle), Kind.NAME)
                except StatusError as error:
                    if error.code != Code.EOF:
                        raise
                    return
                count = fields.number()
                if not count:
                    self._whole = False
                    raise GarbledError("a listing that goes on with nothing")
                for _ in range(count):
                    name = fields.string()
                    fields.string()  # a line as of `ls -l`
                    yield name, fields.attributes()
        finally:
            if self._whole:
                self.forget(handle)
