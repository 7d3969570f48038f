"""Work spread over forks of this process: Python code runs on one core in each."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NoReturn, TypeVar

import msgspec

_Part = TypeVar("_Part")
_Found = TypeVar("_Found")
_TICKET: Final = struct.Struct("<I")

_decode: Final = msgspec.msgpack.Decoder(dict[int, bytes]).decode


def in_forks(
    work: Callable[[_Part], _Found], parts: Sequence[_Part], kind: type[_Found], forks: int
) -> Iterator[_Found]:
    """Yield `work(part)` of each part in order; a `kind` is what msgspec can encode and decode.

    What a fork could not do, because `work` raised or the fork was killed, is done again here,
    and raises here. Only for a process without other threads, and for work that writes nothing.
    """
    if forks < 2:
        yield from map(work, parts)
        return
    tickets, counter = os.pipe()
    workers: list[tuple[int, int]] = []
    found: dict[int, bytes] = {}
    parent = os.getpid()
    try:
        for _ in range(forks):
            answers, out = os.pipe()
            worker = os.fork()
            if worker == 0:
                os.close(counter)
                _serve(work, parts, tickets, out, parent)
            os.close(out)
            workers.append((worker, answers))
        os.close(tickets)
        with suppress(BrokenPipeError), os.fdopen(counter, "wb") as file:
            file.writelines(map(_TICKET.pack, range(len(parts))))
        for _, answers in workers:
            with os.fdopen(answers, "rb") as file, suppress(msgspec.DecodeError):
                found |= _decode(file.read())
    except BaseException:
        for worker, _ in workers:
            os.kill(worker, signal.SIGKILL)
        raise
    finally:
        for worker, _ in workers:
            os.waitpid(worker, 0)
    for number, part in enumerate(parts):
        answer = found.get(number)
        yield work(part) if answer is None else msgspec.msgpack.decode(answer, type=kind)


def _serve(
    work: Callable[[_Part], object], parts: Sequence[_Part], tickets: int, out: int, parent: int
) -> NoReturn:
    """Work part after part, whichever is next, as long as the parent lives; then answer."""
    try:
        done: dict[int, bytes] = {}
        while os.getppid() == parent and (ticket := os.read(tickets, _TICKET.size)):
            (number,) = _TICKET.unpack(ticket)
            with suppress(Exception):  # the parent meets it again
                done[number] = msgspec.msgpack.encode(work(parts[number]))
        with os.fdopen(out, "wb") as file:
            file.write(msgspec.msgpack.encode(done))
    finally:
        os._exit(0)
