"""The listing of a Dropbox folder with all that is below it, in pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vaultd.backends.base import MAX_NAME, NAME_PATTERN, ObjectInfo
from vaultd.backends.dropbox.api import DropboxApi, Entry, Page
from vaultd.errors import PlaceError

_PAGE: Final = 2000  # the most that Dropbox gives
_FREE_PAGES: Final = 1000
_PER_PAGE: Final = 10
_MAX_OBJECTS: Final = 5_000_000
_DOING: Final = "list objects"
_ABSENT: Final = frozenset({"not_found", "not_folder"})


class _AbsentError(PlaceError):
    """The folder is not there; Dropbox makes it at the first upload into it."""


def objects(api: DropboxApi, root: str, start: str, prefix: str) -> list[ObjectInfo]:
    """Return the objects below `root`/`start` whose names start with `prefix`, sorted by name.

    Pages may also tell what changed since the first one, so the last word about a path counts:
    https://www.dropbox.com/developers/documentation/http/documentation#files-list_folder
    Raises PlaceError, also for a listing without end.
    """
    found: dict[str, tuple[int, int]] = {}  # size, and its number in the listing
    removed: dict[str, int] = {}
    depth = root.count("/") + 1  # by parts, as Dropbox has its own idea of lower case
    for number, entry in enumerate(entries(api, f"{root}/{start}" if start else root, deep=True)):
        name = "/".join((entry.path_lower or "").split("/")[depth:])
        found.pop(name, None)
        if entry.tag == "deleted":
            removed[name] = number
        elif entry.tag == "file" and name.startswith(prefix) and _is_object(name, entry.name):
            found[name] = (entry.size, number)
        if len(found) + len(removed) > _MAX_OBJECTS:
            raise PlaceError(f"{api.http.settings.where} lists over {_MAX_OBJECTS} objects.")
    return [
        ObjectInfo(name, size)
        for name, (size, number) in sorted(found.items())
        if not removed or not _gone(name, number, removed)
    ]


def _is_object(name: str, shown: str) -> bool:
    # A file README of somebody else has the lower-case path readme.
    last = name.rpartition("/")[2]
    return shown == last and len(name) <= MAX_NAME and NAME_PATTERN.fullmatch(name) is not None


def _gone(name: str, number: int, removed: dict[str, int]) -> bool:
    """Tell whether a folder above was removed after the object was listed."""
    above = name
    while above:
        above = above.rpartition("/")[0]
        if removed.get(above, -1) > number:
            return True
    return False


def entries(api: DropboxApi, path: str, *, deep: bool) -> Iterator[Entry]:
    """Yield what is in a folder, with `deep` also below it; nothing where there is none.

    Raises PlaceError.
    """

    def absent(tags: tuple[str, ...]) -> PlaceError | None:
        return _AbsentError("") if _ABSENT.intersection(tags) else None

    argument = {"path": path, "recursive": deep, "limit": _PAGE}
    try:
        page = api.rpc("files/list_folder", argument, Page, _DOING, special=absent)
    except _AbsentError:
        return
    pages = seen = 0
    while True:
        yield from page.entries
        pages += 1
        seen += len(page.entries)
        if not page.has_more:
            return
        # Some pages may be empty, but a server that never ends must not hold us for ever.
        if pages > _FREE_PAGES + seen / _PER_PAGE:
            raise PlaceError(f"{api.http.settings.where} lists without end.")
        page = api.rpc("files/list_folder/continue", {"cursor": page.cursor}, Page, _DOING)
