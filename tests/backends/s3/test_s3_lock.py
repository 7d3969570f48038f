"""Object Lock and versions, on moto, which keeps both."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.backends.conformance import names, put
from tests.backends.s3.conftest import Place
from vaultd import clock
from vaultd.backends.s3.backend import S3Backend
from vaultd.backends.trial import try_out
from vaultd.errors import ObjectExists, ObjectMissing, PlaceError

LOCK = {"lock_mode": "compliance", "lock_days": 7}


@pytest.mark.parametrize("mode", ["governance", "compliance"])
@pytest.mark.parametrize("size", [10, 6_000_000])
def test_a_locked_object_cannot_be_deleted_early(
    moto_place: Place, moto_client: Any, mode: str, size: int
) -> None:
    backend = S3Backend(moto_place(lock_mode=mode, lock_days=7, part_size=5 * 1024 * 1024))
    put(backend, "a", bytes(size))
    until = datetime.now(UTC) + timedelta(days=7)
    for _ in range(2):
        with pytest.raises(PlaceError, match="is locked until") as raised:
            backend.delete("a")
    assert f"{until:%Y-%m-%dT%H:}" in str(raised.value)
    assert backend.read("a") == bytes(size)
    found = moto_client.head_object(Bucket=backend.settings.bucket, Key="a")
    assert found["ObjectLockMode"] == mode.upper()
    assert "ObjectLockLegalHoldStatus" not in found
    with pytest.raises(ClientError, match="AccessDenied"):
        moto_client.delete_object(
            Bucket=backend.settings.bucket, Key="a", VersionId=found["VersionId"]
        )


def test_after_its_time_an_object_is_really_deleted(
    moto_place: Place, moto_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = S3Backend(moto_place(**LOCK))
    long_ago = clock.now() - timedelta(days=7) + timedelta(seconds=2)
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: long_ago)
        put(backend, "a", b"x")
    with pytest.raises(PlaceError, match="is locked until"):
        backend.delete("a")
    _wait_until(long_ago + timedelta(days=7))
    backend.delete("a")
    backend.delete("a")
    with pytest.raises(ObjectMissing):
        backend.read("a")
    versions = moto_client.list_object_versions(Bucket=backend.settings.bucket)
    assert not versions.get("Versions")
    assert not versions.get("DeleteMarkers")


def _wait_until(moment: datetime) -> None:
    import time

    time.sleep(max(0.0, (moment - clock.now()).total_seconds() + 0.2))


def test_nothing_locked_is_replaced(moto_place: Place) -> None:
    backend = S3Backend(moto_place(**LOCK))
    put(backend, "a", b"first")
    with pytest.raises(ObjectExists):
        put(backend, "a", b"second")
    assert backend.read("a") == b"first"


def test_the_probe_tries_the_lock_and_leaves_nothing(moto_place: Place, moto_client: Any) -> None:
    backend = S3Backend(moto_place(**LOCK))
    findings = {finding.what: finding for finding in backend.probe()}
    assert findings["object lock"].fine
    assert "cannot be deleted" in findings["object lock"].sentence
    versions = moto_client.list_object_versions(Bucket=backend.settings.bucket)
    assert not versions.get("Versions")
    assert not versions.get("DeleteMarkers")


def test_a_trial_locks_for_seconds_only_and_leaves_nothing(
    moto_place: Place, moto_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaultd.backends.s3.backend._TRIAL_LOCK", 3.0)
    backend = S3Backend(moto_place(**LOCK))
    finding = try_out(backend)
    assert finding.fine, finding.sentence
    versions = moto_client.list_object_versions(Bucket=backend.settings.bucket)
    assert not versions.get("Versions")
    assert not versions.get("DeleteMarkers")


def test_the_probe_says_that_a_bucket_cannot_lock(moto_place: Place) -> None:
    bucket = moto_place().bucket
    settings = moto_place(**LOCK)
    backend = S3Backend(type(settings)(**{**_fields(settings), "bucket": bucket}))
    findings = {finding.what: finding for finding in backend.probe()}
    assert not findings["object lock"].fine
    assert "Object Lock" in findings["object lock"].sentence
    assert names(backend) == []


def _fields(settings: Any) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def test_without_a_lock_deleted_versions_still_count_and_the_probe_says_so(
    moto_place: Place, moto_client: Any
) -> None:
    backend = S3Backend(moto_place())
    bucket = backend.settings.bucket
    moto_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put(backend, "a", b"first")
    backend.delete("a")
    assert names(backend) == []
    with pytest.raises(ObjectMissing):
        backend.read("a")
    put(backend, "a", b"second")
    findings = {finding.what: finding for finding in backend.probe()}
    assert not findings["deleted objects"].fine
    assert "still count" in findings["deleted objects"].sentence
    kept = moto_client.list_object_versions(Bucket=bucket)
    assert {version["Key"] for version in kept["Versions"]} == {"a"}
    moto_client.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "old", "Status": "Enabled", "Filter": {"Prefix": ""},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
                }
            ]
        },
    )  # fmt: skip
    findings = {finding.what: finding for finding in backend.probe()}
    assert findings["deleted objects"].fine


def test_a_storage_class_is_asked_for(moto_place: Place, moto_client: Any) -> None:
    backend = S3Backend(moto_place(storage_class="STANDARD_IA", part_size=5 * 1024 * 1024))
    put(backend, "small", b"x")
    backend.create("large", io.BytesIO(bytes(6_000_000)), 6_000_000)
    for name in ("small", "large"):
        found = moto_client.head_object(Bucket=backend.settings.bucket, Key=name)
        assert found["StorageClass"] == "STANDARD_IA"
