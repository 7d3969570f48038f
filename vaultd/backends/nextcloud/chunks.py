"""Big files in parts: Nextcloud's chunked upload v2, which ownCloud 10's "new chunking" is too.

Rules (Nextcloud developer manual, "Chunked file upload"): MKCOL an upload folder, PUT parts named
1 … 10000 of 5 MB to 5 GB but for the last, each request with the `Destination`; MOVE `.file` to
the destination; DELETE the folder to give up. Names have five digits as older servers sort them
as text.
"""

from __future__ import annotations

import secrets
from contextlib import AbstractContextManager, suppress
from typing import Final

import httpx

from vaultd.backends.transport.sized_body import SizedBody
from vaultd.backends.webdav.probe import server_time
from vaultd.backends.webdav.verbs import WebdavVerbs, below
from vaultd.errors import PlaceBusy, PlaceError

SMALLEST_CHUNK: Final = 5 * 1000 * 1000
_MOST_CHUNKS: Final = 10_000
_PREFIX: Final = "vaultd-"
_STALE_SECONDS: Final = 86400
# A server joins the parts before it answers; seldom slower than this many bytes a second.
_JOINING: Final = 2 * 1024 * 1024


def upload_chunks(
    verbs: WebdavVerbs,
    uploads: httpx.URL,
    place: httpx.URL,
    body: SizedBody,
    chunk_size: int,
    *,
    path_only: bool,
    joining: AbstractContextManager[object],
) -> None:
    """Store a body at `place`, a temporary name, in parts. Raises PlaceError, and what it raises.

    The parts are removed again when it fails. `joining` is held while they are joined.
    """
    size = max(chunk_size, SMALLEST_CHUNK, -(-body.size // _MOST_CHUNKS))
    folder = below(uploads, f"{_PREFIX}{secrets.token_hex(16)}")
    destination = place.raw_path.decode("ascii") if path_only else str(place)
    headers = {"Destination": destination, "OC-Total-Length": str(body.size)}
    done = False
    try:
        verbs.mkcol(below(folder, "", collection=True), fine=(201,), headers=headers)
        number = 0
        while body.left:
            number += 1
            part = min(size, body.left)
            verbs.put(below(folder, f"{number:05}"), body.pieces(part), part, headers=headers)
        with joining:
            verbs.move(
                below(folder, ".file"), place, path_only=path_only, harmless=True,
                headers=headers,
                patience=verbs.http.settings.read_timeout + body.size / _JOINING,
            )  # fmt: skip
        joined = verbs.look(place)
        if joined is None or joined.size != body.size:
            raise PlaceBusy(f"{verbs.where} did not join the parts of an upload.", unknown=False)
        done = True
    finally:
        if not done:
            with suppress(PlaceError):  # the server itself removes it after a day
                verbs.delete(below(folder, "", collection=True), collection=True)


def clean_uploads(verbs: WebdavVerbs, uploads: httpx.URL) -> int | None:
    """Remove our uploads that stopped over a day ago; returns how many, None where they are not
    listed (Nextcloud 34 answers 405, and removes them itself)."""
    try:
        found = verbs.members_at(uploads.copy_with(raw_path=uploads.raw_path + b"/"))
    except PlaceBusy:
        raise
    except PlaceError:
        return None
    old = server_time(verbs) - _STALE_SECONDS
    removed = 0
    for name, entry in (found or {}).items():
        stale = entry.modified is not None and entry.modified < old
        if stale and name.removeprefix(_PREFIX).isalnum() and name.startswith(_PREFIX):
            with suppress(PlaceError):
                verbs.delete(below(uploads, name, collection=True), collection=True)
                removed += 1
    return removed
