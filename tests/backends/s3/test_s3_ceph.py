"""The contract of a backend on Ceph's RADOS Gateway, plain and behind TLS; in the long suite."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.backends.conformance import BackendConformance, names, put
from tests.backends.s3.conftest import Place
from tests.backends.servers.certificates import Authority
from tests.backends.servers.http_front import HttpFront
from vaultd.backends.base import Backend
from vaultd.backends.s3.backend import S3Backend, S3Settings
from vaultd.errors import ObjectExists, PlaceError

_PARTS = 5 * 1024 * 1024  # the least, so that a few megabytes are several parts

pytestmark = pytest.mark.long


def _wrong(backend: S3Backend) -> set[str]:
    return {finding.what for finding in backend.probe() if not finding.fine}


class _OnCeph(BackendConformance):
    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        """The end of a multipart upload ignores the condition, which the probe says; vaultd asks."""
        put(backend, "a/b", b"x")
        findings = backend.probe()
        assert {f.what for f in findings if not f.fine} == {"multipart uploads"}
        assert not any(f.grave for f in findings if not f.fine)
        assert all(finding.sentence for finding in findings)
        assert names(backend) == ["a/b"]

    def test_the_end_of_a_multipart_upload_replaces_nothing(self, backend: Backend) -> None:
        put(backend, "big", b"first")
        for size in (6_000_000, 40_000_000):
            with pytest.raises(ObjectExists):
                backend.create("big", io.BytesIO(bytes(size)), size)
        assert backend.read("big") == b"first"

    def test_a_thousand_and_one_objects_are_listed_in_two_pages(self, backend: Backend) -> None:
        made = [f"many/{number:04}" for number in range(1001)]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda name: put(backend, name, b"x"), made))
        assert names(backend, "many/") == made


class TestCephRgw(_OnCeph):
    @pytest.fixture
    def backend(self, ceph_place: Place) -> Iterator[S3Backend]:
        backend = S3Backend(ceph_place(prefix="vaults"))
        yield backend
        backend.close()


class TestCephRgwOverTls(_OnCeph):
    """Over https boto3's own default is a body with a trailer, which this gateway refuses."""

    @pytest.fixture
    def backend(
        self, ceph_place: Place, ceph_tls: HttpFront, authority: Authority
    ) -> Iterator[S3Backend]:
        settings = ceph_place(
            endpoint=ceph_tls.endpoint("localhost"), ca_file=authority.file, part_size=_PARTS
        )
        backend = S3Backend(S3Backend(settings).adapt())
        yield backend
        backend.close()


@pytest.mark.parametrize("asked", ["when_supported", "when_required", "sha256"])
def test_the_probe_finds_a_checksum_mode_that_the_gateway_takes_over_tls(
    ceph_place: Place, ceph_tls: HttpFront, authority: Authority, asked: Any
) -> None:
    settings = ceph_place(
        endpoint=ceph_tls.endpoint("localhost"), ca_file=authority.file, checksum=asked
    )
    found = S3Backend(settings).adapt()
    assert found.checksum != "when_supported"
    assert found.conditional
    backend = S3Backend(found)
    put(backend, "a", b"x")
    backend.create("b", io.BytesIO(bytes(40_000_000)), 40_000_000)
    assert backend.read("a") == b"x"
    assert "checksum" not in _wrong(backend)


def test_the_form_that_the_gateway_refuses_says_what_to_set(
    ceph_place: Place, ceph_tls: HttpFront, authority: Authority
) -> None:
    settings = ceph_place(
        endpoint=ceph_tls.endpoint("localhost"), ca_file=authority.file, checksum="when_supported"
    )
    with pytest.raises(PlaceError) as raised:
        put(S3Backend(settings), "a", b"x")
    assert "does not take uploads as they are sent now" in str(raised.value)
    assert "checksum" in raised.value.hint


def test_wrong_keys_are_refused_with_a_sentence(ceph_place: Place) -> None:
    settings = ceph_place()
    for changed in ({"secret_key": "wrong-secret"}, {"access_key": "nobody"}):
        with pytest.raises(PlaceError) as raised:
            put(S3Backend(replace(settings, **changed)), "a", b"x")
        assert raised.value.move == "fix"
        assert "wrong-secret" not in str(raised.value)


def test_a_locked_object_stays(ceph_place: Place) -> None:
    settings: S3Settings = ceph_place(lock_mode="compliance", lock_days=1)
    backend = S3Backend(settings)
    put(backend, "a", b"x")
    with pytest.raises(PlaceError, match="locked"):
        backend.delete("a")
    assert backend.read("a") == b"x"


def test_a_quarter_of_a_gigabyte_comes_back_the_same(ceph_place: Place) -> None:
    size = 256 * 1024 * 1024
    backend = S3Backend(ceph_place())
    content = os.urandom(size)
    backend.create("big", io.BytesIO(content), size)
    assert [info.size for info in backend.list("big")] == [size]
    assert backend.read("big") == content
