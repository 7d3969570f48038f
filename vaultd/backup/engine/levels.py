"""Levels: which archives the next one takes over, so that a restore opens few of them.

After each archive every remaining one holds at least twice as many newest versions as all later
ones together: a point of n records stands on O(log n) archives. A record is written again only
into an archive at least half as large again, so O(log n) times. An oldest archive of which more
than half is superseded is taken over too: a vault's newest point stays below twice its content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from vaultd.state.vaults.points import StoredArchive

_RATIO: Final = 2
_MOST: Final = 64


def merged(live: Sequence[StoredArchive], sizes: Mapping[int, int]) -> frozenset[int]:
    """Return the sequences of the archives that the next archive takes over.

    `live` are the archives of the newest point, oldest first; `sizes` how many newest versions
    each holds. Archives found bad are always taken over.
    """
    taken = {archive.sequence for archive in live if archive.bad}
    sound = [archive for archive in live if not archive.bad]
    start = _start([sizes.get(a.sequence, 0) for a in sound], [a.records for a in sound])
    taken.update(archive.sequence for archive in sound[start:])
    return frozenset(taken)


def _start(sizes: Sequence[int], written: Sequence[int]) -> int:
    """Return the position from which all are taken over; the length for none."""
    if len(sizes) > _MOST or (sizes and sizes[0] * 2 < written[0]):
        return 0
    later = sum(sizes)
    for position, size in enumerate(sizes[:-1]):
        later -= size
        if size < _RATIO * later:
            return position
    return len(sizes)
