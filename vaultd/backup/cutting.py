"""How many accounts go together: pages that are looked at, batches that are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from vaultd.backup.batch import Job
from vaultd.sources.base import Source
from vaultd.state.store import State

# Accounts whose fingerprints are asked for at once: a question costs as much as 500 accounts.
_PAGES: Final = (500, 2000)
# A batch ends at about this many records, however few accounts: its indexes lie in memory.
_BATCH_RECORDS: Final = 40_000


def page_size(accounts: int, lanes: int) -> int:
    """Return how many accounts to look at with one question, when `lanes` are asked at once."""
    return min(_PAGES[1], max(_PAGES[0], -(-accounts // lanes)))


def records_of(state: State, source: Source, jobs: Sequence[Job]) -> Mapping[int, int]:
    """Return about how many records each account has, by enrolment."""
    counts = state.vaults.record_counts([job.enrollment.id for job in jobs])
    fresh = [job for job in jobs if not counts.get(job.enrollment.id)]
    weights = source.weights([job.account for job in fresh]) if len(fresh) > 1 else {}
    return counts | {job.enrollment.id: weights.get(job.account.key, 0) for job in fresh}


def cut(jobs: Sequence[Job], size: int, counts: Mapping[int, int]) -> Iterator[list[Job]]:
    """Yield batches of at most `size` accounts; `counts` are rough records by enrollment."""
    batch: list[Job] = []
    records = 0
    for job in jobs:
        known = counts.get(job.enrollment.id, 0)
        if batch and (len(batch) >= size or records + known > _BATCH_RECORDS):
            yield batch
            batch, records = [], 0
        batch.append(job)
        records += known
    if batch:
        yield batch
