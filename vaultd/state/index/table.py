"""A hash table of 64-bit keys in two flat arrays: about 20 bytes a key, where a dict takes 100.

Keys are keyed hashes already, so their low bits place them well.
"""

from __future__ import annotations

from array import array
from typing import Final

_EMPTY: Final = array("I", [0])


class KeyTable:
    """Gives each key its position, 0, 1, 2 …, in the order they were added."""

    __slots__ = ("_mask", "_slots", "keys")

    def __init__(self, keys: array[int] | None = None) -> None:
        self.keys: array[int] = array("Q") if keys is None else keys
        self._mask = 0
        self._slots: array[int] = _EMPTY
        self._rebuild()

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, key: int) -> int:
        """Return the key's position, or -1."""
        keys, slots, mask = self.keys, self._slots, self._mask
        slot = key & mask
        while position := slots[slot]:
            if keys[position - 1] == key:
                return position - 1
            slot = (slot + 1) & mask
        return -1

    def add(self, key: int) -> int:
        """Add a key that `find` did not find; return its position."""
        self.keys.append(key)
        if len(self.keys) * 3 > len(self._slots) * 2:
            self._rebuild()
        else:
            self._place(key, len(self.keys))
        return len(self.keys) - 1

    def _place(self, key: int, position: int) -> None:
        slot = key & self._mask
        while self._slots[slot]:
            slot = (slot + 1) & self._mask
        self._slots[slot] = position

    def _rebuild(self) -> None:
        size = 16
        while size < len(self.keys) * 2:
            size *= 2
        self._slots = _EMPTY * size
        self._mask = size - 1
        for position, key in enumerate(self.keys, 1):
            self._place(key, position)
