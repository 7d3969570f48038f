"""Which records came already: eight bytes a record, however many there are."""

from __future__ import annotations

import hashlib
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from heapq import merge
from typing import Final

from vaultd.records import StoredRecord

_IN_SET: Final = 250_000
_RUNS: Final = 8


class Seen:
    """8-byte digests under a key that nobody else has: the newest in a set, the others sorted."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=8, key=os.urandom(16))
        self._marks: set[int] = set()
        self._runs: list[array[int]] = []

    def new(self, records: Iterable[StoredRecord], *, remember: bool) -> list[StoredRecord]:
        """Return those records that did not come before; remembers them where it is asked."""
        marks, runs = self._marks, self._runs
        found = []
        for record in records:
            mark = self._mark(record)
            if mark not in marks and not (runs and self._in_runs(mark)):
                found.append(record)
                if remember:
                    marks.add(mark)
        if len(marks) > _IN_SET:
            self._sort_away()
        return found

    def _in_runs(self, mark: int) -> bool:
        for run in self._runs:
            place = bisect_left(run, mark)
            if place < len(run) and run[place] == mark:
                return True
        return False

    def _sort_away(self) -> None:
        self._runs.append(array("Q", sorted(self._marks)))
        self._marks.clear()
        if len(self._runs) > _RUNS:
            self._runs[:] = [array("Q", merge(*self._runs))]

    def _mark(self, record: StoredRecord) -> int:
        # A copy spares the keyed hash its first block.
        digest = self._hash.copy()
        digest.update(f"{record.kind}\0{record.id}".encode("utf-8", "surrogatepass"))
        return int.from_bytes(digest.digest(), "big")
