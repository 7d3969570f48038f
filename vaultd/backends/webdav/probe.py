"""What a WebDAV place really honours, one sentence each, and what killed uploads left there."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

import httpx

from vaultd.backends.base import Finding, ObjectInfo, Space
from vaultd.backends.transport.http_headers import header
from vaultd.backends.webdav.listing import http_date
from vaultd.backends.webdav.quirks import TEMPORARY, Manners
from vaultd.backends.webdav.reading import read_part
from vaultd.backends.webdav.tree import walk
from vaultd.backends.webdav.verbs import WebdavVerbs
from vaultd.errors import PlaceError, PlaceRefused

_STALE_SECONDS: Final = 86400
_CONTENT: Final = b"vaultd measures what this place honours; this may be deleted."
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
# Public links of Nextcloud and ownCloud: whoever has the link has what is in there.
_PUBLIC: Final = ("/public.php/", "/s/", "/dav/public-files/")


def refuse_public_link(url: httpx.URL, where: str) -> None:
    """Raise PlaceRefused for the address of a public share, a drop folder among them."""
    if any(part in f"{url.path}/" for part in _PUBLIC):
        raise PlaceRefused(
            f"{where} is a public link (perhaps a drop folder): what is dropped there cannot be "
            "listed, read back or renamed, or anybody with the link may delete it.",
            hint="Use an account's own folder, with an app password.",
        )


def probe(verbs: WebdavVerbs, manners: Manners, space: Space) -> Sequence[Finding]:
    """Put, rename, list, read and delete a temporary, and remove old ones. Raises PlaceError."""
    removed = _clean(verbs)
    return [*_tried(verbs, manners), _room(space), _transit(verbs.url("")), _leftovers(removed)]


def _tried(verbs: WebdavVerbs, manners: Manners) -> Iterator[Finding]:
    first, second = manners.new_temporary(), manners.new_temporary()
    try:
        verbs.put(verbs.url(first), _CONTENT, len(_CONTENT))
        verbs.move(
            verbs.url(first), verbs.url(second), path_only=manners.path_only, fine=(201, 204),
            harmless=True,
        )  # fmt: skip
        yield _replacing(manners)
        yield Finding(
            grave=False, what="parallel creators", fine=False, sentence=
            "of two that store the same name at the same moment both may be told that they won, "
            "as WebDAV promises no better; what is stored is always one whole object",
        )  # fmt: skip
        yield _listed(verbs, second)
        yield _ranges(verbs, second)
    finally:
        for name in (first, second):
            with suppress(PlaceError):
                verbs.delete(verbs.url(name))


def _replacing(manners: Manners) -> Finding:
    what = "create without replacing"
    if manners.keeps:
        return Finding(what, True, "an object that is there is never replaced")
    return Finding(
        what, True, "it would replace objects (Overwrite is ignored), so each upload asks first"
    )


def _listed(verbs: WebdavVerbs, name: str) -> Finding:
    members = verbs.members("") or {}
    if name not in members:
        raise PlaceRefused(
            f"{verbs.where} does not list what was just stored there.",
            hint="A drop folder takes uploads only; use a folder that may be read as well.",
        )
    if members[name].size != len(_CONTENT):
        return Finding("listing", False, "it lists objects without their right length")
    return Finding("listing", True, "what is stored is listed at once, with its length")


def _ranges(verbs: WebdavVerbs, name: str) -> Finding:
    with verbs.http.stream("GET", verbs.url(name), headers={"Range": "bytes=7-15"}) as response:
        status = response.status_code
        verbs.http.answer(response)
    if read_part(verbs, verbs.url(name), 7, 9) != _CONTENT[7:16]:
        raise PlaceError(f"{verbs.where} gives back other bytes than were stored.")
    if status == 206:
        return Finding("ranges", True, "a part of an object is read without the rest")
    return Finding(
        "ranges", False, "it always sends whole objects: restoring a part takes longer", grave=False
    )


def _room(space: Space) -> Finding:
    if space.free is None:
        return Finding("room", True, "it tells no quota: watch its room by other means")
    return Finding("room", True, f"{space.free} bytes are free")


def _transit(url: httpx.URL) -> Finding:
    if url.scheme == "https":
        return Finding("transport", True, "the connection is encrypted")
    if url.host in _LOOPBACK:
        return Finding("transport", True, "the connection does not leave this machine")
    return Finding(
        "transport", False,
        "the connection is not encrypted: others on the way see the password; use https",
    )  # fmt: skip


def _leftovers(removed: int) -> Finding:
    return Finding("leftovers", True, f"{removed} uploads broken off over a day ago were removed")


def _clean(verbs: WebdavVerbs) -> int:
    """Remove temporaries over a day old by the server's clock; returns how many."""
    old, removed = server_time(verbs) - _STALE_SECONDS, 0
    for folder in walk(verbs, ""):
        if isinstance(folder, ObjectInfo):
            continue
        for name, entry in folder.members.items():
            stale = entry.modified is not None and entry.modified < old
            if stale and not entry.collection and TEMPORARY.fullmatch(name):
                with suppress(PlaceError):  # it is tried again at the next probe
                    verbs.delete(verbs.url(folder.full(name)))
                    removed += 1
    return removed


def server_time(verbs: WebdavVerbs) -> float:
    """Return the seconds since 1970 by the server's clock, by ours where it does not tell."""
    answer = verbs.http.request(
        "OPTIONS", verbs.url("", collection=True), "be asked what it can",
        fine=(*range(200, 500), 500, 501), harmless=True,
    )  # fmt: skip
    return http_date(header(answer.headers, "date")) or time.time()
