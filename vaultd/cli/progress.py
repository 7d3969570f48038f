"""Progress of a run on standard error: one line on a terminal, JSON lines for machines."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Final

import click

from vaultd.backup.run.progress import RunProgress
from vaultd.cli.output import is_live, plural, size

WAYS: Final = ("auto", "bar", "json", "none")
_PERIOD: Final = 0.1  # seconds between two looks
_STILL: Final = 10  # looks after which a line comes though nothing changed


class Progress:
    """Shows where a run stands from its first moment on. Use as a context."""

    def __init__(self, way: str, run: RunProgress) -> None:
        """`way` is one of WAYS; `auto` is a bar on a terminal, and silence elsewhere."""
        self._way = way
        if way == "auto":
            self._way = "bar" if is_live(sys.stderr) else "none"
        self._run = run
        self._begun = time.monotonic()
        self._over = threading.Event()
        self._shower = threading.Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        if self._way != "none":
            self._shower.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._way == "none":
            return
        self._over.set()
        self._shower.join()
        if self._way == "bar":
            click.echo("\r\033[K", nl=False, err=True)
        else:
            click.echo(self._line(), err=True)

    def _show(self) -> None:
        last, still = "", 0
        while not self._over.wait(_PERIOD if last else 0):
            still += 1
            state = self._line(timed=False)
            if state == last and still < _STILL:
                continue
            last, still = state, 0
            click.echo(self._line(), nl=self._way == "json", err=True)

    def _line(self, *, timed: bool = True) -> str:
        left = self._run.seconds_left if timed else None
        if self._way == "json":
            return json.dumps(self._document(left))
        return f"\r\033[K{self._sentence(left, timed=timed)}"

    def _document(self, left: float | None) -> dict[str, object]:
        run = self._run
        return {
            "accounts": run.done,
            "of": run.accounts,
            "records": run.records,
            "bytes": run.bytes,
            "seconds_left": None if left is None else round(left, 1),
            "read": run.read,
            "to_read": run.expected,
        }

    def _sentence(self, left: float | None, *, timed: bool) -> str:
        run = self._run
        about = f" of about {max(run.expected, run.read):,}" if run.expected else ""
        told = (
            f"{run.done:,} of {plural(run.accounts, 'account')}, {run.read:,}{about} records read, "
            f"{size(run.bytes)} stored"
        )
        if not timed:
            return told
        if left is None:
            return f"{told}, {_duration(time.monotonic() - self._begun)} so far"
        return f"{told}, about {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
