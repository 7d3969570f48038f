"""Progress of a run on standard error: one line on a terminal, JSON lines for machines."""

from __future__ import annotations

import json
import sys
import time
from typing import Final

import click

from vaultd.backup.report import AccountReport
from vaultd.cli.output import size

WAYS: Final = ("auto", "bar", "json", "none")
_PERIOD: Final = 0.1  # seconds between two lines


class Progress:
    """Counts accounts, records and bytes; `total` accounts are expected. Use as a context."""

    def __init__(self, total: int, way: str) -> None:
        """`way` is one of WAYS; `auto` is a bar on a terminal, and silence elsewhere."""
        self._total = total
        self._way = way
        if way == "auto":
            self._way = "bar" if sys.stderr.isatty() else "none"
        self._done = self._records = self._bytes = 0
        self._begun = time.monotonic()
        self._shown = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._way == "bar" and self._shown:
            click.echo("\r\033[K", nl=False, err=True)

    def __call__(self, account: AccountReport) -> None:
        """Take one account's outcome; show where the run stands, ten times a second at most."""
        self._done += 1
        self._records += account.records
        self._bytes += sum(t.size + t.blobs for t in account.targets)
        if self._way == "none":
            return
        now = time.monotonic()
        if now - self._shown < _PERIOD and self._done < self._total:
            return
        self._shown = now
        left = (now - self._begun) / self._done * max(0, self._total - self._done)
        if self._way == "json":
            document = {
                "accounts": self._done,
                "of": self._total,
                "records": self._records,
                "bytes": self._bytes,
                "seconds_left": round(left, 1),
            }
            click.echo(json.dumps(document), err=True)
        else:
            click.echo(f"\r\033[K{self._sentence(left)}", nl=False, err=True)

    def _sentence(self, left: float) -> str:
        minutes, seconds = divmod(round(left), 60)
        time_left = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
        return (
            f"{self._done:,} of {self._total:,} accounts, {self._records:,} records, "
            f"{size(self._bytes)} stored, {time_left} left"
        )
