"""Where a run stands: accounts, records and bytes, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from vaultd.backup.report import AccountReport

_READING: Final = 0.5  # of the work on an account; packing and storing are the rest
_WARM: Final = 3.0  # seconds before which no time left is told
_ENOUGH: Final = 0.01  # of the work, likewise


@dataclass(slots=True)
class _InHand:
    """A batch being worked on: about how many records it has left, and how many were read."""

    left: int
    read: int = 0

    @property
    def done(self) -> float:
        return min(self.left, self.read) * _READING


@dataclass(slots=True)
class RunProgress:
    """Takes what the engine tells; may be read from another thread at any time.

    `accounts` are expected in all, `done` of them are; `records` are those of accounts that are
    done, `read` all that were read, `expected` about how many there are to read as far as is
    known; `bytes` are stored.
    """

    accounts: int = 0
    clock: Callable[[], float] = time.monotonic
    done: int = 0
    records: int = 0
    read: int = 0
    expected: int = 0
    bytes: int = 0
    _settled: int = 0
    _weights: dict[str, int] = field(default_factory=dict)
    _batch_of: dict[str, int] = field(default_factory=dict)
    _in_hand: dict[int, _InHand] = field(default_factory=dict)
    _begun: float = 0.0

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def expect(self, weights: Mapping[str, int]) -> None:
        """These accounts are to be read: about so many records each."""
        self._weights.update(weights)
        self.expected += sum(weights.values())

    def begin(self, batch: int, usernames: list[str]) -> None:
        """A batch is in hand now."""
        self._batch_of.update(dict.fromkeys(usernames, batch))
        self._in_hand[batch] = _InHand(sum(self._weights.get(name, 0) for name in usernames))

    def take(self, batch: int, records: int) -> None:
        """So many more records of a batch were read."""
        self.read += records
        if batch in self._in_hand:
            self._in_hand[batch].read += records

    def finish(self, batch: int) -> None:
        """A batch is over, or will be begun anew."""
        self._in_hand.pop(batch, None)

    def account(self, report: AccountReport) -> None:
        """An account is done."""
        self.done += 1
        self.records += report.records
        self.bytes += sum(t.size + t.blobs for t in report.targets)
        weight = self._weights.pop(report.username, 0)
        self._settled += weight
        batch = self._in_hand.get(self._batch_of.pop(report.username, -1))
        if batch is not None:
            # What was read of it is done and counts as such.
            share = batch.read * weight // batch.left if batch.left else 0
            batch.left, batch.read = max(0, batch.left - weight), max(0, batch.read - share)

    @property
    def seconds_left(self) -> float | None:
        """About how many seconds are left, by records; None while nobody can tell."""
        passed = self.clock() - self._begun
        if self.done >= self.accounts:
            return 0.0
        if passed < _WARM:
            return None
        work = self._settled + sum(batch.done for batch in list(self._in_hand.values()))
        if not self.expected:
            return passed / self.done * (self.accounts - self.done) if self.done else None
        # Those that nobody looked at yet are taken to be like the others.
        looked_at = max(self.done + len(self._weights), 1)
        unknown = max(0, self.accounts - looked_at)
        whole = self.expected + unknown * self.expected / looked_at
        if work < whole * _ENOUGH:
            return None
        return passed / work * max(0.0, whole - work)
