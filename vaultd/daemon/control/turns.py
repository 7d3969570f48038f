"""Whose turn it is on the state: the daemon's own, or that of one command which asked for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from vaultd.errors import ConfigError, LockedError
from vaultd.state.lock import StateLock

_AGAIN: Final = 1.0  # seconds between two looks at who waits
_TOLD: Final = 3600.0  # seconds after which a long turn is told of, and again

_log: Final = logging.getLogger(__name__)


class Turns:
    """Lends the state lock that the daemon holds; one at a time, in no particular order."""

    def __init__(self, lock: StateLock, stopping: threading.Event) -> None:
        """Take the lock, which the caller holds, and an event that ends all waiting."""
        self._lock = lock
        self._stopping = stopping
        self._busy = threading.Lock()
        self._guard = threading.Lock()
        self._waiting = 0
        self._doing = "The daemon starts."

    @property
    def wanted(self) -> bool:
        """Whether a command waits: the daemon's own work ends early, and goes on after it."""
        return self._waiting > 0

    @contextmanager
    def own(self, doing: str) -> Iterator[None]:
        """The daemon's own turn; `doing` tells commands what they wait for."""
        with self._busy:
            self._doing = doing
            yield

    def lend(
        self,
        command: str,
        tell: Callable[[str], None],
        hand_over: Callable[[], None],
        is_over: Callable[[float], bool],
    ) -> bool:
        """Wait for the turn, hand the lock over, and take it back; tell whether it was handed over.

        `tell` is called every second while it waits, `hand_over` once the lock is free; `is_over`
        waits so many seconds for the command to hang up, and tells whether it did. What these
        raise ends the turn.
        """
        if not self._wait(command, tell, is_over):
            return False
        began, told = time.monotonic(), _TOLD
        try:
            self._lock.release()
            hand_over()
            while not self._stopping.is_set() and not is_over(_AGAIN):
                if time.monotonic() - began > told:
                    told += _TOLD
                    _log.warning(
                        "vaultd %s works for %.0f h; backups wait.", command, told / 3600 - 1
                    )
        finally:
            self._take_back()
            self._busy.release()
        return True

    def _wait(
        self, command: str, tell: Callable[[str], None], is_over: Callable[[float], bool]
    ) -> bool:
        with self._guard:
            self._waiting += 1
        try:
            while not self._busy.acquire(timeout=_AGAIN):
                if self._stopping.is_set() or is_over(0):
                    return False
                tell(self._doing)
            self._doing = f"vaultd {command} has its turn."
        finally:
            with self._guard:
                self._waiting -= 1
        if self._stopping.is_set():
            self._busy.release()
            return False
        return True

    def _take_back(self) -> None:
        """Hold the lock again; workers of a command that was killed may end a batch first."""
        complained = False
        while not self._stopping.is_set():
            try:
                self._lock.acquire()
            except (LockedError, ConfigError) as error:
                if not complained:
                    complained = True
                    _log.warning("The daemon waits: %s", error)
                self._stopping.wait(_AGAIN)
            else:
                return

    def idle_within(self, seconds: float) -> bool:
        """Wait until nobody works; tell whether that came within so many seconds."""
        done = self._busy.acquire(timeout=seconds)
        if done:
            self._busy.release()
        return done
