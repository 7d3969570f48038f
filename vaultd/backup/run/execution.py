"""The work of a run: batches done in this process or handed to workers, and who is read alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import vaultd
from vaultd.backends.base import Backend
from vaultd.backup.engine.account import Pod
from vaultd.backup.engine.batch import BatchRunner, Job
from vaultd.backup.engine.context import RunContext
from vaultd.backup.pace import wait_for_quiet
from vaultd.backup.report import account_report
from vaultd.backup.run.cutting import Sizing
from vaultd.backup.run.dispatch import Dispatch
from vaultd.backup.run.outcomes import Outcomes
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.errors import AccountError
from vaultd.selection import Selection
from vaultd.sources.base import Source

if TYPE_CHECKING:
    from vaultd.config import Config


@dataclass(slots=True, kw_only=True)
class Execution:
    """Does the batches that a run cut; all methods are called by the thread of the run."""

    source: Source
    targets: Mapping[str, Backend]
    own: OwnPlaces
    context: RunContext
    config: Config
    outcomes: Outcomes
    should_stop: Callable[[], bool]
    selection: Selection
    sizing: Sizing
    workers: Dispatch | None

    @property
    def at_once(self) -> int:
        """How many batches can be worked on at once."""
        return 1 if self.workers is None else self.workers.pool.size

    def drain(self) -> None:
        """Wait for all that the workers have in hand; raises what a batch raised."""
        if self.workers is not None:
            self.workers.drain()

    def _runner(self) -> BatchRunner:
        return BatchRunner(
            source=self.source,
            targets=self.targets,
            context=self.context,
            pod=Pod(self.config.pod.url, f"vaultd {vaultd.__version__}"),
            on_done=self.outcomes.done,
            should_stop=self.should_stop,
            selection=self.selection,
        )

    def do(self, batches: Iterable[list[Job]], *, many: bool) -> None:
        """Have batches done: by the workers where there are `many` accounts, else here."""
        if many and self.at_once > 1 and not self.selection.part:
            self.in_workers(batches)
        else:
            self._here(batches)

    def _here(self, batches: Iterable[list[Job]]) -> None:
        runner = self._runner()
        for batch in batches:
            if not self._go_on() or not self._in_process(runner, batch):
                break

    def _go_on(self) -> bool:
        """Wait until the machine is quiet enough; False when the run was asked to stop."""
        wait_for_quiet(self.config.limits.max_load, self.context.state.directory, self.should_stop)
        self.outcomes.report.interrupted |= self.should_stop()
        return not self.outcomes.report.interrupted

    def _in_process(self, runner: BatchRunner, batch: Sequence[Job]) -> bool:
        accounts, begun = [job.enrollment for job in batch], time.monotonic()
        progress, number = self.outcomes.progress, -batch[0].enrollment.id
        rest = any(job.rest for job in batch)
        # Should this process be killed, the next run reads these in a worker.
        self.outcomes.suspect([each.id for each in accounts])
        progress.begin(number, [each.username for each in accounts])

        def note() -> None:
            self.context.state.marks.save(runner.marks)
            runner.marks.clear()
            self.outcomes.note()

        runner.on_commit = note
        runner.on_read = lambda records: progress.take(number, records)
        try:
            with self.own.joined(accounts, self.targets, rest=rest) as runner.targets:
                runner.run(batch)
            note()
        except Exception:
            self.outcomes.absolve([each.id for each in accounts])
            raise
        finally:
            progress.finish(number)
        self.outcomes.absolve([each.id for each in accounts])
        self.sizing.took(time.monotonic() - begun)
        self.outcomes.report.interrupted |= runner.interrupted
        return not runner.interrupted

    def in_workers(self, batches: Iterable[list[Job]]) -> None:
        """Hand batches to the workers; what they have in hand may outlast a page."""
        for batch in batches:
            if not self._go_on():
                break
            if self.selection.part:
                self._refuse_part(batch)
            elif self.workers is not None:
                self.workers.submit(batch)

    def after_deaths(self, alone: Sequence[Job]) -> None:
        """Read accounts alone whose worker died, or that ended one before: one is to blame."""
        workers = self.workers
        if workers is None:
            return
        workers.drain()
        unstarted, workers.unstarted = [job for job, _ in workers.unstarted], []
        self._here([job] for job in unstarted)
        died, workers.died = [job for job, _ in workers.died], []
        if self.selection.part:
            self._refuse_part(alone)
            return
        for job in (*died, *alone):
            if not self._go_on():
                return
            workers.alone(job)

    def _refuse_part(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            name = job.account.username
            error = AccountError(
                f"A process that read {name} died, and parts are not read in one of their own.",
                hint=f"Back it up whole first: `vaultd backup {name}`.",
            )
            self.outcomes.done(None, account_report(name, error, ()))
