"""A run: untouched accounts are passed over, the others go through in batches."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import vaultd
from vaultd.backends.base import Backend
from vaultd.backends.wrappers.retrying import begin_run
from vaultd.backup.counting import count_run
from vaultd.backup.engine.account import Pod
from vaultd.backup.engine.batch import BatchRunner, Job
from vaultd.backup.engine.context import RunContext, open_context
from vaultd.backup.pace import wait_for_quiet
from vaultd.backup.report import AccountReport, RunReport, account_report
from vaultd.backup.run.cutting import Sizing, cut, page_size, records_of
from vaultd.backup.run.dispatch import Dispatch
from vaultd.backup.run.outcomes import Outcomes
from vaultd.backup.run.pages import Page, read_pages, refusal
from vaultd.backup.run.pool import Pool
from vaultd.backup.run.progress import RunProgress
from vaultd.backup.run.settings_hash import settings_hash
from vaultd.backup.upkeep.erasing import erase_old_vaults
from vaultd.backup.user_targets.failures import own_failures
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.clock import now
from vaultd.config import OWN
from vaultd.errors import AccountError, VaultdError
from vaultd.keys import PodKey
from vaultd.selection import EVERYTHING, Selection
from vaultd.sources.base import ANY, Source
from vaultd.state.marks import FINGERPRINT, doubtful, holds
from vaultd.state.store import Enrollment, State
from vaultd.state.tallies import Counters

if TYPE_CHECKING:
    from vaultd.config import Config

_WORTH_A_POOL: Final = 200  # accounts; fewer are done before worker processes have started


def run_backup(
    config: Config,
    state: State,
    source: Source,
    targets: Mapping[str, Backend],
    pod_key: PodKey,
    usernames: Collection[str] | None = None,
    *,
    on_progress: Callable[[AccountReport], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    selection: Selection = EVERYTHING,
    pool: Pool | None = None,
    insist: bool = False,
    progress: RunProgress | None = None,
) -> RunReport:
    """Back up these enrolled accounts (or all) to every target; the caller holds the state lock.

    `on_progress` is called after each account, `progress` is kept up to date all the time.
    `should_stop` is asked between records; accounts that are finished are committed for some
    seconds more, the others are left for the next run. A `selection` makes partial archives beside
    the whole ones. With a `pool` many batches run in its workers, which open source and targets as
    the config names them, and so do accounts that were in hand when a process died. With `insist`
    users' own targets that fail and are left alone for now are tried, too.
    Old vaults that are due are erased at its end.
    One account's failure is in the report and stops nothing. Raises DatabaseError when the
    source as a whole is out of reach, ConfigError for an unusable spool folder.
    """
    context = open_context(config, state, pod_key)
    own = OwnPlaces(config, state, insist=insist, should_stop=should_stop)
    for place in targets.values():
        begin_run(place, should_stop)
    outcomes = Outcomes(state, own, on_progress, progress or RunProgress())
    sizing = Sizing(config.limits.batch_accounts)
    try:
        run = _Run(
            source=source,
            targets=targets,
            own=own,
            context=context,
            config=config,
            outcomes=outcomes,
            should_stop=should_stop,
            selection=selection,
            sizing=sizing,
            workers=None if pool is None else Dispatch(pool, outcomes, sizing, should_stop),
        )
        report = run.run(usernames)
        if not selection.part:
            gone = erase_old_vaults(state, targets, own, should_stop=should_stop)
            report.erased, report.not_erased = gone.done, gone.failed
            own.save()
        state.tidy()
        return report
    finally:
        context.pool.shutdown()


@dataclass(slots=True, kw_only=True)
class _Run:
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
    own_jobs: list[Job] = field(default_factory=list)
    alone: list[Job] = field(default_factory=list)

    @property
    def at_once(self) -> int:
        """How many batches can be worked on at once."""
        return 1 if self.workers is None else self.workers.pool.size

    def run(self, usernames: Collection[str] | None) -> RunReport:
        begun, started = now(), time.monotonic()
        journal, run_id, problem = self.context.state.journal, None, None
        try:
            watermark = self._watermark()
            untouched = self._nothing_was_written(watermark)
            if untouched and usernames is None:
                self.outcomes.pass_over(self.context.state.usernames())
                self.own.note_all_well()
                self.own.save()
                journal.untouched_run(begun, self.outcomes.report.looked_at)
                return self.outcomes.report
            run_id = self._start(usernames)
            if untouched:
                self._pass_over(usernames or ())
            else:
                self._run(usernames, watermark)
        except VaultdError as error:
            problem = str(error)
            run_id = run_id or self._start(usernames)
            raise
        finally:
            self._count()
            self.outcomes.report.seconds = time.monotonic() - started
            if run_id is not None:
                self.outcomes.finish(run_id, problem)
        return self.outcomes.report

    def _start(self, usernames: Collection[str] | None) -> int:
        state = self.context.state
        accounts = state.enrolled() if usernames is None else len(set(usernames))
        self.outcomes.progress.accounts = accounts
        self.outcomes.suspects = state.suspects.all()
        return state.journal.start_run(accounts)

    def _pass_over(self, usernames: Collection[str]) -> None:
        """Take these accounts as they are: nothing was written since all were up to date."""
        found = self.context.state.enrollments(usernames)
        self.outcomes.unchanged([(each.id, each.username) for each in found])
        self.own.note_well(found)
        self._refuse(set(usernames) - {each.username for each in found})

    def _run(self, usernames: Collection[str] | None, watermark: bytes | None) -> None:
        marks, kind = self.context.state.marks, settings_hash(self.config, self.targets)
        whole = usernames is None and not self.selection.part
        if whole and self.at_once > 1 and marks.lacking() >= _WORTH_A_POOL and self.workers:
            self.workers.pool.start()
        changes = self.source.changes(marks.since()) if whole else ANY
        if changes.usernames is not None:
            usernames = self._suspects(changes.usernames, kind)
        try:
            for page in read_pages(self.source, self._pages(usernames), self.at_once):
                self._page(page, kind)
                if self.outcomes.report.interrupted:
                    return
        finally:
            if self.workers is not None:
                self.workers.drain()
        # Accounts with a target of their own come last, one by one: no other waits for it.
        self._work([[job] for job in self.own_jobs], len(self.own_jobs))
        self._after_deaths()
        if self.outcomes.report.interrupted:
            return
        if whole and changes.until is not None:
            marks.set_since(changes.until)
        failed = self.outcomes.report.failed or self.outcomes.report.noted
        if whole and watermark is not None and not failed:
            marks.set_watermark(watermark)

    def _count(self) -> None:
        if len(self.own):
            self.outcomes.counters.setdefault(OWN, Counters()).add(self.own.counters)
        # Where nothing was written no target is asked, and a run stays as cheap as it can be.
        ask = bool(self.outcomes.report.written or self.outcomes.report.failed)
        state = self.context.state
        self.outcomes.report.rooms = count_run(
            self.config, state, self.targets, self.outcomes.counters, ask=ask
        )
        self.outcomes.report.own = own_failures(self.config, state)

    def _watermark(self) -> bytes | None:
        """Return what stays the same while nothing is written; None where nobody can tell."""
        moment = None if self.selection.part else self.source.moment()
        if moment is None:
            return None
        kinds = self.own.all_kinds(settings_hash(self.config, self.targets))
        return hashlib.blake2b(moment + kinds).digest()

    def _nothing_was_written(self, watermark: bytes | None) -> bool:
        """Tell whether the whole database is as it was when every account was up to date."""
        return watermark is not None and self.context.state.marks.watermark() == watermark

    def _suspects(self, changed: frozenset[str], kind: bytes) -> list[str]:
        """Pass over every account that did not change since it was up to date; name the others."""
        same, others = [], []
        for number, name, guid, mark in self.context.state.marks.everybody():
            doubt = mark is None or not holds(mark, kind)
            if doubt or name in changed or self.own.of(guid):
                others.append(name)
            else:
                same.append((number, name))
        self.outcomes.unchanged(same)
        return others

    def _refuse(self, names: Collection[str]) -> None:
        if names:
            there = {account.username: account for account in self.source.accounts(sorted(names))}
            for name in sorted(names):
                self.outcomes.done(None, refusal(name, None, there.get(name)))

    def _pages(self, usernames: Collection[str] | None) -> Iterator[list[Enrollment]]:
        if usernames is None:
            yield from self.context.state.pages(
                page_size(self.context.state.enrolled(), self.at_once)
            )
            return
        found = self.context.state.enrollments(usernames)
        self._refuse(set(usernames) - {each.username for each in found})
        found.sort(key=lambda each: each.id)
        size = page_size(len(found), self.at_once)
        for start in range(0, len(found), size):
            yield found[start : start + size]

    def _page(self, page: Page, kind: bytes) -> None:
        state, pairs = self.context.state, page.pairs
        for each, report in page.refused:
            self.outcomes.done(each, report)
        marks = state.marks.of([each.id for each, _ in (*pairs, *page.refused)])
        jobs: list[Job] = []
        doubted: list[Job] = []
        same: list[tuple[int, str]] = []
        for each, account in pairs:
            if (nowhere := self.own.nowhere(each)) is not None:
                self.outcomes.done(each, nowhere)
                continue
            own_kind = self.own.kind(each, kind)
            mark = page.fingerprints[account.key] + own_kind
            old = marks.get(each.id, b"")
            if old == mark and not self.selection.part:
                same.append((each.id, each.username))
                self.own.note_well([each])
            else:
                # Another place, or one that failed: is what the state says really there?
                elsewhere = bool(old) and old[FINGERPRINT:] != own_kind
                rest = self.own.rests(each)
                doubt = elsewhere or (self.own.failing(each) and not rest)
                job = Job(each, account, mark, doubt, rest)
                self._queue_of(job, jobs, doubted).append(job)
        self.outcomes.note()
        self.outcomes.unchanged(same)
        if not self.selection.part:
            # What does not come up to date now is looked at by the next run, whatever it is told.
            kept = (*jobs, *doubted, *self.own_jobs, *self.alone)
            doubts = [job.enrollment.id for job in kept]
            doubts += [each.id for each, _ in page.refused]
            state.marks.save({each: doubtful(marks[each]) for each in doubts if each in marks})
        counts = records_of(state, self.source, [*jobs, *doubted])
        self.outcomes.progress.expect(
            {job.account.username: counts.get(job.enrollment.id, 0) for job in (*jobs, *doubted)}
        )
        self._work(cut(jobs, self.sizing, counts), len(jobs))
        if self.workers is not None:
            self._in_workers(self.workers, cut(doubted, self.sizing, counts))

    def _queue_of(self, job: Job, jobs: list[Job], doubted: list[Job]) -> list[Job]:
        """Tell how an account is read: what ended a process is never read by this one."""
        alone = self.outcomes.suspects.get(job.enrollment.id)
        if alone is None or self.workers is None:
            return self.own_jobs if job.enrollment in self.own else jobs
        return self.alone if alone or job.enrollment in self.own else doubted

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

    def _work(self, batches: Iterable[list[Job]], accounts: int) -> None:
        many = accounts >= _WORTH_A_POOL and self.at_once > 1
        if self.workers is not None and many and not self.selection.part:
            self._in_workers(self.workers, batches)
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

    def _in_workers(self, workers: Dispatch, batches: Iterable[list[Job]]) -> None:
        """Hand batches to the workers; what they have in hand may outlast a page."""
        for batch in batches:
            if not self._go_on():
                break
            if self.selection.part:
                self._refuse_part(batch)
            else:
                workers.submit(batch)

    def _after_deaths(self) -> None:
        """Read accounts alone whose worker died, or that ended one before: one is to blame."""
        workers = self.workers
        if workers is None:
            return
        workers.drain()
        unstarted, workers.unstarted = [job for job, _ in workers.unstarted], []
        self._here([job] for job in unstarted)
        died, workers.died = [job for job, _ in workers.died], []
        if self.selection.part:
            self._refuse_part(self.alone)
            return
        for job in (*died, *self.alone):
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
