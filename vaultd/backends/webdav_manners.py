"""How a WebDAV server behaves where the standard leaves room or servers leave the standard."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpx

from vaultd.backends.webdav_verbs import WebdavVerbs
from vaultd.errors import PlaceError

# A dot never occurs in a legal name; some servers hide or forbid names that start with one.
_DOT_FIRST, _DOT_LATER = ".tmp-{}", "tmp-{}.tmp"
TEMPORARY: Final = re.compile(r"\.tmp-[0-9a-f]{16}|tmp-[0-9a-f]{16}\.tmp")
_REFUSED_NAME: Final = (400, 403, 404, 405, 406, 409, 415, 422)
_REFUSED_DESTINATION: Final = (400, 403, 404, 502)


@dataclass(frozen=True, slots=True)
class Manners:
    """What was measured: the pattern of temporary names, whether MOVE wants a `Destination` that
    is only a path (behind a proxy that ends TLS), and whether `Overwrite: F` is obeyed."""

    temporary: str
    path_only: bool
    keeps: bool

    def new_temporary(self) -> str:
        """Return a temporary name nobody else has."""
        return self.temporary.format(secrets.token_hex(8))


def measure(verbs: WebdavVerbs, made: Callable[[], None]) -> Manners:
    """Ask the root for its manners, with two small temporaries that are removed again.

    `made` is called where the root seems to be missing, and makes it or raises. Raises PlaceError.
    """
    pattern, first = _put_somewhere(verbs, made)
    second = verbs.url(pattern.format(secrets.token_hex(8)))
    try:
        verbs.put(second, b"second", 6)
        fine = (201, 204, 412)
        answer = verbs.move(second, first, fine=(*fine, *_REFUSED_DESTINATION), harmless=True)
        path_only = answer.status in _REFUSED_DESTINATION
        if path_only:
            answer = verbs.move(second, first, path_only=True, fine=fine, harmless=True)
        return Manners(pattern, path_only, answer.status == 412)
    finally:
        for url in (first, second):
            with suppress(PlaceError):  # a later probe() removes it
                verbs.delete(url)


def _put_somewhere(verbs: WebdavVerbs, made: Callable[[], None]) -> tuple[str, httpx.URL]:
    root_asked = False
    for pattern in (_DOT_FIRST, _DOT_LATER):
        url = verbs.url(pattern.format(secrets.token_hex(8)))
        fine = (200, 201, 204, *_REFUSED_NAME)
        answer = verbs.put(url, b"first", 5, fine=fine)
        if answer.status in (404, 409) and not root_asked:
            root_asked = True
            made()
            answer = verbs.put(url, b"first", 5, fine=fine)
        if answer.status not in _REFUSED_NAME:
            return pattern, url
    raise verbs.http.refusal(answer, "store objects", harmless=True)
