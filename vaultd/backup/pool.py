"""The pool of workers: processes, because Python code runs on one core in each."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Final

import msgspec

from vaultd.backup.batch import Job
from vaultd.backup.messages import Answer, Task, decode_answer, read_message, write_message
from vaultd.config import Config
from vaultd.errors import DatabaseError

# For glibc: what a large account needed goes back to the system, and threads share one heap.
_THRIFTY: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_MMAP_THRESHOLD_": "65536",
}


class WorkerDiedError(Exception):
    """A worker ended without an answer (killed, out of memory); its batch is to be done again."""


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
        self._all: list[subprocess.Popen[bytes]] = []

    def submit(self, jobs: Sequence[Job]) -> Future[Answer]:
        """Hand a batch to the next free worker.

        The future raises DatabaseError when the source is away, WorkerDiedError.
        """
        return self._threads.submit(self._run, jobs)

    def _run(self, jobs: Sequence[Job]) -> Answer:
        worker = self._take()
        try:
            if worker.stdin is None or worker.stdout is None:
                raise WorkerDiedError
            tasks = [Task(j.account.username, j.mark, j.look, j.rest) for j in jobs]
            write_message(worker.stdin, tasks)
            data = read_message(worker.stdout)
        except BrokenPipeError as error:
            raise WorkerDiedError from error
        if data is None:
            raise WorkerDiedError
        self._idle.put(worker)
        answer = decode_answer(data)
        if answer.away:
            raise DatabaseError(answer.away)
        return answer

    def start(self) -> None:
        """Start the workers now: they load their libraries while the run looks for its work."""
        for _ in range(self.size - len(self._all)):
            self._idle.put(self._new())

    def _take(self) -> subprocess.Popen[bytes]:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return self._new()

    def _new(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "vaultd.backup.worker"]
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_THRIFTY, **os.environ},
        )
        self._all.append(worker)
        if worker.stdin is not None:
            with suppress(BrokenPipeError):  # it died at once; its first batch will tell
                write_message(worker.stdin, self._config)
        return worker

    def close(self) -> None:
        """End the workers once they are done with what they have."""
        self._threads.shutdown()
        for worker in self._all:
            if worker.stdin is not None:
                with suppress(BrokenPipeError):  # a killed one does not take what was left
                    worker.stdin.close()
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()


@contextmanager
def open_pool(config: Config) -> Iterator[Pool | None]:
    """Yield a pool of as many workers as the config wants, None where one process is enough."""
    size = workers_wanted(config)
    if size < 2:
        yield None
        return
    pool = Pool(config, size)
    try:
        yield pool
    finally:
        pool.close()
