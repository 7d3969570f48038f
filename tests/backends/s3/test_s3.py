"""The contract of a backend on S3: moto over HTTP and TLS, and OpenStack Swift."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.backends.conformance import BackendConformance, names, put
from tests.backends.s3.conftest import Place
from tests.backends.servers.certificates import Authority
from tests.backends.servers.http_front import HttpFront
from vaultd.backends.base import Backend
from vaultd.backends.s3.backend import S3Backend
from vaultd.errors import ObjectExists

_PARTS = 5 * 1024 * 1024  # the least, so that a few megabytes are several parts


class _LooksAndThenWrites(BackendConformance):
    def test_of_parallel_creators_exactly_one_wins_and_its_bytes_stay(
        self, backend: Backend
    ) -> None:
        """Swift's proxies and moto, plain or behind TLS, look before they write: of several at the
        same moment more than one may win under load; the object is whole, and one of theirs.

        vaultd's names differ with their content, so that its creators never race for one name.
        """
        creators = 8
        for turn in range(5):
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
            content = backend.read(name)
            assert won[content[0]]
            assert content == content[:1] * 50_000
            with pytest.raises(ObjectExists):
                put(backend, name, b"late")
            assert backend.read(name) == content
        assert len(names(backend)) == 5


class _OnMoto(_LooksAndThenWrites):
    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        """moto verifies no digest and no signature, and the probe says so; all else is fine.

        Under load two creators may win: moto looks first and stores then.
        """
        put(backend, "a/b", b"x")
        findings = backend.probe()
        unfit = {finding.what for finding in findings if not finding.fine}
        assert unfit - {"create by several at once"} == {"checksum"}
        assert all(finding.sentence for finding in findings)
        assert names(backend) == ["a/b"]


class TestMoto(_OnMoto):
    @pytest.fixture
    def backend(self, moto_place: Place) -> Iterator[S3Backend]:
        backend = S3Backend(moto_place())
        yield backend
        backend.close()


class TestMotoOverTls(_OnMoto):
    """Over https boto3 sends other requests: trailers, unsigned bodies."""

    @pytest.fixture
    def backend(
        self, moto_place: Place, moto_tls: HttpFront, authority: Authority
    ) -> Iterator[S3Backend]:
        backend = S3Backend(
            moto_place(
                endpoint=moto_tls.endpoint("localhost"), ca_file=authority.file, checksum="sha256",
                prefix="backups/of-pod.example", part_size=_PARTS,
            )
        )  # fmt: skip
        yield backend
        backend.close()


class TestSwift(_LooksAndThenWrites):
    @pytest.fixture
    def backend(self, swift_place: Place) -> Iterator[S3Backend]:
        backend = S3Backend(swift_place(prefix="vaults"))
        yield backend
        backend.close()

    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        """All but the race, see above; by luck Swift may pass that too."""
        put(backend, "a/b", b"x")
        findings = backend.probe()
        unfit = {finding.what for finding in findings if not finding.fine}
        assert unfit <= {"create by several at once"}
        assert all(finding.sentence for finding in findings)
        assert names(backend) == ["a/b"]
