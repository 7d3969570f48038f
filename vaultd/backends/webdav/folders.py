"""The collections that objects lie in: made once, remembered, made anew when they have gone."""

from __future__ import annotations

import threading
from typing import Final

import httpx

from vaultd.backends.webdav.verbs import WebdavVerbs
from vaultd.errors import PlaceError

_DONE: Final = (200, 201, 405)  # 405: it is there (RFC 4918 9.3.1)
_NO_PARENT: Final = (404, 409, 410)
_FORBIDDEN: Final = 403


class WebdavFolders:
    """Collections below the root of `verbs`; the root itself is made only with `create`."""

    def __init__(self, verbs: WebdavVerbs, *, create: bool) -> None:
        self._verbs, self._create = verbs, create
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._turns: dict[str, threading.Lock] = {}

    def make(self, folder: str) -> None:
        """Make a folder below the root and those above it, one request where only it is new.

        Several threads make several folders at once, and each folder once.
        """
        if not folder or folder in self._known:
            return
        with self._lock:
            turn = self._turns.setdefault(folder, threading.Lock())
        # Whoever holds a folder's turn waits only for those above it.
        with turn:
            if folder not in self._known:
                self._make(folder)
        with self._lock:
            self._turns.pop(folder, None)

    def saw(self, folder: str) -> None:
        """Remember that a listing showed this folder."""
        if folder:
            self._known.add(folder)

    def _make(self, folder: str) -> None:
        url = self._verbs.url(folder, collection=True)
        if self._mkcol(url) in _NO_PARENT:
            parent = folder.rpartition("/")[0]
            if not parent:
                self.check_root()
            self._known.discard(parent)
            self.make(parent)
            self._mkcol(url, fine=_DONE)
        self._known.add(folder)

    def _mkcol(self, url: httpx.URL, fine: tuple[int, ...] = (*_DONE, *_NO_PARENT)) -> int:
        answer = self._verbs.mkcol(url, fine=(*fine, _FORBIDDEN))
        if answer.status != _FORBIDDEN:
            return answer.status
        # Apache says so too where another process makes it at this moment.
        entry = self._verbs.look(url)
        if entry is None or not entry.collection:
            raise self._verbs.http.refusal(answer, "make folders", harmless=True)
        return 405

    def forget(self) -> None:
        """Take no folder for granted any more."""
        self._known.clear()

    def make_root(self) -> None:
        """Make the root and what is missing above it, or raise PlaceError where it may not."""
        if not self._create:
            raise self.no_root()
        self._make_all(self._verbs.url("", collection=True))

    def _make_all(self, url: httpx.URL) -> None:
        if self._mkcol(url) in _NO_PARENT:
            parent = url.raw_path.decode("ascii").rstrip("/").rpartition("/")[0]
            if not parent:
                raise self.no_root()
            self._make_all(url.copy_with(raw_path=f"{parent}/".encode("ascii")))
            self._mkcol(url, fine=_DONE)

    def check_root(self) -> None:
        """Raise PlaceError where the root is not there (or make it, with `create`).

        Without it nothing else is there, and that is no news about any object.
        """
        if self._verbs.look(self._verbs.url("", collection=True)) is None:
            self.make_root()

    def no_root(self) -> PlaceError:
        """Return the error of a root that is not there."""
        return PlaceError(
            f"The folder {self._verbs.where} is not there.",
            hint="Check its URL; `vaultd init` makes a new target's folder.",
        )
