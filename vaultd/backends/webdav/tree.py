"""Walking a WebDAV tree in the order of object names, a few collections asked for ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from vaultd.backends.base import MAX_NAME, NAME_PATTERN, ObjectInfo
from vaultd.backends.transport.folder_walk import MAX_FOLDERS
from vaultd.backends.webdav.listing import Entry
from vaultd.backends.webdav.verbs import WebdavVerbs
from vaultd.errors import PlaceError

_AHEAD: Final = 4

_Members = dict[str, Entry] | None


@dataclass(frozen=True, slots=True)
class Folder:
    """One collection: its name ("" is the root) and its members by their own names."""

    name: str
    members: dict[str, Entry]

    def full(self, member: str) -> str:
        """Return the whole name of a member."""
        return f"{self.name}/{member}" if self.name else member


def walk(verbs: WebdavVerbs, start: str, prefix: str = "") -> Iterator[Folder | ObjectInfo]:
    """Yield each folder at or below `start`, before the objects in it, objects sorted by name.

    Only folders that may hold names with `prefix`, and only objects that have it. The first item
    is the folder `start`; nothing comes where there is none. Raises PlaceError, also for a tree
    beyond all measure.
    """
    folders = 0
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="webdav-list") as pool:
        try:
            members = verbs.members(start)
            found = () if members is None else _walk(verbs, pool, Folder(start, members), prefix)
            for item in found:
                folders += isinstance(item, Folder)
                if folders > MAX_FOLDERS:
                    raise PlaceError(
                        f"{verbs.where} lists more than {MAX_FOLDERS:,} folders.",
                        hint="Give the vaults a folder of their own.",
                    )
                yield item
        finally:
            pool.shutdown(cancel_futures=True)


def _walk(
    verbs: WebdavVerbs, pool: ThreadPoolExecutor, folder: Folder, prefix: str
) -> Iterator[Folder | ObjectInfo]:
    yield folder
    # All below "b" sorts as "b/…": after "b-a", before "b_a".
    order = sorted(
        f"{name}/" if entry.collection else name
        for own, entry in folder.members.items()
        if len(name := folder.full(own)) <= MAX_NAME and NAME_PATTERN.fullmatch(name)
    )
    wanted = deque(key for key in order if key.startswith(prefix) or prefix.startswith(key))
    ahead: deque[Future[_Members]] = deque()
    below = deque(key for key in wanted if key.endswith("/"))
    for key in wanted:
        if not key.endswith("/"):
            if key.startswith(prefix):
                yield ObjectInfo(key, _size(folder, key, verbs.where))
            continue
        while below and len(ahead) < _AHEAD:
            ahead.append(pool.submit(verbs.members, below.popleft()[:-1]))
        members = ahead.popleft().result()
        if members is not None:  # else it was removed meanwhile
            yield from _walk(verbs, pool, Folder(key[:-1], members), prefix)


def _size(folder: Folder, name: str, where: str) -> int:
    size = folder.members[name.rpartition("/")[2]].size
    if size is None or size < 0:
        raise PlaceError(f"{where} does not tell how long {name} is.")
    return size
