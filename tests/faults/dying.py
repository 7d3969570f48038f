"""A process that counts its touches of disk, storage and state, and kills itself at the nth.

Each touch is a death before its effect; a write is two, the second with half of it done. The
touches of all threads are counted together. The process is a fork of a warm one, so that it starts
at once.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Engine, event

_CALLS: Final = ("open", "fsync", "link", "unlink", "mkdir", "rename", "replace", "close", "chmod")
_CHANGES: Final = ("INSERT", "UPDATE", "DELETE", "BEGIN", "CREATE", "DROP", "ALTER")


class Touches:
    """Counts; dies at the touch numbered `last` (0: never)."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.count = 0
        self._lock = threading.Lock()

    def touch(self, half: Callable[[], object] | None = None) -> None:
        """Count one; die here if it is the last. With `half` count two, and do it before the second."""
        with self._lock:
            self.count += 1
            if self.count == self.last:
                die()
            if half is None:
                return
            self.count += 1
            if self.count == self.last:
                half()
                die()

    def install(self) -> None:
        """Wrap the calls of this process for good."""
        for name in _CALLS:
            self._wrap(name)
        write = os.write

        def halved(descriptor: int, data: Any) -> int:
            self.touch(lambda: write(descriptor, memoryview(data)[: len(data) // 2]))
            return write(descriptor, data)

        os.write = halved
        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "commit", lambda _: self.touch())

    def _wrap(self, name: str) -> None:
        call: Callable[..., Any] = getattr(os, name)

        def counted(*arguments: Any, **more: Any) -> Any:
            self.touch()
            return call(*arguments, **more)

        setattr(os, name, counted)

    def _statement(self, _c: Any, _u: Any, statement: str, *_more: Any) -> None:
        if statement.lstrip().upper().startswith(_CHANGES):
            self.touch()


def die() -> None:
    """End this process as a power cut of its own would."""
    os.kill(os.getpid(), signal.SIGKILL)


def live(action: Callable[[], object], last: int) -> tuple[bool, int]:
    """Run `action` in a process of its own; return whether it was killed, and its touches."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            touches = Touches(last)
            say = os.write
            touches.install()
            action()
            say(writer, str(touches.count).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise AssertionError(f"The run ended with {code} (to die at {last}).")
    return code != 0, int(said or b"0")
