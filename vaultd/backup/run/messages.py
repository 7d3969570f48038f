"""What a run and its workers say to each other: msgpack, each message after its length (u32 LE)."""

from __future__ import annotations

import struct
from typing import IO, Final

import msgspec

from vaultd.backup.report import AccountReport
from vaultd.state.tallies import Counters

_LENGTH: Final = struct.Struct("<I")


class Task(msgspec.Struct, frozen=True):
    """One account of a batch; see `Job`."""

    username: str
    mark: bytes
    look: bool
    rest: bool


class Answer(msgspec.Struct, frozen=True):
    """What became of some accounts of a batch, and how many records were read since the last
    answer; `more` of them come. `away` says why the source as a whole could not be read,
    `counters` what the targets were asked."""

    reports: list[AccountReport] = []
    marks: dict[int, bytes] = {}
    read: int = 0
    more: bool = False
    interrupted: bool = False
    away: str = ""
    counters: dict[str, Counters] = {}


decode_tasks: Final = msgspec.msgpack.Decoder(list[Task]).decode
decode_answer: Final = msgspec.msgpack.Decoder(Answer).decode


def write_message(stream: IO[bytes], message: object) -> None:
    """Send one message."""
    data = msgspec.msgpack.encode(message)
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def read_message(stream: IO[bytes]) -> bytes | None:
    """Return the next message's bytes, None at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(head)
    data = stream.read(size)
    return data if len(data) == size else None
