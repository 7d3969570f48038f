"""A run: untouched accounts are passed over, the others go through in batches."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vaultd.backends.base import Backend
from vaultd.backends.wrappers.retrying import begin_run
from vaultd.backup.counting import count_run
from vaultd.backup.engine.batch import Job
from vaultd.backup.engine.context import RunContext, open_context
from vaultd.backup.report import AccountReport, RunReport
from vaultd.backup.run.cutting import Sizing, cut, page_size, records_of
from vaultd.backup.run.dispatch import Dispatch
from vaultd.backup.run.execution import Execution
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
from vaultd.errors import VaultdError
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
        execution = Execution(
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
        run = _Run(
            source=source,
            targets=targets,
            own=own,
            context=context,
            config=config,
            outcomes=outcomes,
            selection=selection,
            execution=execution,
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
    selection: Selection
    execution: Execution
    own_jobs: list[Job] = field(default_factory=list)
    alone: list[Job] = field(default_factory=list)

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
        workers = self.execution.workers
        if whole and workers and workers.pool.size > 1 and marks.lacking() >= _WORTH_A_POOL:
            workers.pool.start()
        changes = self.source.changes(marks.since()) if whole else ANY
        if changes.usernames is not None:
            usernames = self._suspects(changes.usernames, kind)
        try:
            for page in read_pages(self.source, self._pages(usernames), self.execution.at_once):
                self._page(page, kind)
                if self.outcomes.report.interrupted:
                    return
        finally:
            self.execution.drain()
        # Accounts with a target of their own come last, one by one: no other waits for it.
        self.execution.do(
            [[job] for job in self.own_jobs], many=len(self.own_jobs) >= _WORTH_A_POOL
        )
        self.execution.after_deaths(self.alone)
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
        # What accounts read besides rows, as their fingerprints do.
        url = self.config.pod.url.encode()
        return hashlib.blake2b(moment + kinds + url).digest()

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
                page_size(self.context.state.enrolled(), self.execution.at_once)
            )
            return
        found = self.context.state.enrollments(usernames)
        self._refuse(set(usernames) - {each.username for each in found})
        found.sort(key=lambda each: each.id)
        size = page_size(len(found), self.execution.at_once)
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
        self.execution.do(cut(jobs, self.execution.sizing, counts), many=len(jobs) >= _WORTH_A_POOL)
        self.execution.in_workers(cut(doubted, self.execution.sizing, counts))

    def _queue_of(self, job: Job, jobs: list[Job], doubted: list[Job]) -> list[Job]:
        """Tell how an account is read: what ended a process is never read by this one."""
        alone = self.outcomes.suspects.get(job.enrollment.id)
        if alone is None or self.execution.workers is None:
            return self.own_jobs if job.enrollment in self.own else jobs
        return self.alone if alone or job.enrollment in self.own else doubted
