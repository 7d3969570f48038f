"""How many accounts go together: pages that are looked at, batches that are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from vaultd.backup.engine.batch import Job
from vaultd.sources.base import Source
from vaultd.state.store import State

# Accounts whose fingerprints are asked for at once: a question costs as much as 500 accounts.
_PAGES: Final = (500, 2000)
# A batch ends at about this many records, however few accounts: its indexes lie in memory.
_BATCH_RECORDS: Final = 40_000
_FIRST: Final = 8  # accounts that the smallest batch takes
_SMALLEST: Final = 1 / 16
_QUICK: Final = 4.0  # seconds
_SLOW: Final = 12.0


def page_size(accounts: int, at_once: int) -> int:
    """Return how many accounts to look at with one question, when so many are asked at once."""
    return min(_PAGES[1], max(_PAGES[0], -(-accounts // at_once)))


class Sizing:
    """How large the next batch is: small at first, so that a first commit comes soon.

    While batches take little time they grow, up to `accounts`; those that take long shrink: that
    much is done again after a kill.
    """

    def __init__(self, accounts: int) -> None:
        self._most = accounts
        self._share = _SMALLEST

    @property
    def accounts(self) -> int:
        """Accounts in the next batch at most."""
        return min(self._most, max(_FIRST, int(self._most * self._share)))

    @property
    def records(self) -> int:
        """About how many records the next batch may have."""
        return int(_BATCH_RECORDS * self._share)

    def took(self, seconds: float) -> None:
        """Take how long a batch took."""
        if seconds < _QUICK:
            self._share = min(1.0, self._share * 2)
        elif seconds > _SLOW:
            self._share = max(_SMALLEST, self._share / 2)


def records_of(state: State, source: Source, jobs: Sequence[Job]) -> Mapping[int, int]:
    """Return about how many records each account has, by enrolment."""
    counts = state.vaults.record_counts([job.enrollment.id for job in jobs])
    fresh = [job for job in jobs if not counts.get(job.enrollment.id)]
    weights = source.weights([job.account for job in fresh]) if fresh else {}
    return counts | {job.enrollment.id: weights.get(job.account.key, 0) for job in fresh}


def cut(jobs: Sequence[Job], sizing: Sizing, counts: Mapping[int, int]) -> Iterator[list[Job]]:
    """Yield batches as large as `sizing` says then; `counts` are rough records by enrollment."""
    batch: list[Job] = []
    records = 0
    for job in jobs:
        known = counts.get(job.enrollment.id, 0)
        full = len(batch) >= sizing.accounts or records + known > sizing.records
        if batch and full:
            yield batch
            batch, records = [], 0
        batch.append(job)
        records += known
    if batch:
        yield batch
