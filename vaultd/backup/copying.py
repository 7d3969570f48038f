"""Copying ciphertext from place to place: no key is needed, and nothing damaged is passed on."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import BinaryIO, Final, cast

from vaultd.backends.base import Backend, ObjectInfo
from vaultd.backends.memory import MemoryBackend
from vaultd.errors import DamageError, ObjectExists, ObjectMissing, PlaceError
from vaultd.vault.integrity import check_archive, check_blob
from vaultd.vault.layout import parse_archive_name, vault_of

_IN_MEMORY: Final = 8 * 1024 * 1024
_AT_ONCE: Final = 8


@dataclass(slots=True)
class CopyReport:
    """What was copied: vaults looked at, objects and bytes stored; `problems` are sentences.

    `last_sequence` is that of the newest archive copied into a single vault.
    """

    last_sequence: int = 0
    vaults: int = 0
    objects: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)

    def take(self, other: CopyReport) -> None:
        """Add what another one counted."""
        self.vaults += other.vaults
        self.objects += other.objects
        self.bytes += other.bytes
        self.problems += other.problems


def copy_place(
    source: Backend,
    target: Backend,
    *,
    on_vault: Callable[[CopyReport], None] | None = None,
) -> CopyReport:
    """Copy every vault of a place, several at a time; what is there already is left alone.

    Raises PlaceError when a place cannot be listed; a vault's own trouble is in the report.
    """
    report = CopyReport()
    there = {item.name: item.size for item in target.list()}
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="copy") as pool:
        vaults = _by_vault(source.list())
        for done in pool.map(lambda items: copy_objects(source, target, items, there), vaults):
            done.vaults = 1
            report.take(done)
            if on_vault is not None:
                on_vault(report)
    return report


def _by_vault(items: Iterable[ObjectInfo]) -> Iterator[list[ObjectInfo]]:
    vault: list[ObjectInfo] = []
    for item in items:
        if vault and vault_of(item.name) != vault_of(vault[0].name):
            yield vault
            vault = []
        if vault_of(item.name) is not None:
            vault.append(item)
    if vault:
        yield vault


def copy_objects(
    source: Backend, target: Backend, items: Iterable[ObjectInfo], there: dict[str, int]
) -> CopyReport:
    """Copy objects of one vault; `there` has what the target holds, by name, with its size.

    Pictures go first and archives in the order of their sequence, so that whenever this ends,
    every archive that arrived finds what it refers to.
    """
    report = CopyReport()
    for item in sorted(items, key=_order):
        size = there.get(item.name)
        if size == item.size:
            continue
        if size is not None:
            report.problems.append(
                f"{item.name} has {size} bytes there and {item.size} here; `vaultd scrub` heals it."
            )
            continue
        try:
            copy_object(source, target, item.name, item.size)
        except (DamageError, ObjectMissing, PlaceError) as error:
            report.problems.append(str(error))
            if not isinstance(error, DamageError | ObjectMissing):
                break  # the place is in trouble, not the object
            continue
        report.objects += 1
        report.bytes += item.size
        parts = parse_archive_name(item.name)
        report.last_sequence = max(report.last_sequence, parts[1] if parts else 0)
    return report


def _order(item: ObjectInfo) -> tuple[int, str]:
    return (parse_archive_name(item.name) is not None, item.name)


def copy_object(source: Backend, target: Backend, name: str, size: int) -> None:
    """Copy one object after checking it; raises DamageError, ObjectMissing, PlaceError."""
    place = checked(source, name, size)
    try:
        target.create(name, cast(BinaryIO, RemoteObject(place, name)), size)
    except ObjectExists:
        return  # somebody else was faster; names tell contents


def checked(source: Backend, name: str, size: int) -> Backend:
    """Check an object and return the place to copy it from: it is held where it is not large.

    Raises DamageError, ObjectMissing, PlaceError.
    """
    place = source
    if size <= _IN_MEMORY:  # read once, checked and stored from memory
        held = MemoryBackend()
        held.objects[name] = source.read(name)
        place = held
    if parse_archive_name(name) is not None:
        check_archive(place, name, size)
    elif "/blob-" in name:
        check_blob(place, name, size)
    return place


class RemoteObject(io.RawIOBase):
    """An object of another place, read front to back without holding it; it can be rewound."""

    def __init__(self, place: Backend, name: str) -> None:
        super().__init__()
        self._place = place
        self._name = name
        self._offset = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the offset of the next byte."""
        return self._offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset from the start."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only from the start")
        self._offset = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Read bytes; raises what the place raises."""
        data = self._place.read(self._name, self._offset, None if size < 0 else size)
        self._offset += len(data)
        return data
