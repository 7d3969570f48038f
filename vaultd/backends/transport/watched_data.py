"""A caller's data with something between: what is read passes through `read` of a subclass."""

from __future__ import annotations

import io
from typing import BinaryIO


class WatchedData(io.RawIOBase):
    """Stands in for `data`, with its position; subclasses say what a `read` costs."""

    def __init__(self, data: BinaryIO) -> None:
        super().__init__()
        self._data = data

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """Tell whether the data can be rewound."""
        return self._data.seekable()

    def tell(self) -> int:
        """Return the position in the data."""
        return self._data.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position in the data."""
        return self._data.seek(offset, whence)
