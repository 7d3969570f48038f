"""The daemon's end of the control socket: a thread a command, and few of them."""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from vaultd.daemon.control.address import SOCKET, is_trusted, listen, peer
from vaultd.daemon.control.messages import (
    ASKED,
    ProtocolError,
    Refused,
    Wait,
    Yours,
    receive,
    send,
    short,
)
from vaultd.daemon.control.turns import Turns
from vaultd.errors import ConfigError

_MOST: Final = 8  # commands at a time
_PATIENCE: Final = 5.0  # seconds for a command to say what it wants
_HASTE: Final = 0.5  # the same where there is no place for it anyway
_AGAIN: Final = 1.0  # seconds until the next try where none can be taken, as for want of files

_log: Final = logging.getLogger(__name__)


class ControlServer:
    """Lends turns to commands; use as a context, with the state lock held."""

    def __init__(self, directory: Path, turns: Turns, on_end: Callable[[], None]) -> None:
        """`on_end` is called after each turn: what was broken off for it goes on."""
        self._directory = directory
        self._turns = turns
        self._on_end = on_end
        self._places = threading.BoundedSemaphore(_MOST)
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        try:
            self._listener = listen(self._directory, _MOST)
        except OSError as error:
            raise ConfigError(
                f"The control socket {self._directory / SOCKET} cannot be made ({error.strerror}).",
                hint="The state folder must be on a local disk and belong to vaultd's user.",
            ) from error
        threading.Thread(target=self._accept, name="control", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        with suppress(OSError):
            (self._directory / SOCKET).unlink()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if self._ending.is_set():
                    return
                _log.warning("No command can be taken now (%s); trying again.", error.strerror)
                self._ending.wait(_AGAIN)
                continue
            if not self._places.acquire(blocking=False):
                with connection, suppress(OSError, ProtocolError):
                    connection.settimeout(_HASTE)
                    receive(connection, ASKED)  # what is left unread would cut the answer off
                    send(connection, Refused("Too many commands wait for the daemon already."))
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="command", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._answer(connection)
        except (OSError, ProtocolError) as error:
            # A command that hung up or talked nonsense; what it says is not repeated.
            _log.debug("A command left the control socket (%s).", type(error).__name__)
        finally:
            self._places.release()

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE)
        pid, uid = peer(connection)
        if not is_trusted(uid):
            _log.warning("Process %d of user %d was refused at the control socket.", pid, uid)
            return
        asked = receive(connection, ASKED)
        if asked is None:
            return

        def hand_over() -> None:
            _log.info("vaultd %s (process %d) has its turn.", asked.command, pid)
            send(connection, Yours())

        handed = False
        try:
            handed = self._turns.lend(
                asked.command,
                lambda sentence: send(connection, Wait(short(sentence))),
                hand_over,
                lambda seconds: _hung_up(connection, seconds),
            )
            if not handed:
                send(connection, Refused("The daemon is stopping."))
        finally:
            if handed:
                _log.info("The turn of vaultd %s is over.", asked.command)
            self._on_end()


def _hung_up(connection: socket.socket, seconds: float) -> bool:
    """Wait so long for the other end to hang up; it has nothing to say until then."""
    ready, _, _ = select.select([connection], [], [], seconds)
    return bool(ready)
