"""WebDAV (RFC 4918): a temporary name, PUT, MOVE without replacing, HEAD to confirm."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

import httpx

from vaultd.backends.base import NAME_PATTERN, Finding, ObjectInfo, Space, check_name
from vaultd.backends.transport.http import Answer, HttpSettings, place_url
from vaultd.backends.transport.http_headers import header
from vaultd.backends.transport.sized_body import SizedBody
from vaultd.backends.trial import Trial
from vaultd.backends.webdav.folders import WebdavFolders
from vaultd.backends.webdav.listing import Entry
from vaultd.backends.webdav.probe import probe, refuse_public_link
from vaultd.backends.webdav.quirks import ONLY_NEW, Manners, measure
from vaultd.backends.webdav.reading import read_part
from vaultd.backends.webdav.tree import walk
from vaultd.backends.webdav.verbs import WebdavVerbs
from vaultd.errors import ObjectExists, ObjectMissing, PlaceBusy, PlaceError

_SCHEMES: Final = {"http": "http", "https": "https", "webdav": "http", "webdavs": "https"}
# Read before the first request: then a login or a lost folder needs no second upload.
_SMALL: Final = 4 * 1024 * 1024
_GONE: Final = (404, 410)
_NO_FOLDER: Final = (*_GONE, 409, 500)  # 500: nginx


@dataclass(frozen=True, slots=True)
class WebdavSettings:
    """A collection's URL (`https`, `http`, `webdavs` or `webdav`), and the login; see HttpSettings.

    Timeouts are in seconds.
    """

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    digest: bool = False
    ca_file: Path | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0

    @property
    def http(self) -> HttpSettings:
        """The settings of the connection."""
        return HttpSettings(
            self.username, self.password, self.token, self.digest, self.ca_file,
            self.connect_timeout, self.read_timeout,
        )  # fmt: skip


class WebdavBackend:
    """Objects as files below one collection; each name part is a collection.

    An object is whole or absent, as it is renamed into place. Of two creators of one name at the
    same moment both may be told that they won: WebDAV has no compare-and-swap that servers keep.
    The collection is made only with `create`. `transport` replaces the connecting.
    """

    def __init__(
        self,
        settings: WebdavSettings,
        *,
        create: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        url = place_url(settings.url, _SCHEMES)
        self._begin(settings.http, _shown(url), url, create=create, transport=transport)

    def _begin(
        self,
        settings: HttpSettings,
        where: str,
        root: httpx.URL | None,
        *,
        create: bool,
        transport: httpx.BaseTransport | None,
        renaming: AbstractContextManager[object] | None = None,
        on_delete: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.where, self._renaming = where, renaming or nullcontext()
        self._known_root = root
        self._lock = threading.Lock()
        self._measured: Manners | None = None
        self.verbs = WebdavVerbs(
            settings, where, self.root, transport=transport, refusal=self._refusal,
            on_delete=on_delete,
        )  # fmt: skip
        self.folders = WebdavFolders(self.verbs, create=create)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.where})"

    def root(self) -> httpx.URL:
        """Return the URL of the collection of all objects, without a slash at its end."""
        if self._known_root is None:
            raise PlaceError(f"The address of {self.where} is not known.")
        return self._known_root

    def _refusal(self, _: Answer) -> PlaceError | None:
        """Return the error of an answer where this kind of server has words of its own."""
        return None

    def close(self) -> None:
        """Hang up."""
        self.verbs.http.close()

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object in PUT, MOVE and HEAD, or in PUT alone; see Backend.create."""
        check_name(name)
        body = SizedBody(data, size)
        small = body.whole() if size <= _SMALL else None
        manners = self.manners()
        if not manners.keeps and self.verbs.look(self.verbs.url(name)) is not None:
            raise self._exists(name)
        folder = name.rpartition("/")[0]
        self.folders.make(folder)
        if manners.direct and small is not None:
            self._store(name, body, small)
            return
        temporary = manners.new_temporary()
        place = self.verbs.url(f"{folder}/{temporary}" if folder else temporary)
        moved = False
        try:
            try:
                self._fill(name, place, body, small)
            except Exception:
                if body.failure is not None:  # not what the library makes of it
                    raise body.failure from None
                raise
            self._publish(place, name, body, small, path_only=manners.path_only)
            moved = True
        finally:
            if not moved:
                # What cannot be removed now is invisible, and removed by a later probe().
                with suppress(PlaceError):
                    self.verbs.delete(place)

    def manners(self) -> Manners:
        """Return how this server behaves; measured once. Raises PlaceError."""
        with self._lock:
            if self._measured is None:
                self._measured = measure(self.verbs, self.folders.make_root)
            return self._measured

    def _store(self, name: str, body: SizedBody, small: bytes) -> None:
        """Store a small object in one request, where the server vouches for what it got."""
        headers = {**ONLY_NEW, "X-Hash": "sha256", "OC-Checksum": f"SHA1:{_sha1(small)}"}
        url = self.verbs.url(name)
        fine = (200, 201, 204, *_NO_FOLDER, 412)
        answer = self.verbs.put(url, small, body.size, headers=headers, fine=fine, harmless=False)
        if answer.status == 412:
            raise self._exists(name)
        self._check_folder(answer, name, harmless=False)
        arrived = header(answer.headers, "x-hash-sha256").lower()
        if arrived == body.sha256:
            return
        if not arrived and self._stored(url, small) == body.size:
            return
        if answer.status == 201:  # it was made by us alone
            self.verbs.delete(url)
        raise self._damaged("other bytes than it was sent")

    def _check_folder(self, answer: Answer, name: str, *, harmless: bool) -> None:
        """Raise PlaceError for an answer to PUT that may mean: its folder is not there."""
        if answer.status not in _NO_FOLDER:
            return
        folder = self.verbs.url(name.rpartition("/")[0], collection=True)
        if answer.status == 500 and self.verbs.look(folder) is not None:
            raise self.verbs.http.refusal(answer, "store objects", harmless=harmless)
        self.folders.forget()
        raise PlaceBusy(f"A folder at {self.where} has gone or is none.", unknown=False)

    def _fill(self, name: str, place: httpx.URL, body: SizedBody, small: bytes | None) -> None:
        """Store the body of an object under a temporary name in the same folder."""
        headers = {"X-Hash": "sha256"}  # Nextcloud then says what it got
        content: bytes | Iterator[bytes]
        if small is None:
            if self.verbs.http.settings.digest:  # a login amid an upload would need it twice
                self.verbs.look(place)
            content = body.pieces(body.left)
        else:
            content = small
            headers["OC-Checksum"] = f"SHA1:{_sha1(small)}"  # ownCloud then compares
        fine = (200, 201, 204, *_NO_FOLDER)
        answer = self.verbs.put(place, content, body.size, headers=headers, fine=fine)
        self._check_folder(answer, name, harmless=True)
        arrived = header(answer.headers, "x-hash-sha256").lower()
        if arrived not in ("", body.sha256):
            raise self._damaged("other bytes than it was sent")

    def _damaged(self, what: str) -> PlaceBusy:
        return PlaceBusy(f"{self.where} stored {what}; they were thrown away.", unknown=False)

    def _publish(
        self, place: httpx.URL, name: str, body: SizedBody, small: bytes | None, *, path_only: bool
    ) -> None:
        target = self.verbs.url(name)
        fine = (201, 204, *_GONE, 409, 412, 423, 500, 502, 503)
        with self._renaming:
            answer = self.verbs.move(place, target, path_only=path_only, fine=fine)
        if answer.status == 412:
            raise self._exists(name)
        if answer.status not in (201, 204):
            raise self._not_moved(answer, place, name)
        try:
            stored = self._stored(target, small)
        except PlaceBusy as error:
            error.unknown = True  # it was renamed
            raise
        if stored == body.size:
            return
        if answer.status == 201:  # it was made by us alone
            self.verbs.delete(target)
        raise self._damaged("other bytes" if stored is None else f"{stored} bytes of {body.size}")

    def _stored(self, target: httpx.URL, small: bytes | None) -> int | None:
        """Return how many bytes lie there, None where they are surely others than `small`."""
        head = self.verbs.head(target)
        if head.status in _GONE:
            raise PlaceBusy(f"{self.where} does not show a new object yet.")
        if small is not None and not self._same(target, header(head.headers, "oc-checksum"), small):
            return None
        length = header(head.headers, "content-length")
        if head.status == 200 and length.isdecimal():
            return int(length)
        entry = self.verbs.look(target)
        return None if entry is None else entry.size

    def _same(self, target: httpx.URL, checksums: str, small: bytes) -> bool:
        """Tell whether a file is `small` by its checksums; where they differ, by reading it."""
        known = set(checksums.lower().replace(",", " ").split())  # "SHA1:… MD5:… ADLER32:…"
        known = {each for each in known if each.startswith("sha1:")}
        if len(known) > 1:
            return read_part(self.verbs, target, 0, None) == small
        return known <= {f"sha1:{_sha1(small)}"}

    def _exists(self, name: str) -> ObjectExists:
        return ObjectExists(f"{name} is already in {self.where}.")

    def _not_moved(self, answer: Answer, place: httpx.URL, name: str) -> PlaceError:
        """Return the error of a MOVE that failed, after a look at what it did."""
        failed = self.verbs.http.refusal(answer, "rename objects", harmless=False)
        if answer.status in (*_GONE, 409):
            self.folders.forget()
            failed = PlaceBusy(f"A folder or an upload at {self.where} has gone.")
        with suppress(PlaceError):
            if self.verbs.look(place) is None:
                return failed  # what became of it, a look cannot tell
            if self.verbs.look(self.verbs.url(name)) is not None:
                return self._exists(name)
            if isinstance(failed, PlaceBusy):
                failed.unknown = False
        return failed

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        found = read_part(self.verbs, self.verbs.url(check_name(name)), offset, length)
        if found is None:
            self.folders.check_root()
            raise ObjectMissing(f"{name} is not in {self.where}.")
        return found

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name, one PROPFIND a collection; see Backend.list."""
        # Only the folder that the prefix names can hold matches.
        start = prefix.rpartition("/")[0]
        if start and not NAME_PATTERN.fullmatch(start):
            return
        empty = True
        for item in walk(self.verbs, start, prefix):
            empty = False
            if isinstance(item, ObjectInfo):
                yield item
            else:
                self.folders.saw(item.name)
        if empty:
            self.folders.check_root()

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete. A folder of that name stays."""
        url = self.verbs.url(check_name(name))
        # Asked first, as DELETE of a folder removes all that is in it.
        entry = self.verbs.look(url)
        if entry is None:
            self.folders.check_root()
        elif not entry.collection:
            self.verbs.delete(url)

    def space(self) -> Space:
        """Return the quota (RFC 4331), where the server tells it."""
        root = self.verbs.url("", collection=True)
        try:
            entry = self.verbs.look(root, quota=True)
        except PlaceError:
            # Some refuse the question for the quota: then only that is not known.
            entry = self.verbs.look(root)
        if entry is None:
            self.folders.check_root()
            return Space(None, None)
        return quota_space(entry)

    def for_trial(self) -> Trial:
        """Return this place; what is larger is sent while it is read."""
        return Trial(self, _SMALL + 1)

    def probe(self) -> Sequence[Finding]:
        """Measure; see Backend.probe. Removes temporaries older than a day."""
        refuse_public_link(self.root(), self.where)
        return probe(self.verbs, self.manners(), self.space())


def quota_space(entry: Entry) -> Space:
    """Return the space that quota properties tell; negative ones are: unlimited or not known."""
    if entry.available is None or entry.available < 0:
        return Space(None, None)
    used = entry.used if entry.used is not None and entry.used > 0 else 0
    return Space(entry.available + used, entry.available)


def _sha1(data: bytes) -> str:
    # Not for security: the one kind of checksum that all ownClouds compare.
    return sha1(data, usedforsecurity=False).hexdigest()


def _shown(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path.rstrip('/')}"
