"""Reading a part of a file by GET with Range, from servers that obey it and from others."""

from __future__ import annotations

from typing import Final

import httpx

from vaultd.backends.transport.http_range import nothing_there, size_beyond, wanted_part
from vaultd.backends.webdav.verbs import WebdavVerbs
from vaultd.errors import PlaceBusy

_LARGEST: Final = 1024**3
# 501: sabre/dav
_PERHAPS_FOLDER: Final = (301, 302, 307, 308, 403, 405, 409, 501)


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
            return _part(verbs, response, offset, length) if _is_file(verbs, url) else None
        answer = verbs.http.answer(response)
    if answer.status == 416:  # it begins beyond the end
        size = size_beyond(answer.headers)
        if size is None:
            entry = verbs.look(url)
            size = None if entry is None else entry.size
        return nothing_there(size, offset, verbs.where)
    if answer.status in (404, 410):
        return None
    if answer.status in _PERHAPS_FOLDER and not _is_file(verbs, url):
        return None
    raise verbs.http.refusal(answer, "read objects", harmless=True)


def _is_file(verbs: WebdavVerbs, url: httpx.URL) -> bool:
    entry = verbs.look(url)
    return entry is not None and not entry.collection


def _part(verbs: WebdavVerbs, response: httpx.Response, offset: int, length: int | None) -> bytes:
    status = response.status_code
    skip, wanted = wanted_part(status, response.headers, offset, length, verbs.where)
    known = wanted is not None and (length is not None or wanted <= _LARGEST)
    limit = skip + (wanted if known and wanted is not None else _LARGEST)
    place, taken = 0, bytearray()
    for piece in verbs.http.pieces(response, limit, cut=known):
        taken += piece[max(skip - place, 0) :]
        place += len(piece)
    if wanted is not None and len(taken) < wanted:
        raise PlaceBusy(f"{verbs.where} broke off amid an object.", unknown=False)
    return bytes(taken)
