"""The pool of workers: processes, because Python code runs on one core in each."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from vaultd.backup.engine.batch import Job
from vaultd.backup.run.messages import Answer, Task, decode_answer, read_message, write_message
from vaultd.config import Config
from vaultd.errors import DatabaseError

# For glibc: what a large account needed goes back to the system, and threads share one heap.
_THRIFTY: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_MMAP_THRESHOLD_": "65536",
}


class WorkerDiedError(Exception):
    """A worker ended without its last answer; `told` says how, `took` whether it had the batch."""

    def __init__(self, told: str, *, took: bool) -> None:
        super().__init__(told)
        self.told = told
        self.took = took


@dataclass(frozen=True, slots=True)
class Word:
    """What a batch (by its number) came to so far: an answer, or the error that ended it
    (WorkerDiedError, DatabaseError when the source is away)."""

    batch: int
    answer: Answer | None = None
    error: Exception | None = None

    @property
    def last(self) -> bool:
        """Whether nothing more comes of the batch."""
        return self.answer is None or not self.answer.more


def workers_wanted(config: Config) -> int:
    """Return how many worker processes the config asks for: one a core by default."""
    return config.limits.workers or os.cpu_count() or 1


class Pool:
    """Runs batches in worker processes, which start when the first batch comes or is awaited."""

    def __init__(self, config: Config, size: int) -> None:
        self.size = size
        limits = config.limits
        # Each worker gets its share, so that all together stay within the pod's bounds.
        self._config = msgspec.structs.replace(
            config,
            limits=msgspec.structs.replace(
                limits,
                workers=1,
                uploads=max(1, limits.uploads // size),
                bytes_per_second=-(-limits.bytes_per_second // size),
                rows_per_second=-(-limits.rows_per_second // size),
            ),
        )
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="worker")
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._words: queue.SimpleQueue[Word] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._guard = threading.Lock()  # of `_all`, and of whether another may start
        self._stopped = False

    def submit(self, batch: int, jobs: Sequence[Job]) -> None:
        """Hand a batch to the next free worker; `next_word` tells what becomes of it."""
        self._threads.submit(self._run, batch, jobs)

    def next_word(self, seconds: float) -> Word | None:
        """Return what a worker says next, None when none says anything for so long."""
        try:
            return self._words.get(timeout=seconds)
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Ask the workers to end what they have in hand early, and start no other."""
        with self._guard:
            self._stopped = True
            for worker in self._all:
                if worker.poll() is None:
                    worker.send_signal(signal.SIGTERM)

    def renew(self) -> None:
        """End the workers that have nothing to do: the next batch gets a fresh one."""
        with suppress(queue.Empty):
            while True:
                worker = self._idle.get_nowait()
                with self._guard:
                    self._all.remove(worker)
                _end(worker)

    def _run(self, batch: int, jobs: Sequence[Job]) -> None:
        try:
            self._serve(batch, jobs)
        except Exception as error:  # noqa: BLE001 - raised where the words are heard
            self._words.put(Word(batch, error=error))

    def _serve(self, batch: int, jobs: Sequence[Job]) -> None:
        worker, took = self._take(), False
        if worker.stdin is None or worker.stdout is None:
            raise WorkerDiedError("could not be started", took=False)
        tasks = [Task(j.account.username, j.mark, j.look, j.rest) for j in jobs]
        with suppress(BrokenPipeError):  # it ended; that it says nothing tells
            write_message(worker.stdin, tasks)
        while (data := read_message(worker.stdout)) is not None:
            took, answer = True, decode_answer(data)
            if not answer.more:
                self._idle.put(worker)
            if answer.away:
                raise DatabaseError(answer.away)
            self._words.put(Word(batch, answer))
            if not answer.more:
                return
        raise WorkerDiedError(_how_it_ended(worker.wait()), took=took)

    def start(self) -> None:
        """Start the workers now: they load their libraries while the run looks for its work."""
        with suppress(WorkerDiedError):  # its first batch will tell
            for _ in range(self.size - len(self._all)):
                self._idle.put(self._new())

    def _take(self) -> subprocess.Popen[bytes]:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._new()

    def _new(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "vaultd.backup.run.worker"]
        with self._guard:
            if self._stopped:
                raise WorkerDiedError("was not started: the run stops", took=False)
            try:
                worker = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**_THRIFTY, **os.environ},
                )
            except OSError as error:
                told = f"could not be started ({error.strerror})"
                raise WorkerDiedError(told, took=False) from error
            self._all.append(worker)
        if worker.stdin is not None:
            with suppress(BrokenPipeError):  # it died at once; its first batch will tell
                write_message(worker.stdin, self._config)
        return worker

    def close(self) -> None:
        """End the workers once they are done with what they have."""
        self._threads.shutdown()
        for worker in self._all:
            _end(worker)


@contextmanager
def open_pool(config: Config) -> Iterator[Pool]:
    """Yield a pool of as many workers as the config wants.

    A run uses a pool of one only for accounts that may end the process that reads them.
    """
    pool = Pool(config, workers_wanted(config))
    try:
        yield pool
    finally:
        pool.close()


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.stdin is not None:
        with suppress(BrokenPipeError):  # a killed one does not take what was left
            worker.stdin.close()
    worker.wait()
    if worker.stdout is not None:
        worker.stdout.close()


def _how_it_ended(code: int) -> str:
    """Say how a process ended, from its exit code as subprocess gives it."""
    if code == -signal.SIGKILL:
        return "was killed, most likely because the machine had no memory left"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
