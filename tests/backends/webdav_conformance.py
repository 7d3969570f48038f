"""The conformance suite as WebDAV can keep it: of parallel creators several may win."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Barrier

import pytest

from tests.backends.conformance import BackendConformance, names, put
from vaultd.backends.base import Backend
from vaultd.errors import ObjectExists, PlaceBusy

CREATORS = 8
numbers = count()


class WebdavConformance(BackendConformance):
    """Every statement but the one on parallel creators."""

    def test_of_parallel_creators_exactly_one_wins_and_its_bytes_stay(
        self, backend: Backend
    ) -> None:
        """At least one wins, and what stays is one whole body, for good.

        RFC 4918 has no compare-and-swap that servers keep: Apache looks for the target, then
        renames, so two may see none (libs §2: 11 of 40 rounds); Nextcloud 1 of 10. A loser may
        also be told that the place is busy.
        """
        for turn in range(10):
            name, barrier = f"race/{turn}", Barrier(CREATORS)

            def create(number: int, name: str = name, barrier: Barrier = barrier) -> bool:
                barrier.wait()
                try:
                    put(backend, name, bytes([number]) * 50_000)
                except (ObjectExists, PlaceBusy):
                    return False
                return True

            with ThreadPoolExecutor(CREATORS) as pool:
                won = list(pool.map(create, range(CREATORS)))
            assert won.count(True) >= 1
            stored = backend.read(name)
            assert stored in {bytes([number]) * 50_000 for number in range(CREATORS)}
            with pytest.raises(ObjectExists):
                put(backend, name, b"late")
            assert backend.read(name) == stored
        assert len(names(backend)) == 10

    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        """All but parallel creators, which the probe names."""
        put(backend, "a/b", b"x")
        findings = backend.probe()
        assert all(finding.sentence for finding in findings)
        assert [f.what for f in findings if not f.fine] == ["parallel creators"]
        assert names(backend) == ["a/b"]
