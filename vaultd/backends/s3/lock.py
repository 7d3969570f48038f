"""Object Lock: a retention on each object at its creation; deletion only after it.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html. Legal holds are not used.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from vaultd import clock
from vaultd.backends.s3.client import Answer, S3Client
from vaultd.backends.s3.errors import S3Denied
from vaultd.backends.s3.settings import S3Settings
from vaultd.errors import ObjectLocked, ObjectMissing, PlaceBusy, PlaceError


def retention(settings: S3Settings) -> dict[str, object]:
    """Return the parameters that lock a new object, none where no lock is asked for."""
    if settings.lock_mode is None:
        return {}
    until = clock.now() + (settings.lock_period or timedelta(days=settings.lock_days))
    return {
        "ObjectLockMode": settings.lock_mode.upper(),
        "ObjectLockRetainUntilDate": until,
    }


def ensure_locked(client: S3Client, name: str) -> None:
    """Lock an object made by a multipart upload where the place forgot the lock of its start."""
    key = client.settings.key(name)
    found = client.call("head_object", name, Key=key)
    if locked_until(found) is not None:
        return
    wanted = retention(client.settings)
    version = found.text("VersionId")
    client.call(
        "put_object_retention",
        name,
        Key=key,
        Retention={
            "Mode": wanted["ObjectLockMode"],
            "RetainUntilDate": wanted["ObjectLockRetainUntilDate"],
        },
        **({"VersionId": version} if version else {}),
    )


def delete(client: S3Client, name: str) -> None:
    """Remove an object, an absent one is fine; raises PlaceError where it is locked.

    A bucket with locks keeps versions: a plain deletion would only hide the object, and "succeed"
    on a locked one. So there its retention is asked for first, and its version is deleted.
    """
    key = client.settings.key(name)
    if client.settings.lock_mode is None:
        _delete(client, name, Key=key)
        return
    try:
        found = client.call("head_object", name, Key=key)
    except ObjectMissing:
        return
    until = locked_until(found)
    if until is not None:
        raise _locked(client, name, until)
    version = found.text("VersionId")
    if version in ("", "null"):
        _delete(client, name, Key=key)
    else:
        _delete(client, name, Key=key, VersionId=version)


def _delete(client: S3Client, name: str, **parameters: object) -> None:
    try:
        client.call("delete_object", name, **parameters)
    except ObjectMissing:
        return  # some say so; S3 itself does not
    except PlaceBusy:
        if _is_there(client, name):
            raise
        # rclone says 500 where there is no object but a folder.
    except S3Denied:
        until = _known_lock(client, name)
        if until is None:
            raise
        raise _locked(client, name, until) from None


def _is_there(client: S3Client, name: str) -> bool:
    try:
        client.call("head_object", name, Key=client.settings.key(name))
    except ObjectMissing:
        return False
    return True


def _known_lock(client: S3Client, name: str) -> datetime | None:
    try:
        return locked_until(client.call("head_object", name, Key=client.settings.key(name)))
    except PlaceError:
        return None  # the refusal itself says more


def locked_until(found: Answer) -> datetime | None:
    """Return until when an object that `head_object` found is locked; None where it is not."""
    until = found.moment("ObjectLockRetainUntilDate")
    return until if until is not None and until > clock.now() else None


def _locked(client: S3Client, name: str, until: datetime) -> ObjectLocked:
    return ObjectLocked(
        f"{name} in {client.settings.where} is locked until {clock.rfc3339(until)}.",
        until=until,
        hint="A lock is not shortened; it can be deleted after that.",
    )
