"""Jobs again and again, one at a time, by APScheduler and a clock that nobody can set.

APScheduler sleeps until a date of its time zone; were that the wall clock's, setting it back by ten
days would have all jobs wait for ten days. So the scheduler's zone is a steady one of our own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from typing import Final

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger

_NEVER: Final = float("inf")


class SteadyZone(tzinfo):
    """A time zone whose now, `datetime.now(zone)`, goes as `clock` does, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = datetime.now(UTC).replace(tzinfo=self) - timedelta(seconds=clock())

    def at(self, seconds: float) -> datetime:
        """Return the date that the clock's `seconds` are."""
        return self._began + timedelta(seconds=seconds)

    def fromutc(self, _: datetime) -> datetime:
        """Return the present, whatever the wall clock says; only `datetime.now` may ask."""
        return self.at(self._clock())

    def utcoffset(self, _: datetime | None) -> timedelta:
        """Return none: dates of this zone compare with each other only."""
        return timedelta()

    def dst(self, _: datetime | None) -> timedelta:
        """Return none."""
        return timedelta()

    def tzname(self, _: datetime | None) -> str:
        """Return a name for messages."""
        return "steady"


@dataclass(slots=True)
class _Job:
    every: float
    action: Callable[[], float | None]
    at: float
    scheduled: str = ""


class Clockwork:
    """Named jobs in one thread; a job that takes longer than its time delays the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._zone = SteadyZone(clock)
        self._jobs: dict[str, _Job] = {}
        self._numbers = count()
        self._guard = threading.RLock()
        self._ended = False
        self._scheduler = BackgroundScheduler(
            timezone=self._zone,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"misfire_grace_time": None},  # late is better than never
        )

    def add(
        self, name: str, every: float, action: Callable[[], float | None], *, after: float = 0.0
    ) -> None:
        """Have a job done every so many seconds, the first time `after` so many.

        It may return after how many seconds it wants to be done next, other than usual.
        """
        with self._guard:
            self._jobs[name] = _Job(every, action, _NEVER)
            self._schedule(name, after)

    def change(self, name: str, every: float) -> None:
        """Have a job done in another rhythm, beginning now."""
        with self._guard:
            job = self._jobs[name]
            if job.every != every:
                job.every = every
                self._schedule(name, every)

    def soon(self, name: str) -> None:
        """Have a job done as soon as nothing else is being done."""
        with self._guard:
            self._schedule(name, 0)

    def due_in(self, name: str) -> float:
        """Return the seconds until a job is due."""
        with self._guard:
            return self._jobs[name].at - self._clock()

    def start(self) -> None:
        """Begin to do what is due."""
        self._scheduler.start()

    def end(self) -> None:
        """Begin no further job; what is being done goes on."""
        with self._guard:
            self._ended = True
        self._scheduler.shutdown(wait=False)

    def _schedule(self, name: str, after: float) -> None:
        job = self._jobs[name]
        if job.scheduled:
            # One that is due already and waits for the one before it is not found: `_do` leaves it.
            with suppress(JobLookupError):
                self._scheduler.remove_job(job.scheduled)
        job.at = self._clock() + after
        # A name of its own each time: APScheduler does not begin one while it is being done.
        job.scheduled = f"{name} {next(self._numbers)}"
        trigger = DateTrigger(self._zone.at(job.at), timezone=self._zone)
        self._scheduler.add_job(self._do, trigger, (name, job.scheduled), id=job.scheduled)

    def _do(self, name: str, scheduled: str) -> None:
        with self._guard:
            job = self._jobs[name]
            if self._ended or job.scheduled != scheduled:
                return  # somebody asked for another time since
            job.at, job.scheduled = _NEVER, ""
        wanted = job.action()
        with self._guard:
            if not job.scheduled and not self._ended:  # else somebody asked for it meanwhile
                self._schedule(name, job.every if wanted is None else wanted)
