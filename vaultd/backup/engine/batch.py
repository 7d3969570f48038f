"""A batch: some accounts read in one snapshot, packed, and committed some at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, ParamSpec, TypeVar

from vaultd.backends.base import Backend
from vaultd.backup.engine.account import AccountRun, Pod
from vaultd.backup.engine.catchup import catch_up
from vaultd.backup.engine.commit import commit
from vaultd.backup.engine.context import RunContext
from vaultd.backup.engine.diff import ReadAgainError
from vaultd.backup.engine.open_vaults import Standing, where_they_stand
from vaultd.backup.engine.packer import Commit
from vaultd.backup.engine.vault_run import VaultRun
from vaultd.backup.report import AccountReport, Status, account_report, unexpected
from vaultd.backup.upkeep.forget import retire
from vaultd.errors import DatabaseError, VaultdError
from vaultd.records import Records
from vaultd.selection import EVERYTHING, Selection
from vaultd.sources.base import Source, SourceAccount
from vaultd.state.store import Enrollment

_SLICE: Final = 32  # accounts that are committed together
_SOON: Final = 2.0  # seconds after which finished accounts wait for no others
_GRACE: Final = 5.0  # seconds in which a stopped batch commits what is finished
_TICK: Final = 0.25  # seconds between two words on how many records were read

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Job:
    """One account to look at; `mark` is what to note once all its vaults are up to date, `look`
    whether to ask the places first, `rest` whether the account's own target is left alone."""

    enrollment: Enrollment
    account: SourceAccount
    mark: bytes = b""
    look: bool = False
    rest: bool = False


class StoppedError(Exception):
    """The run was asked to stop while a batch was being read."""


@dataclass(slots=True, kw_only=True)
class BatchRunner:
    """Runs batches; `on_done` gets every account's report, `marks` what came up to date.

    `on_commit` is called whenever some accounts are done for good, `on_read` with the number of
    records that were read since the last call.
    """

    source: Source
    targets: Mapping[str, Backend]
    context: RunContext
    pod: Pod
    on_done: Callable[[Enrollment, AccountReport], None]
    should_stop: Callable[[], bool]
    selection: Selection = EVERYTHING
    on_commit: Callable[[], None] = lambda: None
    on_read: Callable[[int], None] = lambda _: None
    interrupted: bool = False
    marks: dict[int, bytes] = field(default_factory=dict)

    def run(self, jobs: Sequence[Job], *, again: bool = False) -> None:
        """Back up these accounts. Raises DatabaseError when the source is out of reach.

        What was read while the database was in trouble is read `again`, once.
        """
        try:
            runs = self._read(jobs, self.targets)
        except StoppedError:
            self.interrupted = True
            return
        except Exception as error:  # noqa: BLE001 - any row may break a source: find out whose
            # Raises where the source as a whole is away; then no account is to blame.
            self.source.accounts([job.account.username for job in jobs])
            if len(jobs) == 1 and isinstance(error, DatabaseError) and not again:
                self.run(jobs, again=True)
            elif len(jobs) == 1:
                self._failed(jobs[0].enrollment, error)
            else:
                for job in jobs:
                    if not self.interrupted:
                        self.run([job])
            return
        self._finish(jobs, runs)

    def _read(
        self, jobs: Sequence[Job], targets: Mapping[str, Backend], *, merge: bool = True
    ) -> list[AccountRun]:
        """Read a batch and return its runs, ready to finish; raises what the source raises."""
        runs = [
            AccountRun(
                self.context,
                self.source,
                self.pod,
                job.account,
                job.enrollment,
                merge=merge,
                selection=self.selection,
            )
            for job in jobs
        ]
        takes = {run.account.key: run for run in runs}
        read, told = 0, time.monotonic()
        try:
            standing, notes = self._standing(jobs, targets)
            for job, run in zip(jobs, runs, strict=True):
                run.notes += notes.get(job.enrollment.id, [])
                guard(run, run.open, targets, look=job.look, standing=standing)
                self._stop_here()
            for account, item in self.source.read([job.account for job in jobs]):
                run = takes[account.key]
                guard(run, run.take, item)
                read += len(item.ids) if isinstance(item, Records) else 1
                if time.monotonic() - told >= _TICK:
                    self.on_read(read)
                    read, told = 0, time.monotonic()
                self._stop_here()
            self.on_read(read)
        except BaseException:
            for run in runs:
                run.close()
            raise
        return runs

    def _stop_here(self) -> None:
        if self.should_stop():
            raise StoppedError

    def _standing(
        self, jobs: Sequence[Job], targets: Mapping[str, Backend]
    ) -> tuple[Standing, Mapping[int, list[str]]]:
        """Ask where the vaults stand, after those that lag behind have caught up."""
        enrollments = [job.enrollment for job in jobs]
        accounts = [each.id for each in enrollments]
        standing = where_they_stand(self.context, accounts)
        if self.selection.part:
            return standing, {}
        notes = catch_up(self.context, targets, enrollments, standing)
        return (where_they_stand(self.context, accounts) if notes else standing), notes

    def _finish(self, jobs: Sequence[Job], runs: Sequence[AccountRun]) -> None:
        """Commit the accounts in their order, some at a time, once their pictures are there.

        Asked to stop, it still commits what is finished, for a few seconds.
        """
        going: deque[tuple[Job, AccountRun]] = deque()
        begun = time.monotonic()
        stop_at = float("inf")
        try:
            for job, run in zip(jobs, runs, strict=True):
                # The source's transaction is over: signatures and pictures take what they take.
                if not (self._sign(run) and self._send(run)):
                    self.interrupted = True
                    continue
                going.append((job, run))
                landed = next((n for n, (_, r) in enumerate(going) if r.flying), len(going))
                soon = landed and time.monotonic() - begun > _SOON
                if (landed >= _SLICE or soon) and not self.should_stop():
                    self._commit_first(going, landed)
                    begun = time.monotonic()
            while going:
                if self.should_stop():
                    stop_at = min(stop_at, time.monotonic() + _GRACE)
                    if time.monotonic() >= stop_at:
                        self.interrupted = True
                        return
                self._commit_first(going, min(_SLICE, len(going)))
        finally:
            for run in runs:
                run.close()

    def _sign(self, run: AccountRun) -> bool:
        """Have the signatures made that were put off; False where a stop came first."""
        if self.should_stop():
            return False
        try:
            guard(run, run.sign)
        except DatabaseError:
            try:
                guard(run, run.sign)
            except DatabaseError as error:
                run.fail(error)  # so that the next run reads it again
        return True

    def _send(self, run: AccountRun) -> bool:
        """Have the pictures that were put off go on their way; False where a stop came first."""
        for record in run.put_off():
            if self.should_stop():
                return False
            guard(run, run.look, record)
        return True

    def _commit_first(self, going: deque[tuple[Job, AccountRun]], count: int) -> None:
        """Commit the first accounts, tell of them, and let go what they hold."""
        pairs = [going.popleft() for _ in range(count)]
        for _, run in pairs:
            guard(run, run.land)
        self._commit([run for _, run in pairs])
        for job, run in pairs:
            report = run.report()
            fresh = run
            if run.again:
                report, fresh = self._again(job, run, report)
            if fresh.up_to_date and run.error is None and job.mark and fresh.complete:
                self.marks[job.enrollment.id] = job.mark
            self.on_done(job.enrollment, report)
            run.close()
        self.on_commit()
        if not self.should_stop():
            self._retire([vault for _, run in pairs for vault in run.vaults])

    def _commit(self, runs: Sequence[AccountRun]) -> None:
        commits: list[Commit] = []
        owners = {id(vault): run for run in runs for vault in run.vaults}
        for run in runs:
            if run.error is None and not run.again:
                commits += guard(run, run.finish) or ()
        for vault, why in commit(self.context, commits):
            owners[id(vault)].again.append(vault.target)
            owners[id(vault)].notes.append(why)

    def _again(
        self, job: Job, run: AccountRun, first: AccountReport
    ) -> tuple[AccountReport, AccountRun]:
        """Read an account once more for the vaults whose next archive must be another one."""
        targets = {name: self.targets[name] for name in run.again}
        for vault in run.vaults:
            if vault.target in targets:
                # Its pictures are noted now: later that would undo what the second reading notes.
                vault.close()
                vault.photos.dirty = False
        try:
            (second,) = self._read([job], targets, merge=run.merge)
            if not (self._sign(second) and self._send(second)):
                second.close()
                raise StoppedError
            guard(second, second.land)
        except StoppedError:
            self.interrupted = True
            return (
                replace(first, status=Status.FAILED, reason="The run was stopped; see notes."),
                run,
            )
        except Exception as error:  # noqa: BLE001 - one account's trouble, as in run
            failed = account_report(first.username, typed(error), first.targets, notes=first.notes)
            return failed, run
        try:
            self._commit([second])
        finally:
            second.close()
        report = second.report()
        together = account_report(
            first.username,
            run.error or second.error,
            tuple(sorted([*first.targets, *report.targets], key=lambda t: t.target)),
            report.records,
            tuple(dict.fromkeys([*first.notes, *report.notes])),
        )
        together = replace(together, missing=report.missing)
        self._retire(second.vaults)
        return together, second

    def _retire(self, vaults: Sequence[VaultRun]) -> None:
        if not self.selection.part:
            retire(self.context, self.targets, vaults)

    def _failed(self, enrollment: Enrollment, error: Exception) -> None:
        self.on_done(enrollment, account_report(enrollment.username, typed(error), ()))


def typed(error: Exception) -> VaultdError:
    """Return a typed error; a bug is wrapped as one account's failure."""
    return error if isinstance(error, VaultdError) else unexpected(error)


def guard(
    run: AccountRun, step: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> _T | None:
    """Return what a step gives; one account's trouble, a bug's included, stays its own (None)."""
    try:
        return step(*args, **kwargs)
    except ReadAgainError:
        run.read_again()
    except DatabaseError:
        raise  # the database's trouble is no account's
    except VaultdError as error:
        run.fail(error)
    except Exception as error:  # noqa: BLE001 - reported as this account's failure
        run.fail(unexpected(error))
    return None
