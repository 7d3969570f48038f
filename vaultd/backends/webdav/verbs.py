"""The verbs of WebDAV (RFC 4918) on names below one collection; one request each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, cast

import httpx
import webdav4.http  # type: ignore[import-untyped]

from vaultd.backends.transport.http import Answer, HttpConnection, HttpSettings
from vaultd.backends.transport.http_headers import header
from vaultd.backends.webdav.listing import (
    LISTING_BODY,
    QUESTION,
    QUOTA_QUESTION,
    Entry,
    children,
    decoded_path,
    elsewhere,
    parse,
)
from vaultd.errors import PlaceError

_GONE: Final = (404, 410)
_SLASH: Final = (301, 302, 307, 308)
_ONE_ENTRY: Final = 1024 * 1024
_XML: Final = {"Content-Type": "application/xml; charset=utf-8"}


class WebdavVerbs:
    """WebDAV below `root()`, a URL without a slash at its end, asked for at each request;
    `on_delete` are more headers of each DELETE.

    Names are paths below it with characters that need no escape; "" is the root itself. Depth and
    Content-Length are always given, as Apache wants the one and oCIS the other.
    """

    def __init__(
        self,
        settings: HttpSettings,
        where: str,
        root: Callable[[], httpx.URL],
        *,
        transport: httpx.BaseTransport | None = None,
        refusal: Callable[[Answer], PlaceError | None] = lambda _: None,
        on_delete: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.where, self._root, self._on_delete = where, root, on_delete
        client = cast("type[httpx.Client]", webdav4.http.Client)
        self.http = HttpConnection(
            settings, where, kind=client, transport=transport, refusal=refusal
        )

    def url(self, name: str, *, collection: bool = False) -> httpx.URL:
        """Return the URL of a name; a collection's ends with a slash."""
        root = self._root()
        return below(root, name, collection=collection)

    def put(
        self,
        url: httpx.URL,
        body: bytes | Iterator[bytes],
        size: int,
        *,
        headers: Mapping[str, str] | None = None,
        fine: tuple[int, ...] = (200, 201, 204),
        harmless: bool = True,
    ) -> Answer:
        """Store a body, `harmless` under a temporary name. Raises PlaceError, and what the body
        raises."""
        given = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        return self.http.request(
            "PUT", url, "store objects", fine=fine, headers={**given, **(headers or {})},
            body=body, harmless=harmless,
        )  # fmt: skip

    def move(
        self,
        source: httpx.URL,
        target: httpx.URL,
        *,
        path_only: bool = False,
        fine: tuple[int, ...] = (201, 204),
        headers: Mapping[str, str] | None = None,
        harmless: bool = False,
        patience: float | None = None,
    ) -> Answer:
        """Rename without replacing (`Overwrite: F`); the target as a whole URL or a path only."""
        destination = target.raw_path.decode("ascii") if path_only else str(target)
        given = {"Destination": destination, "Overwrite": "F", "Depth": "infinity"}
        return self.http.request(
            "MOVE", source, "rename objects", fine=fine, headers={**given, **(headers or {})},
            harmless=harmless, patience=patience,
        )  # fmt: skip

    def mkcol(
        self, url: httpx.URL, *, fine: tuple[int, ...], headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make a collection; 405 is: it is there, 404 or 409: its parent is not."""
        return self.http.request(
            "MKCOL", url, "make folders", fine=fine, headers=headers, harmless=True
        )

    def delete(self, url: httpx.URL, *, collection: bool = False) -> None:
        """Remove a resource; an absent one is fine. A collection goes with all that is in it."""
        headers = {**self._on_delete, **({"Depth": "infinity"} if collection else {})}
        self.http.request(
            "DELETE", url, "delete objects", fine=(200, 202, 204, 404, 410), headers=headers
        )

    def head(self, url: httpx.URL) -> Answer:
        """Return the headers of a file: 200, 204, 404 or 410; 405 or 501 where HEAD is refused."""
        return self.http.request(
            "HEAD", url, "show objects", fine=(200, 204, 404, 405, 410, 501), harmless=True
        )

    def look(self, url: httpx.URL, *, quota: bool = False) -> Entry | None:
        """Return what a resource is, or None where there is nothing (Depth 0)."""
        path = decoded_path(url.raw_path.decode("ascii"))
        question = QUOTA_QUESTION if quota else QUESTION
        with self._propfind(url, "0", question, _ONE_ENTRY) as found:
            entries = found if isinstance(found, Answer) else list(found)
        if isinstance(entries, Answer):
            if entries.status in _GONE:
                return None
            to = header(entries.headers, "location")
            if entries.status in _SLASH and to.endswith("/"):  # Apache's mod_dir
                to = decoded_path(to)
                if to == path:
                    return Entry(path, collection=True)
            # Apache says so of what would lie below a file.
            if entries.status == 400 and self.head(url).status in _GONE:
                return None
            raise self.http.refusal(entries, "list objects", harmless=True)
        for entry in entries:
            if entry.path == path:
                return None if entry.status in _GONE else entry
        raise elsewhere(self.where)

    def members(self, name: str) -> dict[str, Entry] | None:
        """Return the direct members of a collection by name; None where there is none (Depth 1)."""
        return self.members_at(self.url(name, collection=True))

    def members_at(self, url: httpx.URL) -> dict[str, Entry] | None:
        """Return the same of a collection by its URL, which ends with a slash."""
        path = decoded_path(url.raw_path.decode("ascii"))
        with self._propfind(url, "1", QUESTION, LISTING_BODY) as found:
            if not isinstance(found, Answer):
                return children(found, path, self.where)
        if found.status in _GONE:
            return None
        if found.status in (400, 405, 409):  # Apache says so of a file with a slash
            entry = self.look(url.copy_with(raw_path=url.raw_path.rstrip(b"/") or b"/"))
            if entry is None or not entry.collection:
                return None
        raise self.http.refusal(found, "list objects", harmless=True)

    @contextmanager
    def _propfind(
        self, url: httpx.URL, depth: str, question: bytes, limit: int
    ) -> Iterator[Iterator[Entry] | Answer]:
        """Give the entries of a 207 answer, or any other answer."""
        headers = {"Depth": depth, **_XML}
        with self.http.stream("PROPFIND", url, headers=headers, body=question) as response:
            if response.status_code == 207:
                raw = url.raw_path.decode("ascii")  # a file's relative path begins at its folder
                base = decoded_path(raw if raw.endswith("/") else raw.rpartition("/")[0])
                yield parse(self.http.pieces(response, limit), self.where, base)
            else:
                yield self.http.answer(response)


def below(root: httpx.URL, name: str, *, collection: bool = False) -> httpx.URL:
    """Return the URL of a name (already escaped) below a root, both without slash at the end."""
    raw = root.raw_path.decode("ascii").rstrip("/")
    path = f"{raw}/{name}" if name else raw
    return root.copy_with(raw_path=(path + "/" if collection or not path else path).encode("ascii"))
