"""What killed uploads and probes leave on S3: invisible in listings, but it is stored and paid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Final

from vaultd.backends.base import Finding
from vaultd.backends.s3.client import Answer, S3Client
from vaultd.backends.s3.errors import NoSuchUpload
from vaultd.backends.s3.reading import list_keys
from vaultd.errors import ObjectMissing, PlaceError

PROBE: Final = ".vaultd-probe-"
_STALE: Final = timedelta(days=1)
_WHAT: Final = "unfinished uploads"
_MAX_PAGES: Final = 1000


def remove(client: S3Client) -> Finding:
    """Abort uploads and delete probes of over a day ago, by the server's clock."""
    try:
        uploads = list(_uploads(client))
    except PlaceError:  # it may refuse in any way what it does not know
        sentence = "It does not list them; let a rule of the bucket remove old ones."
        return Finding(_WHAT, True, sentence)
    old = client.server_time() - _STALE
    removed = kept = 0
    for upload in uploads:
        started = upload.moment("Initiated")
        if started is None or started > old:
            continue
        if _may_be_stored(client, upload):
            kept += 1
            continue
        with suppress(NoSuchUpload, ObjectMissing):
            _abort(client, upload)
            removed += 1
    for entry in list(list_keys(client, client.settings.key(PROBE))):
        stored = entry.moment("LastModified")
        if stored is not None and stored < old:
            client.call("delete_object", Key=entry.text("Key"))
    if kept:
        sentence = (
            f"{removed} old ones are removed; {kept} stay, as an object may need their parts."
        )
    elif removed:
        sentence = f"{removed} old ones are removed."
    else:
        sentence = "There are no old ones."
    return Finding(_WHAT, True, sentence)


def _uploads(client: S3Client) -> Iterator[Answer]:
    """Yield all uploads below the prefix."""
    prefix = client.settings.key("")
    after: dict[str, object] = {}
    for _ in range(_MAX_PAGES):
        page = client.call("list_multipart_uploads", Prefix=prefix, **after)
        yield from (each for each in page.parts("Uploads") if each.text("Key").startswith(prefix))
        key, upload = page.text("NextKeyMarker"), page.text("NextUploadIdMarker")
        following: dict[str, object] = {"KeyMarker": key, "UploadIdMarker": upload}
        if page.number("IsTruncated") != 1 or not key or following == after:
            return
        after = following


def _may_be_stored(client: S3Client, upload: Answer) -> bool:
    """Return whether the object that is there may consist of this upload's parts.

    Swift keeps an upload's record for a moment after its completion, for ever if killed then; an
    abort takes the parts from the object. An object's ETag is made of its parts' ETags.
    """
    key = upload.text("Key")
    try:
        etag = client.call("head_object", key, Key=key).text("ETag").strip('"')
        parts = [part.text("ETag").strip('"') for part in _parts(client, upload)]
    except (ObjectMissing, NoSuchUpload):
        return False
    try:
        joined = b"".join(bytes.fromhex(part) for part in parts)
    except ValueError:
        return False
    whole = hashlib.md5(joined, usedforsecurity=False).hexdigest()
    return etag == f"{whole}-{len(parts)}"


def _parts(client: S3Client, upload: Answer) -> Iterator[Answer]:
    key, after = upload.text("Key"), 0
    while True:
        page = client.call(
            "list_parts", key, Key=key, UploadId=upload.text("UploadId"), PartNumberMarker=after
        )
        yield from page.parts("Parts")
        following = page.number("NextPartNumberMarker") or 0
        if page.number("IsTruncated") != 1 or following <= after:
            return
        after = following


def _abort(client: S3Client, upload: Answer) -> None:
    key = upload.text("Key")
    client.call("abort_multipart_upload", key, Key=key, UploadId=upload.text("UploadId"))
