"""A worker: a process that reads, packs and commits batches which the run hands to it.

It speaks over its standard input and output (`messages`): first comes the config, then batches;
it answers each with the reports. It ends with its input.
"""

from __future__ import annotations

import gc
import signal
import sys
from pathlib import Path
from typing import IO, Final

import msgspec

import vaultd
from vaultd.backends.wrappers.retrying import begin_run
from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.counting import counted
from vaultd.backup.engine.account import Pod
from vaultd.backup.engine.batch import BatchRunner, Job
from vaultd.backup.engine.context import open_context
from vaultd.backup.report import AccountReport
from vaultd.backup.run.messages import Answer, decode_tasks, read_message, write_message
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.config import OWN, Config
from vaultd.errors import DatabaseError, VaultdError
from vaultd.keys import PodKey
from vaultd.state.lock import worker_lock
from vaultd.state.store import Enrollment, State
from vaultd.state.tallies import Counters

_GARBAGE: Final = 100_000


def work(given: IO[bytes], answers: IO[bytes]) -> None:
    """Serve batches until the input ends; a signal to stop ends the batch in hand early."""
    first = read_message(given)
    if first is None:
        return
    config = msgspec.msgpack.decode(first, type=Config)
    stopped: list[bool] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopped.append(True))
    path = Path(config.state.path)
    with worker_lock(path):
        state = State(path)
        context = open_context(config, state, PodKey.load(path / "pod.key"))
        source, targets = open_source(config), open_targets(config)
        # Records are no cycles: looking for some after every 700 objects takes a tenth of a run.
        gc.set_threshold(_GARBAGE)
        own = OwnPlaces(config, state, should_stop=lambda: bool(stopped))
        for place in targets.values():
            begin_run(place, lambda: bool(stopped))
        while (message := read_message(given)) is not None:
            _say(answers, Answer(more=True))  # from here on this batch may end the process
            reports: list[AccountReport] = []

            def done(_enrollment: Enrollment, report: AccountReport) -> None:
                reports.append(report)  # noqa: B023 - called within this turn only

            runner = BatchRunner(
                source=source,
                targets=targets,
                context=context,
                pod=Pod(config.pod.url, f"vaultd {vaultd.__version__}"),
                on_done=done,
                should_stop=lambda: bool(stopped),
                on_read=lambda number: _say(answers, Answer(read=number, more=True)),
            )

            def tell() -> None:
                _say(answers, Answer(reports, runner.marks, more=True))  # noqa: B023
                reports.clear()  # noqa: B023
                runner.marks.clear()  # noqa: B023

            runner.on_commit = tell
            away = ""
            try:
                tasks = {task.username: task for task in decode_tasks(message)}
                accounts = {a.username: a for a in source.accounts(list(tasks))}
                jobs = [
                    Job(each, accounts[each.username], task.mark, task.look, task.rest)
                    for each in state.enrollments(list(tasks))
                    if (task := tasks[each.username]) and each.username in accounts
                ]
                enrollments, rest = [job.enrollment for job in jobs], any(j.rest for j in jobs)
                with own.joined(enrollments, targets, rest=rest) as runner.targets:
                    runner.run(jobs)
            except DatabaseError as error:
                away = str(error)
            counters = {name: counted(place) for name, place in targets.items()}
            counters[OWN], own.counters = own.counters, Counters()
            last = Answer(
                reports,
                runner.marks,
                interrupted=runner.interrupted,
                away=away,
                counters=counters,
            )
            _say(answers, last)


def _say(answers: IO[bytes], answer: Answer) -> None:
    """Answer; where nobody listens any more the run was killed, and this process ends."""
    try:
        write_message(answers, answer)
    except BrokenPipeError:
        raise SystemExit(1) from None


def main() -> None:
    """Be a worker on standard input and output."""
    try:
        work(sys.stdin.buffer, sys.stdout.buffer)
    except VaultdError as error:
        sys.stderr.write(f"vaultd worker: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
