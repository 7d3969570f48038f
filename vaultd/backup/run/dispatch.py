"""Handing batches to workers, and taking what they say: results, progress, and deaths."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from vaultd.backup.engine.batch import Job
from vaultd.backup.report import AccountReport, account_report
from vaultd.backup.run.cutting import Sizing
from vaultd.backup.run.messages import Answer
from vaultd.backup.run.outcomes import Outcomes
from vaultd.backup.run.pool import Pool, WorkerDiedError
from vaultd.errors import AccountError

_ASK: Final = 0.2  # seconds between two questions whether to stop


@dataclass(slots=True)
class _Waiting:
    """A batch that a worker has: its jobs without a report yet, and since when it works on it."""

    jobs: list[Job]
    single: bool
    begun: float


@dataclass(slots=True)
class Dispatch:
    """Keeps the workers of a pool busy; all methods are called by the thread of the run.

    `died` are the jobs whose worker ended while it had them, `unstarted` those whose worker never
    took them; both with how it ended.
    """

    pool: Pool
    outcomes: Outcomes
    sizing: Sizing
    should_stop: Callable[[], bool]
    died: list[tuple[Job, str]] = field(default_factory=list)
    unstarted: list[tuple[Job, str]] = field(default_factory=list)
    _waiting: dict[int, _Waiting] = field(default_factory=dict)
    _number: int = 0
    _stopped: bool = False
    _error: Exception | None = None

    def submit(self, batch: Sequence[Job]) -> None:
        """Hand a batch over, as soon as the workers have not too much in hand."""
        while len(self._waiting) >= self.pool.size * 2:
            self._take()
        self._number += 1
        self._waiting[self._number] = _Waiting(list(batch), len(batch) == 1, time.monotonic())
        self.outcomes.progress.begin(self._number, [job.account.username for job in batch])
        self.pool.submit(self._number, batch)

    def drain(self) -> None:
        """Wait for all that the workers have; raises what a batch raised."""
        while self._waiting:
            self._take()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def alone(self, job: Job) -> None:
        """Have a fresh worker read one account, and nobody else; its death is that account's.

        Where the run stops, a worker that never began blames nobody: the next run goes on.
        """
        self.pool.renew()
        self.submit([job])
        self.drain()
        unread = [*self.died, *(() if self._stopped else self.unstarted)]
        self.outcomes.report.interrupted |= bool(self.unstarted) and self._stopped
        for _, told in unread:
            self.outcomes.done(job.enrollment, _deadly(job, told))
            self.outcomes.note()
            self.outcomes.suspect([job.enrollment.id], alone=True)
        self.died.clear()
        self.unstarted.clear()

    def _take(self) -> None:
        """Take the next word of a worker, or ask whether to stop."""
        if not self._stopped and self.should_stop():
            self._stopped = True
            self.pool.stop()
        word = self.pool.next_word(_ASK)
        if word is None:
            return
        waiting = self._waiting[word.batch]
        if word.answer is not None:
            self._answered(word.batch, waiting, word.answer)
        if not word.last:
            return
        del self._waiting[word.batch]
        self.outcomes.progress.finish(word.batch)
        if isinstance(word.error, WorkerDiedError):
            self._died(waiting, word.error)
        elif word.error is not None:
            self._error = self._error or word.error
        else:
            self.sizing.took(time.monotonic() - waiting.begun)

    def _answered(self, batch: int, waiting: _Waiting, answer: Answer) -> None:
        if answer.read:
            self.outcomes.progress.take(batch, answer.read)
        elif answer.more and not answer.reports:
            waiting.begun = time.monotonic()
            return
        if answer.reports or not answer.more:
            self.outcomes.answer([job.enrollment for job in waiting.jobs], answer)
            told = {report.username for report in answer.reports}
            waiting.jobs = [job for job in waiting.jobs if job.account.username not in told]

    def _died(self, waiting: _Waiting, error: WorkerDiedError) -> None:
        if not error.took:
            self.unstarted += [(job, error.told) for job in waiting.jobs]
            return
        self.died += [(job, error.told) for job in waiting.jobs]
        ids = [job.enrollment.id for job in waiting.jobs]
        self.outcomes.suspect(ids, alone=waiting.single)


def _deadly(job: Job, told: str) -> AccountReport:
    """Return the report of an account that ended the process which read it alone."""
    return account_report(
        job.enrollment.username,
        AccountError(
            f"The process that read this account alone {told}.",
            hint="The others are done. Give vaultd more memory (MemoryMax= of its unit), and "
            "look at the machine's log.",
        ),
        (),
    )
