"""Versions and locks of an S3 bucket, measured."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from vaultd.backends.base import Finding
from vaultd.backends.s3.client import S3Client
from vaultd.backends.s3.errors import S3Denied, S3Refusal
from vaultd.backends.s3.leftovers import PROBE
from vaultd.backends.s3.upload import digests, new_object
from vaultd.errors import PlaceError

_LOCKED_SECONDS: Final = 5  # what the probe stores is locked so long, and then removed
_BODY: Final = b"vaultd-probe, locked for some seconds\n"


def measure(client: S3Client) -> Sequence[Finding]:
    """Return what the bucket does with deleted and with locked objects."""
    locked = client.settings.lock_mode is not None
    findings = [] if locked else [_versions(client)]
    return [*findings, _lock(client)] if locked else findings


def _versions(client: S3Client) -> Finding:
    what = "deleted objects"
    try:
        kept = client.call("get_bucket_versioning").text("Status") == "Enabled"
    except PlaceError:
        return Finding(what, True, "It does not tell whether it keeps what is deleted.")
    if not kept:
        return Finding(what, True, "What is deleted is gone, and its room is free.")
    if _expires(client):
        sentence = "It keeps versions: deleted ones still count until its lifecycle rule ends them."
        return Finding(what, True, sentence)
    sentence = (
        "It keeps versions: deleted ones still count and cost. Add a lifecycle rule that ends "
        "versions that are not current, or switch versioning off."
    )
    return Finding(what, False, sentence, grave=False)


def _expires(client: S3Client) -> bool:
    try:
        rules = client.call("get_bucket_lifecycle_configuration").parts("Rules")
    except PlaceError:
        return False
    return any(
        rule.text("Status") == "Enabled" and rule.parts("NoncurrentVersionExpiration")
        for rule in rules
    )


def _lock(client: S3Client) -> Finding:
    """Lock an object for some seconds, try to delete it, and delete it after that."""
    what = "object lock"
    settings = client.settings
    key = settings.key(f"{PROBE}{secrets.token_hex(8)}")
    until = client.server_time() + timedelta(seconds=_LOCKED_SECONDS)
    try:
        stored = client.call(
            "put_object", key, Key=key, Body=_BODY,
            **{**new_object(settings), "ObjectLockRetainUntilDate": until},
            **digests(settings, _BODY),
        )  # fmt: skip
    except S3Refusal as error:
        sentence = (
            f"Locks are refused ({error.error_code}): the bucket must be made with Object Lock."
        )
        return Finding(what, False, sentence)
    version = stored.text("VersionId")
    if version in ("", "null"):
        with suppress(PlaceError):
            client.call("delete_object", key, Key=key)
        sentence = (
            "The bucket keeps no versions, so nothing can be locked: make it with Object Lock."
        )
        return Finding(what, False, sentence)
    try:
        client.call("delete_object", key, Key=key, VersionId=version)
    except (S3Denied, S3Refusal):
        gone = _delete_later(client, key, version, until)
        left = "" if gone else f" (The key {key} stays behind, delete it later.)"
        return Finding(
            what, True, f"What is locked ({settings.lock_mode}) cannot be deleted.{left}"
        )
    return Finding(what, False, "What is locked can be deleted all the same: locks mean nothing.")


def _delete_later(client: S3Client, key: str, version: str, until: datetime) -> bool:
    for _ in range(4):
        left = (until - client.server_time()).total_seconds()
        time.sleep(min(max(left + 1, 0.5), _LOCKED_SECONDS + 1))
        with suppress(S3Denied, S3Refusal):
            client.call("delete_object", key, Key=key, VersionId=version)
            return True
    return False
