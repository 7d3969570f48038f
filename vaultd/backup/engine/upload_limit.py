"""Uploads beside the work that makes them: few at once, and few of their bytes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition
from typing import Final, TypeVar

MOST_BYTES: Final = 64 * 1024 * 1024  # of pictures, 16 of the largest that diaspora* takes
_T = TypeVar("_T")


class Uploads:
    """At most `most` uploads and 64 MiB at once on a pool; what is larger goes alone."""

    def __init__(self, pool: ThreadPoolExecutor, most: int) -> None:
        self._pool = pool
        self._most = most
        self._freed = Condition()
        self._count = 0
        self._bytes = 0

    def take_room(self, size: int) -> None:
        """Wait until there is room for one of `size` bytes, and hold it."""
        with self._freed:
            self._freed.wait_for(lambda: self._fits(size))
            self._count += 1
            self._bytes += size

    def free_room(self, size: int) -> None:
        """Give room back in which nothing was started."""
        with self._freed:
            self._count -= 1
            self._bytes -= size
            self._freed.notify()

    def start(self, size: int, upload: Callable[[], _T]) -> Future[_T]:
        """Run an upload for which room was taken; its room is free when it ends."""
        started = self._pool.submit(upload)
        started.add_done_callback(lambda _: self.free_room(size))
        return started

    def _fits(self, size: int) -> bool:
        fits = self._bytes + size <= MOST_BYTES
        return self._count < self._most and (fits or not self._count)
