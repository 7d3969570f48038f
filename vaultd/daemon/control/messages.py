"""What goes over the control socket: small typed messages, one a packet."""

from __future__ import annotations

import socket
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec

LONGEST: Final = 1024  # bytes of a message
_SENTENCE: Final = 300  # characters, at most three bytes each


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="ask"):
    """A command asks for its turn; `command` is its name, as `backup`."""

    command: Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z -]{0,38}[a-z]\Z")]
    version: Literal[1] = 1


class Wait(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="wait"):
    """Not yet: `sentence` says what is being done. Comes again while it is so."""

    sentence: str


class Yours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="yours"):
    """The state lock is free for the command until it hangs up."""


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="refused"):
    """There is no turn to be had."""

    sentence: str


Reply: TypeAlias = Wait | Yours | Refused
_M = TypeVar("_M")
ASKED: Final = msgspec.msgpack.Decoder(Ask)
REPLIES: Final[msgspec.msgpack.Decoder[Reply]] = msgspec.msgpack.Decoder(Reply)


class ProtocolError(Exception):
    """What came in is no message of this protocol."""


def send(connection: socket.socket, message: Ask | Reply) -> None:
    """Send a message; raises OSError."""
    connection.send(msgspec.msgpack.encode(message))


def receive(connection: socket.socket, kind: msgspec.msgpack.Decoder[_M]) -> _M | None:
    """Return the next message, None where the other side hung up.

    Raises ProtocolError for what is no such message, OSError (also TimeoutError).
    """
    data, _, flags, _ = connection.recvmsg(LONGEST)
    if not data:
        return None
    if flags & socket.MSG_TRUNC:
        raise ProtocolError("a message is too long")
    try:
        return kind.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError("a message cannot be understood") from error


def short(sentence: str) -> str:
    """Return a sentence that fits into a message."""
    return sentence[:_SENTENCE]
