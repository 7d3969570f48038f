"""A backend that is a dictionary: the same contract, the same suite."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from vaultd.backends.base import Finding, ObjectInfo, Space, check_name
from vaultd.errors import ObjectExists, ObjectMissing, PlaceError


class MemoryBackend:
    """Keeps objects in `objects`; safe to use from several threads."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create."""
        check_name(name)
        content = data.read(size)
        while len(content) < size and (piece := data.read(size - len(content))):
            content += piece
        if len(content) != size or data.read(1):
            raise PlaceError("The data does not have its promised size.")
        with self._lock:
            if name in self.objects:
                raise ObjectExists(f"{name} is already in memory.")
            self.objects[name] = content

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        try:
            content = self.objects[check_name(name)]
        except KeyError as error:
            raise ObjectMissing(f"{name} is not in memory.") from error
        return content[offset:] if length is None else content[offset : offset + length]

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name; see Backend.list."""
        with self._lock:
            found = sorted((n, len(c)) for n, c in self.objects.items() if n.startswith(prefix))
        for name, size in found:
            yield ObjectInfo(name, size)

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        with self._lock:
            self.objects.pop(check_name(name), None)

    def space(self) -> Space:
        """Memory does not say."""
        return Space(None, None)

    def probe(self) -> Sequence[Finding]:
        """Memory honours everything."""
        return [Finding("create without replacing", True, "an object is never replaced")]
