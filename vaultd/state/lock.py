"""One run or daemon per state: an flock that the kernel drops however the holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from vaultd.errors import ConfigError, LockedError

_WORKERS: Final = "workers.lock"
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


@contextmanager
def worker_lock(directory: Path) -> Iterator[None]:
    """Hold off new runs while this worker process lives, even when its own run was killed."""
    fd = os.open(directory / _WORKERS, _FLAGS, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


class StateLock:
    """Holds `<state>/lock` inside a `with`; raises LockedError naming the process that has it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock at once or raise LockedError."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"state.path: {self._path} cannot be opened ({error.strerror}).",
                hint="The folder must belong to the user that runs vaultd.",
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise LockedError(
                f"Another vaultd (process {holder}) works on {self._path.parent}.",
                hint="Wait until it is done, or stop the daemon (systemctl stop vaultd) first.",
            ) from error
        self._no_worker_left(fd)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def _no_worker_left(self, fd: int) -> None:
        """A killed run's workers may still be ending the batch that they had in hand."""
        workers = os.open(self._path.with_name(_WORKERS), _FLAGS, 0o600)
        try:
            fcntl.flock(workers, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise LockedError(
                f"Workers of a run that was killed still work on {self._path.parent}.",
                hint="They end with the batch in hand; try again in a minute.",
            ) from error
        finally:
            os.close(workers)

    def release(self) -> None:
        """Give the lock back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
