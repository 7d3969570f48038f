"""A run: batches of accounts through the source, every changed one into its vaults."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, ParamSpec

import vaultd
from vaultd.backends.base import Backend
from vaultd.backup.account import AccountRun, Pod
from vaultd.backup.enroll import incomplete_sentence
from vaultd.backup.lane import Workbench
from vaultd.backup.report import AccountReport, RunReport, Status, account_report, unexpected
from vaultd.errors import AccountError, ConfigError, VaultdError
from vaultd.keys import PodKey
from vaultd.sources.base import Source, SourceAccount
from vaultd.state.store import Enrollment, State

if TYPE_CHECKING:
    from vaultd.config import Config

# A batch ends at this many known records, however few accounts: its indexes lie in memory.
_BATCH_RECORDS: Final = 100_000

_P = ParamSpec("_P")
_Pair = tuple[Enrollment, SourceAccount]


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
) -> RunReport:
    """Back up these enrolled accounts (or all) to every target; the caller holds the state lock.

    `on_progress` is called after each account. `should_stop` is asked between records; the
    account in flight is finished, the others are left for the next run.
    One account's failure is in the report and stops nothing. Raises DatabaseError when the
    source as a whole is out of reach, ConfigError for an unusable spool folder.
    """
    run = _Run(
        source=source,
        targets=targets,
        bench=Workbench(state, pod_key, state.directory / "spool"),
        pod=Pod(config.pod.url, f"vaultd {vaultd.__version__}"),
        batch=config.limits.batch_accounts,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return run.run(usernames)


class _StoppedError(Exception):
    """The run was asked to stop while a batch was being read."""


@dataclass(slots=True, kw_only=True)
class _Run:
    source: Source
    targets: Mapping[str, Backend]
    bench: Workbench
    pod: Pod
    batch: int
    on_progress: Callable[[AccountReport], None] | None
    should_stop: Callable[[], bool]
    report: RunReport = field(default_factory=RunReport)

    def run(self, usernames: Collection[str] | None) -> RunReport:
        started = time.monotonic()
        try:
            self.bench.spool.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"state.path: {self.bench.spool} cannot be made ({error.strerror})."
            ) from error
        enrollments = self.bench.state.enrollments(usernames)
        asked = len(enrollments) if usernames is None else len(set(usernames))
        run_id = self.bench.state.journal.start_run(asked)
        problem: str | None = None
        try:
            self._batches(self._select(enrollments, usernames))
        except VaultdError as error:
            problem = str(error)
            raise
        finally:
            self.report.seconds = time.monotonic() - started
            self.bench.state.journal.finish_run(
                run_id,
                looked_at=self.report.looked_at,
                changed=len(self.report.changed),
                failed=len(self.report.failed),
                size=self.report.bytes,
                error=problem or ("It was asked to stop." if self.report.interrupted else None),
            )
        return self.report

    def _select(
        self, enrollments: Sequence[Enrollment], usernames: Collection[str] | None
    ) -> list[_Pair]:
        """Pair enrolments with the pod's accounts; what cannot be paired is reported."""
        enrolled = {enrollment.username: enrollment for enrollment in enrollments}
        names = sorted(set(enrolled if usernames is None else usernames))
        accounts = {
            account.username: account
            for account in self.source.accounts(None if usernames is None else names)
        }
        pairs: list[_Pair] = []
        for name in names:
            enrollment, account = enrolled.get(name), accounts.get(name)
            reason = _refusal(name, enrollment, account)
            if enrollment is not None and account is not None and not reason:
                pairs.append((enrollment, account))
            else:
                self._done(enrollment, account_report(name, AccountError(reason), ()))
        return pairs

    def _batches(self, pairs: Sequence[_Pair]) -> None:
        counts = self.bench.state.record_counts()
        for batch in _cut(pairs, self.batch, counts):
            if self.should_stop():
                self.report.interrupted = True
                return
            self._run_batch(batch)
            if self.report.interrupted:
                return

    def _run_batch(self, batch: Sequence[_Pair]) -> None:
        try:
            runs = self._read(batch, self.targets)
        except _StoppedError:
            self.report.interrupted = True
            return
        except Exception as error:  # noqa: BLE001 - any row may break a source: find out whose
            # Raises where the source as a whole is away; then no account is to blame.
            self.source.accounts([account.username for _, account in batch])
            if len(batch) == 1:
                self._failed(batch[0][0], error)
                return
            for pair in batch:
                if not self.report.interrupted:
                    self._run_batch([pair])
            return
        self._finish(runs)

    def _read(self, batch: Sequence[_Pair], targets: Mapping[str, Backend]) -> list[AccountRun]:
        """Read a batch and return its runs, ready to finish; raises what the source raises."""
        runs = [
            AccountRun(self.bench, self.source, self.pod, account, enrollment)
            for enrollment, account in batch
        ]
        by_key = {run.account.key: run for run in runs}
        try:
            for run in runs:
                _guard(run, run.open, targets)
            for account, item in self.source.read([account for _, account in batch]):
                run = by_key[account.key]
                _guard(run, run.take, item)
                if self.should_stop():
                    raise _StoppedError
        except BaseException:
            for run in runs:
                run.close()
            raise
        return runs

    def _finish(self, runs: Sequence[AccountRun]) -> None:
        for number, run in enumerate(runs):
            if number and self.should_stop():
                self.report.interrupted = True
                for each in runs[number:]:
                    each.close()
                return
            _guard(run, run.finish)
            report = run.report()
            if run.again:
                report = self._again(run, report)
            self._done(run.enrollment, report)

    def _again(self, run: AccountRun, first: AccountReport) -> AccountReport:
        """Read an account once more for the vaults whose next archive must stand on its own."""
        targets = {name: self.targets[name] for name in run.again}
        try:
            (second,) = self._read([(run.enrollment, run.account)], targets)
        except _StoppedError:
            self.report.interrupted = True
            return replace(first, status=Status.FAILED, reason="The run was stopped; see notes.")
        except Exception as error:  # noqa: BLE001 - one account's trouble, as in _run_batch
            return account_report(first.username, _typed(error), first.targets, notes=first.notes)
        _guard(second, second.finish)
        report = second.report()
        return account_report(
            first.username,
            run.error or second.error,
            tuple(sorted([*first.targets, *report.targets], key=lambda t: t.target)),
            report.records,
            tuple(dict.fromkeys([*first.notes, *report.notes])),
        )

    def _failed(self, enrollment: Enrollment, error: Exception) -> None:
        self._done(enrollment, account_report(enrollment.username, _typed(error), ()))

    def _done(self, enrollment: Enrollment | None, report: AccountReport) -> None:
        self.report.accounts.append(report)
        if enrollment is not None:
            reason = report.reason or " ".join(report.notes)
            self.bench.state.journal.record_result(enrollment.id, report.status.value, reason)
        if self.on_progress is not None:
            self.on_progress(report)


def _typed(error: Exception) -> VaultdError:
    return error if isinstance(error, VaultdError) else unexpected(error)


def _guard(run: AccountRun, step: Callable[_P, None], *args: _P.args, **kwargs: _P.kwargs) -> None:
    """Keep one account's trouble its own, a bug's included."""
    try:
        step(*args, **kwargs)
    except VaultdError as error:
        run.fail(error)
    except Exception as error:  # noqa: BLE001 - reported as this account's failure
        run.fail(unexpected(error))


def _refusal(name: str, enrollment: Enrollment | None, account: SourceAccount | None) -> str:
    """Say why an account cannot be backed up; empty when it can."""
    if account is None:
        if enrollment is None:
            return f"There is no account {name!r} on this pod."
        return f"{name} is no longer in the pod's database; its vaults stay as they are."
    if enrollment is None:
        return f"{name} is not enrolled; `vaultd enroll {name} --recipient vault1…` does that."
    if account.state == "incomplete":
        return incomplete_sentence(name)
    if account.guid != enrollment.guid:
        return (
            f"{name} is another person now than the one who was enrolled; the old vault stays as "
            f"it is. `vaultd enroll {name} --recipient vault1…` starts a new one."
        )
    return ""


def _cut(pairs: Sequence[_Pair], size: int, counts: Mapping[int, int]) -> Iterator[list[_Pair]]:
    batch: list[_Pair] = []
    records = 0
    for pair in pairs:
        known = counts.get(pair[0].id, 0)
        if batch and (len(batch) >= size or records + known > _BATCH_RECORDS):
            yield batch
            batch, records = [], 0
        batch.append(pair)
        records += known
    if batch:
        yield batch
