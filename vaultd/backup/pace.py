"""Being a guest: uploads within a rate, and runs that wait while the machine is busy or paused."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, cast

from vaultd.backends.transport.watched_data import WatchedData

PAUSED: Final = "paused"
_NAP: Final = 2.0
_log: Final = logging.getLogger(__name__)
_STEP: Final = 64 * 1024
_SMALLEST: Final = 1024
_A_SECOND: Final = 16  # pieces: however slow, the streams of a run all go on every few seconds


class Pace:
    """Bounds the bytes a second of all streams that it hands out; 0 is no bound."""

    def __init__(
        self,
        bytes_per_second: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = bytes_per_second
        self.step = min(_STEP, max(_SMALLEST, bytes_per_second // _A_SECOND))
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    def stream(self, data: BinaryIO) -> BinaryIO:
        """Return `data` so that reading it takes the time that the rate asks for."""
        return data if not self._rate else cast(BinaryIO, _Paced(self, data))

    def take(self, size: int) -> None:
        """Wait until `size` bytes may pass; what waits is served in turn."""
        with self._lock:
            start = max(self._free_at, self._clock())
            self._free_at = start + size / self._rate
            wait = self._free_at - self._clock()
        if wait > 0:
            self._sleep(wait)


class _Paced(WatchedData):
    def __init__(self, pace: Pace, data: BinaryIO) -> None:
        super().__init__(data)
        self._pace = pace

    def read(self, size: int = -1) -> bytes:
        step = self._pace.step
        data = self._data.read(step if size < 0 or size > step else size)
        if data:
            self._pace.take(len(data))
        return data


def wait_for_quiet(
    max_load: float,
    state: Path,
    should_stop: Callable[[], bool],
    *,
    load: Callable[[], float] = lambda: os.getloadavg()[0],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait while the load average is above `max_load` (0: any) or `vaultd pause` was said.

    Each reason is said once: a run that stands still looks like one that hangs.
    """
    told = ""
    while not should_stop():
        if (state / PAUSED).exists():
            reason = "`vaultd pause` was said; `vaultd resume` lets the run go on."
        elif max_load and load() > max_load:
            reason = f"The load average is above limits.max_load ({max_load:g})."
        else:
            return
        if reason != told:
            _log.warning("Waiting: %s", reason)
            told = reason
        sleep(_NAP)
