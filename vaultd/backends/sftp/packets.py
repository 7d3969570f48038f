"""SFTP version 3 packets (draft-ietf-secsh-filexfer-02): numbers, strings and attributes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_SIZE: Final = 0x1
_OWNER: Final = 0x2
_PERMISSIONS: Final = 0x4
_TIMES: Final = 0x8
_EXTENDED: Final = 0x80000000
_KIND: Final = 0o170000
_FOLDER: Final = 0o040000
_FILE: Final = 0o100000


class Kind(IntEnum):
    """The types of packets that are used here."""

    INIT = 1
    VERSION = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    LSTAT = 7
    FSTAT = 8
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    MKDIR = 14
    STAT = 17
    RENAME = 18
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED = 200
    EXTENDED_REPLY = 201


class Code(IntEnum):
    """The codes of a STATUS packet."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8


class GarbledError(Exception):
    """A packet that does not follow the protocol."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a server says of a file; None where it says nothing."""

    size: int | None
    permissions: int | None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.permissions is not None and self.permissions & _KIND == _FOLDER

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.permissions is not None and self.permissions & _KIND == _FILE


class Fields:
    """Reads the fields of a packet one after another; raises GarbledError beyond its end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._content)

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        end = self._at + count
        if end > len(self._content):
            raise GarbledError("a packet ends too early")
        taken = self._content[self._at : end]
        self._at = end
        return taken

    def number(self) -> int:
        """Return an unsigned number of 4 bytes."""
        return int.from_bytes(self.take(4), "big")

    def long(self) -> int:
        """Return an unsigned number of 8 bytes."""
        return int.from_bytes(self.take(8), "big")

    def string(self) -> bytes:
        """Return a string of bytes."""
        return self.take(self.number())

    def attributes(self) -> Attributes:
        """Return the attributes of a file (§5)."""
        flags = self.number()
        size = self.long() if flags & _SIZE else None
        if flags & _OWNER:
            self.take(8)
        permissions = self.number() if flags & _PERMISSIONS else None
        if flags & _TIMES:
            self.take(8)
        if flags & _EXTENDED:
            for _ in range(self.number()):
                self.string(), self.string()
        return Attributes(size, permissions)


def number(value: int) -> bytes:
    """Return 4 bytes."""
    return struct.pack(">I", value)


def long(value: int) -> bytes:
    """Return 8 bytes."""
    return struct.pack(">Q", value)


def string(value: bytes | str) -> bytes:
    """Return a length and the bytes."""
    content = value.encode() if isinstance(value, str) else value
    return struct.pack(">I", len(content)) + content


def mode(permissions: int) -> bytes:
    """Return attributes that only say the permissions."""
    return number(_PERMISSIONS) + number(permissions)
