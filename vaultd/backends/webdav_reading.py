"""Reading a part of a file by GET with Range, from servers that obey it and from others."""

from __future__ import annotations

import re
from typing import Final

import httpx

from vaultd.backends.webdav_verbs import WebdavVerbs
from vaultd.errors import PlaceBusy, PlaceError

_LARGEST: Final = 1024**3
_RANGE: Final = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(?:\d{1,19}|\*)")
_PERHAPS_FOLDER: Final = (301, 302, 307, 308, 403, 405, 409)


def read_part(verbs: WebdavVerbs, url: httpx.URL, offset: int, length: int | None) -> bytes | None:
    """Return bytes `offset … offset+length` (to the end if None), or None where there is no file.

    At most 1 GiB. Raises PlaceError, PlaceBusy for an answer that was cut off.
    """
    if length == 0:
        return b"" if _is_file(verbs, url) else None
    end = "" if length is None else str(offset + length - 1)
    # Asked for a range even of the whole: who answers 200 may be showing a folder.
    headers = {"Range": f"bytes={offset}-{end}"}
    with verbs.http.stream("GET", url, headers=headers) as response:
        if response.status_code == 206:
            return _part(verbs, response, offset, length)
        if response.status_code == 200:
            if not _is_file(verbs, url):
                return None
            return _take(verbs, response, None if length is None else offset + length, offset)
        answer = verbs.http.answer(response)
    if answer.status == 416:  # it begins beyond the end
        return b""
    if answer.status in (404, 410):
        return None
    if answer.status in _PERHAPS_FOLDER and not _is_file(verbs, url):
        return None
    raise verbs.http.refusal(answer, "read objects", harmless=True)


def _is_file(verbs: WebdavVerbs, url: httpx.URL) -> bool:
    entry = verbs.look(url)
    return entry is not None and not entry.collection


def _part(verbs: WebdavVerbs, response: httpx.Response, offset: int, length: int | None) -> bytes:
    found = _RANGE.fullmatch(response.headers.get("content-range", ""))
    if found is None or int(found[1]) != offset:
        raise PlaceError(f"{verbs.where} gives another part of an object than asked for.")
    promised = int(found[2]) - offset + 1
    wanted = promised if length is None else min(length, promised)
    taken = _take(verbs, response, wanted)
    if len(taken) < wanted:
        raise PlaceBusy(f"{verbs.where} broke off amid an object.", unknown=False)
    return taken


def _take(verbs: WebdavVerbs, response: httpx.Response, end: int | None, offset: int = 0) -> bytes:
    """Return the body from `offset` to `end`, what comes before or after thrown away."""
    limit = offset + _LARGEST if end is None else end
    place, taken = 0, bytearray()
    for piece in verbs.http.pieces(response, limit, cut=end is not None):
        taken += piece[max(offset - place, 0) :]
        place += len(piece)
    return bytes(taken)
