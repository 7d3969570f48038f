"""The outcomes of a run: what became of each account, told to the caller and noted in the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from vaultd.backup.report import AccountReport, RunReport, unchanged
from vaultd.backup.run.messages import Answer
from vaultd.backup.run.progress import RunProgress
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.state.journal import Result
from vaultd.state.store import Enrollment, State
from vaultd.state.tallies import Counters


@dataclass(slots=True)
class Outcomes:
    """Takes outcomes as they come; `note` writes them to the state, several at once.

    `suspects` are accounts in hand when a process died (enrollment id: to be read alone).
    """

    state: State
    own: OwnPlaces
    on_progress: Callable[[AccountReport], None] | None
    progress: RunProgress = field(default_factory=RunProgress)
    report: RunReport = field(default_factory=RunReport)
    counters: dict[str, Counters] = field(default_factory=dict)
    suspects: dict[int, bool] = field(default_factory=dict)
    _results: list[Result] = field(default_factory=list)

    def done(self, enrollment: Enrollment | None, report: AccountReport) -> None:
        """Take what became of an account; of one that is not enrolled, too."""
        if enrollment is not None:
            reason = report.reason or " ".join(report.notes)
            result = Result(enrollment.id, report.status.value, reason, report.missing)
            self._results.append(result)
            self.own.note(enrollment, report)
        self.report.add(report)
        self.progress.account(report)
        if self.on_progress is not None:
            self.on_progress(report)

    def answer(self, enrollments: Iterable[Enrollment], answer: Answer) -> None:
        """Take a worker's answer about a batch, and note it."""
        of_name = {each.username: each for each in enrollments}
        for report in answer.reports:
            self.done(of_name.get(report.username), report)
        for name, counters in answer.counters.items():
            self.counters.setdefault(name, Counters()).add(counters)
        self.state.marks.save(answer.marks)
        self.note()
        self.report.interrupted |= answer.interrupted

    def unchanged(self, accounts: Sequence[tuple[int, str]]) -> None:
        """Note accounts (enrollment id, username) for which nothing is to be done."""
        self.state.journal.unchanged([number for number, _ in accounts])
        self.absolve([number for number, _ in accounts])
        self.pass_over([name for _, name in accounts])

    def pass_over(self, usernames: Sequence[str]) -> None:
        """Tell of accounts for which nothing is to be done."""
        self.report.pass_over(usernames)
        self.progress.done += len(usernames)
        if self.on_progress is not None:
            for name in usernames:
                self.on_progress(unchanged(name))

    def finish(self, run_id: int, problem: str | None) -> None:
        """Note how the run ended; `problem` is what broke it off."""
        self.note()
        report = self.report
        self.state.journal.finish_run(
            run_id,
            looked_at=report.looked_at,
            changed=report.written,
            failed=len(report.failed),
            size=report.bytes,
            error=problem or ("It was asked to stop." if report.interrupted else None),
        )

    def note(self) -> None:
        """Write to the state what was taken since the last time."""
        results, self._results = self._results, []
        if results:
            self.state.journal.record_results(results)
            self.absolve([each.enrollment_id for each in results])
        self.own.save()

    def suspect(self, accounts: Sequence[int], *, alone: bool = False) -> None:
        """Note accounts (enrollment ids) that a process has in hand, or had when it died."""
        self.state.suspects.add(accounts, alone=alone)
        self.suspects.update(dict.fromkeys(accounts, alone))

    def absolve(self, accounts: Sequence[int]) -> None:
        """These were read, and the process lives."""
        gone = [each for each in accounts if self.suspects.pop(each, None) is not None]
        if gone:
            self.state.suspects.clear(gone)
