"""Jobs again and again, one at a time, by a clock that nobody can set.

Waits are counted on the monotonic clock: a wall clock that is set back by ten days would have a
scheduler that sleeps until a date wait for ten days.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_NEVER: Final = float("inf")


@dataclass(slots=True)
class _Job:
    every: float
    action: Callable[[], float | None]
    at: float


class Clockwork:
    """Named jobs in one thread; a job that takes longer than its time delays the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._changed = threading.Condition()
        self._ended = False

    def add(
        self, name: str, every: float, action: Callable[[], float | None], *, after: float = 0.0
    ) -> None:
        """Have a job done every so many seconds, the first time `after` so many.

        It may return after how many seconds it wants to be done next, other than usual.
        """
        with self._changed:
            self._jobs[name] = _Job(every, action, self._clock() + after)
            self._changed.notify()

    def change(self, name: str, every: float) -> None:
        """Have a job done in another rhythm, beginning now."""
        with self._changed:
            job = self._jobs[name]
            if job.every != every:
                job.every, job.at = every, self._clock() + every
                self._changed.notify()

    def soon(self, name: str) -> None:
        """Have a job done as soon as nothing else is being done."""
        with self._changed:
            self._jobs[name].at = self._clock()
            self._changed.notify()

    def due_in(self, name: str) -> float:
        """Return the seconds until a job is due."""
        with self._changed:
            return self._jobs[name].at - self._clock()

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        threading.Thread(target=self._run, name="clockwork", daemon=True).start()

    def end(self) -> None:
        """Begin no further job."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            wanted = job.action()
            with self._changed:
                if job.at == _NEVER:  # else somebody asked for it meanwhile
                    job.at = self._clock() + (job.every if wanted is None else wanted)

    def _next(self) -> _Job | None:
        """Wait for the next job that is due; None when no more is to be done."""
        with self._changed:
            while not self._ended:
                job = min(self._jobs.values(), key=lambda each: each.at, default=None)
                left = None if job is None else job.at - self._clock()
                if job is not None and left is not None and left <= 0:
                    job.at = _NEVER  # until it is done
                    return job
                self._changed.wait(left)
        return None
