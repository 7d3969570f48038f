"""The contract of a backend where FTP can keep it, and what holds instead where it cannot."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from tests.backends.conformance import BackendConformance, names, put
from vaultd.backends.base import Backend
from vaultd.errors import ObjectExists


class FtpConformance(BackendConformance):
    """Everything but the race of creators."""

    def test_of_parallel_creators_exactly_one_wins_and_its_bytes_stay(
        self, backend: Backend
    ) -> None:
        """RNTO replaces on every server tried, and FTP has no other command to publish a file.

        So of creators at the same moment one or several succeed; the object is always the
        whole body of one that did, and stays from then on.
        """
        creators = 8
        for turn in range(10):
            name, barrier = f"race/{turn}", Barrier(creators)

            def create(number: int, name: str = name, barrier: Barrier = barrier) -> bool:
                barrier.wait()
                try:
                    put(backend, name, bytes([number]) * 50_000)
                except ObjectExists:
                    return False
                return True

            with ThreadPoolExecutor(creators) as pool:
                won = list(pool.map(create, range(creators)))
            stored = backend.read(name)
            assert True in won
            assert len(stored) == 50_000
            assert stored == stored[:1] * 50_000
            assert won[stored[0]]
        assert len(names(backend)) == 10

    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        put(backend, "a/b", b"x")
        findings = {finding.what: finding for finding in backend.probe()}
        assert all(finding.sentence for finding in findings.values())
        wrong = {what for what, finding in findings.items() if not finding.fine}
        assert wrong == {"create without replacing", *self.also_wrong}
        # It is good to know, and makes no place unfit.
        assert not [finding for finding in findings.values() if finding.grave and not finding.fine]
        assert names(backend) == ["a/b"]

    also_wrong: frozenset[str] = frozenset()
