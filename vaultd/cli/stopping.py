"""Being asked to stop: the first signal ends a command soon, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import click

STOPPED: Final = 130  # the exit code of a command that was asked to stop
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Within, SIGINT and SIGTERM set what the given function tells; each the second time kills."""
    asked = threading.Event()

    def stop(number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        asked.set()
        click.echo(
            "\nvaultd: stopping; what is finished is kept. Once more ends it at once.", err=True
        )

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
