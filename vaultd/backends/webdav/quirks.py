"""How a WebDAV server behaves where the standard leaves room or servers leave the standard."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import httpx

from vaultd.backends.transport.http_headers import header
from vaultd.backends.webdav.verbs import WebdavVerbs
from vaultd.errors import PlaceError

# A dot never occurs in a legal name.
# The first is listed everywhere; nginx leaves names that start with a dot out of its listings.
_LISTED, _DOT_FIRST = "tmp-{}.tmp", ".tmp-{}"
TEMPORARY: Final = re.compile(r"\.tmp-[0-9a-f]{16}|tmp-[0-9a-f]{16}\.tmp")
# nginx answers 500 where the folder is missing.
_NO_ROOT: Final = (404, 409, 410, 500)
ONLY_NEW: Final = {"If-None-Match": "*"}
_FIRST: Final = b"first"
_FIRST_HASH: Final = sha256(_FIRST).hexdigest()
_REFUSED_NAME: Final = (400, 403, 404, 405, 406, 409, 415, 422)
_REFUSED_DESTINATION: Final = (400, 403, 404, 502)


@dataclass(frozen=True, slots=True)
class Manners:
    """What was measured: the pattern of temporary names, whether MOVE wants a `Destination` that
    is only a path (behind a proxy that ends TLS), whether `Overwrite: F` is obeyed, and whether PUT
    obeys `If-None-Match: *` and vouches for what it got (`direct`): then one request stores a
    small object. Only Nextcloud vouches, and it shows a file when it has all of it; with others an
    upload that breaks off may leave half a file under its name (WsgiDAV does)."""

    temporary: str
    path_only: bool
    keeps: bool
    direct: bool

    def new_temporary(self) -> str:
        """Return a temporary name nobody else has."""
        return self.temporary.format(secrets.token_hex(8))


def measure(verbs: WebdavVerbs, made: Callable[[], None]) -> Manners:
    """Ask the root for its manners, with two small temporaries that are removed again.

    `made` is called where the root seems to be missing, and makes it or raises. Raises PlaceError.
    """
    pattern, first, vouched = _put_somewhere(verbs, made)
    second = verbs.url(pattern.format(secrets.token_hex(8)))
    try:
        direct = vouched and _obeys(verbs, first)
        verbs.put(second, b"second", 6)
        fine = (201, 204, 412)
        answer = verbs.move(second, first, fine=(*fine, *_REFUSED_DESTINATION), harmless=True)
        path_only = answer.status in _REFUSED_DESTINATION
        if path_only:
            answer = verbs.move(second, first, path_only=True, fine=fine, harmless=True)
        return Manners(pattern, path_only, answer.status == 412, direct)
    finally:
        for url in (first, second):
            with suppress(PlaceError):  # a later probe() removes it
                verbs.delete(url)


def _put_somewhere(verbs: WebdavVerbs, made: Callable[[], None]) -> tuple[str, httpx.URL, bool]:
    """Store a temporary; returns its pattern, its URL, and whether the server vouched for it."""
    root_asked = False
    for pattern in (_LISTED, _DOT_FIRST):
        url = verbs.url(pattern.format(secrets.token_hex(8)))
        fine = (200, 201, 204, *_REFUSED_NAME, *_NO_ROOT)
        headers = {"X-Hash": "sha256", **ONLY_NEW}
        answer = verbs.put(url, _FIRST, len(_FIRST), headers=headers, fine=fine)
        if answer.status in _NO_ROOT and not root_asked:
            root_asked = True
            if verbs.look(verbs.url("", collection=True)) is None:
                made()
                answer = verbs.put(url, _FIRST, len(_FIRST), headers=headers, fine=fine)
        if answer.status in (200, 201, 204):
            return pattern, url, header(answer.headers, "x-hash-sha256").lower() == _FIRST_HASH
    raise verbs.http.refusal(answer, "store objects", harmless=True)


def _obeys(verbs: WebdavVerbs, first: httpx.URL) -> bool:
    """Tell whether a PUT that may only make new files leaves one alone that is there."""
    return verbs.put(first, b"other", 5, headers=ONLY_NEW, fine=(200, 201, 204, 412)).status == 412
