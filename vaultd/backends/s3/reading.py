"""Reading from S3: ranges of objects, and listings page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from vaultd.backends.base import MAX_NAME, NAME_PATTERN, ObjectInfo
from vaultd.backends.s3.client import Answer, S3Client
from vaultd.backends.s3.errors import OutOfRange
from vaultd.backends.transport.http_range import nothing_there, wanted_part
from vaultd.errors import ObjectMissing, PlaceBusy, PlaceError

_PAGE: Final = 1000  # keys; S3 gives no more in one answer
_MAX_WHOLE: Final = 1024 * 1024 * 1024
_MAX_EMPTY_PAGES: Final = 100
_PREFIX: Final = re.compile(r"([a-z0-9_-]+/)*[a-z0-9_-]*")


def read(client: S3Client, name: str, offset: int, length: int | None) -> bytes:
    """Return bytes of an object; see Backend.read."""
    key = client.settings.key(name)
    if length == 0:
        client.call("head_object", name, Key=key)
        return b""
    wanted = {}
    if offset or length is not None:
        wanted["Range"] = f"bytes={offset}-{'' if length is None else offset + length - 1}"
    try:
        answer = client.call("get_object", name, Key=key, **wanted)
    except OutOfRange:
        size = client.call("head_object", name, Key=key).number("ContentLength")
        return nothing_there(size, offset, client.settings.where)
    try:
        return _take(client, name, answer, offset, length)
    finally:
        answer.body.close()


def _take(client: S3Client, name: str, answer: Answer, offset: int, length: int | None) -> bytes:
    where, size = client.settings.where, answer.number("ContentLength")
    said = {"content-range": answer.text("ContentRange")}
    if size is not None:
        said["content-length"] = str(size)
    skip, wanted = wanted_part(answer.status or 0, said, offset, length, where)
    if length is None and wanted is not None and wanted > _MAX_WHOLE:
        raise _too_large(client, name)
    limit = _MAX_WHOLE + 1 if wanted is None else wanted
    taken, seen = bytearray(), 0
    while len(taken) < limit and (piece := answer.body.read(limit - len(taken) + skip)):
        seen += len(piece)
        taken += piece[skip:]
        skip = max(0, skip - len(piece))
    if seen == size:
        answer.body.read(1)  # at the end the connection goes back to the others
    if length is None and len(taken) > _MAX_WHOLE:
        raise _too_large(client, name)
    if wanted is not None and len(taken) < wanted:
        raise PlaceBusy(f"{where} broke off amid {name}.", unknown=False)
    return bytes(taken[:limit])


def _too_large(client: S3Client, name: str) -> PlaceError:
    return PlaceError(f"{name} in {client.settings.where} is too large to be read at once.")


def list_objects(client: S3Client, prefix: str) -> Iterator[ObjectInfo]:
    """Yield objects by name, one request for every 1,000 keys; see Backend.list.

    S3 lists in the order of the keys' UTF-8; a listing in another order is a PlaceError.
    """
    if not _PREFIX.fullmatch(prefix):
        return  # no legal name starts so
    start, last = len(client.settings.key("")), ""
    for entry in list_keys(client, client.settings.key(prefix)):
        name = entry.text("Key")[start:]
        size = entry.number("Size")
        if len(name) > MAX_NAME or not NAME_PATTERN.fullmatch(name):
            continue
        if size is None:
            raise PlaceError(f"{client.settings.where} does not tell how long {name} is.")
        if not name.startswith(prefix):
            raise PlaceError(f"{client.settings.where} lists what was not asked for.")
        if name < last:
            raise PlaceError(
                f"{client.settings.where} does not list by name, as S3 does.",
                hint="Directory buckets (S3 Express) cannot hold vaults.",
            )
        if name != last:
            last = name
            yield ObjectInfo(name, size)


def list_keys(client: S3Client, prefix: str) -> Iterator[Answer]:
    """Yield all entries whose key starts with `prefix`, legal names or not."""
    after: dict[str, object] = {}
    tokens: set[str] = set()
    last, empty = "", 0
    while True:
        page = _page(client, prefix, after)
        entries = page.parts("Contents")
        yield from entries
        if page.number("IsTruncated") != 1:
            return
        empty = 0 if entries else empty + 1
        new = page.text("NextContinuationToken")
        key = entries[-1].text("Key") if entries else ""
        stuck = new in tokens if new else key in ("", last)
        if stuck or empty > _MAX_EMPTY_PAGES:
            raise PlaceError(f"{client.settings.where} never ends its listing.")
        tokens.add(new)
        last = key or last
        # Some stores forget the token; the last key says the same.
        after = {"ContinuationToken": new} if new else {"StartAfter": key}


def _page(client: S3Client, prefix: str, after: dict[str, object]) -> Answer:
    try:
        page = client.call("list_objects_v2", Prefix=prefix, MaxKeys=_PAGE, **after)
    except ObjectMissing:
        raise PlaceError(
            f"There is no such bucket: {client.settings.where}.",
            hint="Make the bucket, or correct its name.",
        ) from None
    counted = page.number("KeyCount")
    if counted is not None and counted > len(page.parts("Contents")):
        raise PlaceError(
            f"{client.settings.where} gives only a part of a listing.",
            hint="Look into its log; something between may cut its answers.",
        )
    # A page that is no listing at all must not pass for an empty one.
    if page.number("IsTruncated") is None:
        raise PlaceError(
            f"{client.settings.where} does not answer as S3 does.",
            hint="Is the endpoint right, and is there no login page in between?",
        )
    return page
