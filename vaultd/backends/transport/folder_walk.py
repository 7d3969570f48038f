"""Walking a server's tree of folders in name order, with a few folders read ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from vaultd.backends.base import MAX_NAME, NAME_PATTERN, ObjectInfo
from vaultd.backends.transport.temporary_names import is_temporary
from vaultd.errors import PlaceError

MAX_FOLDERS: Final = 250_000
MAX_ENTRIES: Final = 5_000_000
_LONGEST: Final = MAX_NAME + 40  # a temporary in the deepest folder


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a folder's listing: a file of `size` bytes, or a folder (size None)."""

    name: str
    size: int | None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.size is None


@dataclass(slots=True)
class _Found:
    """A file, or a folder with the listing that is on its way."""

    name: str
    size: int | None
    listing: Future[Sequence[Entry] | None] | None = None

    @property
    def order(self) -> str:
        # What is in a folder sorts as `name/…`: after `name-a`, before `name0`.
        return self.name if self.size is not None else f"{self.name}/"


class FolderWalk:
    """One walk below a root, as `read_folder(name)` shows it ("" is the root).

    `read_folder` is called from up to `readers` threads, gives only entries of one legal part,
    or temporaries, and returns None for a folder that is not there. Raises PlaceError for a tree
    beyond all measure: a server that lists folders within folders without end, and for a folder
    that was listed and then is not there: what is in it would be missing in silence.
    """

    def __init__(
        self, read_folder: Callable[[str], Sequence[Entry] | None], *, readers: int
    ) -> None:
        self._read_folder = read_folder
        self._readers = readers
        self._folders = 0
        self._entries = 0

    def objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose name starts with `prefix`, sorted by name."""
        # Only the folder that the prefix names can hold matches.
        start = prefix.rpartition("/")[0]
        if len(prefix) > MAX_NAME or (start and not NAME_PATTERN.fullmatch(start)):
            return
        for found in self._depth_first(start, prefix):
            if NAME_PATTERN.fullmatch(found.name):
                yield ObjectInfo(found.name, found.size or 0)

    def temporaries(self) -> Iterator[str]:
        """Yield the names of all unfinished uploads."""
        for found in self._depth_first("", ""):
            if is_temporary(found.name.rpartition("/")[2]):
                yield found.name

    def _depth_first(self, start: str, prefix: str) -> Iterator[_Found]:
        pool = ThreadPoolExecutor(self._readers, thread_name_prefix="vaultd-list")
        try:
            stack = [_Found(start, None)]
            while stack:
                for ahead in stack[-2 * self._readers :]:
                    if ahead.size is None and ahead.listing is None:
                        ahead.listing = pool.submit(self._read_folder, ahead.name)
                found = stack.pop()
                if found.listing is None:
                    yield found
                else:
                    entries = found.listing.result()
                    if entries is None:
                        if found.name == start:
                            continue
                        raise PlaceError(
                            f"The folder {found.name} was listed, and then it was not there.",
                            hint="Was it removed just now? Run again.",
                        )
                    self._count(entries)
                    stack.extend(_children(found.name, entries, prefix))
        finally:
            pool.shutdown(cancel_futures=True)

    def _count(self, entries: Sequence[Entry]) -> None:
        self._folders += 1
        self._entries += len(entries)
        if self._folders > MAX_FOLDERS or self._entries > MAX_ENTRIES:
            raise PlaceError(
                f"The place lists more than {MAX_FOLDERS} folders or {MAX_ENTRIES} files.",
                hint="Give the vaults a folder of their own.",
            )


def _children(folder: str, entries: Sequence[Entry], prefix: str) -> list[_Found]:
    """Return what is in a folder and may match the prefix, last name first, each name once."""
    found = {
        (entry.name, entry.is_folder): _Found(
            f"{folder}/{entry.name}" if folder else entry.name, entry.size
        )
        for entry in entries
    }
    matching = [item for item in found.values() if _may_match(item, prefix)]
    return sorted(matching, key=lambda item: item.order, reverse=True)


def _may_match(item: _Found, prefix: str) -> bool:
    if item.size is None:
        legal = len(item.name) < MAX_NAME and NAME_PATTERN.fullmatch(item.name) is not None
        return legal and (item.order.startswith(prefix) or prefix.startswith(item.order))
    return len(item.name) <= _LONGEST and item.name.startswith(prefix)
