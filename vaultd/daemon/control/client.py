"""A command's end: the state lock at once, or after the daemon has lent it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from vaultd.daemon.control.address import address_in, is_trusted, new_socket, peer
from vaultd.daemon.control.messages import (
    REPLIES,
    Ask,
    ProtocolError,
    Refused,
    Yours,
    receive,
    send,
)
from vaultd.errors import LockedError
from vaultd.state.lock import StateLock

_SILENCE: Final = 30.0  # seconds; a daemon that waits says so every second
_AGAIN: Final = 0.2


@contextmanager
def turn(directory: Path, command: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the state lock of this folder: at once, or when a daemon there has lent it.

    `on_wait` gets a sentence whenever what we wait for is something else. Raises LockedError where
    somebody else holds the lock who lends it to nobody, ConfigError.
    """
    with ExitStack() as held:
        lock = StateLock(directory)
        try:
            lock.acquire()
        except LockedError as error:
            connection = _connect(directory)
            if connection is None:
                raise
            held.enter_context(connection)  # hanging up gives the turn back
            try:
                _wait_for_turn(connection, command, on_wait)
            except (OSError, ProtocolError) as trouble:
                raise LockedError(
                    f"The daemon that works on {directory} does not answer.",
                    hint="Look at its log; `systemctl restart vaultd` starts it anew.",
                ) from (trouble if isinstance(trouble, ProtocolError) else error)
            _acquire(lock, on_wait)
        held.callback(lock.release)
        yield


def _acquire(lock: StateLock, on_wait: Callable[[str], None]) -> None:
    """Take the lock that was lent; a command that came just then may have been faster."""
    told = False
    while True:
        try:
            lock.acquire()
        except LockedError as error:
            if not told:
                on_wait(error.message)
                told = True
            time.sleep(_AGAIN)
        else:
            return


def _connect(directory: Path) -> socket.socket | None:
    """Return a connection to the daemon, None where none listens."""
    connection = new_socket()
    try:
        connection.settimeout(_SILENCE)
        with address_in(directory) as address:
            connection.connect(address)
        if is_trusted(peer(connection)[1]):
            return connection
    except OSError:
        pass  # nobody is there: the lock is another command's
    connection.close()
    return None


def _wait_for_turn(connection: socket.socket, command: str, on_wait: Callable[[str], None]) -> None:
    send(connection, Ask(command))
    told = ""
    while not isinstance(answer := receive(connection, REPLIES), Yours):
        if answer is None:
            raise ProtocolError("the daemon hung up")
        if isinstance(answer, Refused):
            raise LockedError(answer.sentence, hint="Try again in a minute.")
        if answer.sentence != told:
            told = answer.sentence
            on_wait(told)
