"""Copying ciphertext from place to place: no key is needed, and nothing damaged is passed on."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import BinaryIO, Final, cast

from vaultd.backends.base import Backend, ObjectInfo
from vaultd.backends.memory import MemoryBackend
from vaultd.errors import DamageError, ObjectExists, ObjectMissing, PlaceError, VaultdError
from vaultd.vault.clear_header import unknown_pod
from vaultd.vault.integrity import check_archive, check_blob, check_escrow
from vaultd.vault.layout import parse_archive_name, vault_of

_IN_MEMORY: Final = 4 * 1024 * 1024
_VAULTS_AT_ONCE: Final = 8
_OBJECTS_AT_ONCE: Final = 16
_AHEAD: Final = 2  # archives of one vault that are held, read and checked, before their turn


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

    Objects of one vault go several at a time as well; see copy_objects. Raises PlaceError when a
    place cannot be listed; a vault's own trouble is in the report.
    """
    report = CopyReport()
    there = {item.name: item.size for item in target.list()}
    with (
        ThreadPoolExecutor(_OBJECTS_AT_ONCE, thread_name_prefix="copy") as objects,
        ThreadPoolExecutor(_VAULTS_AT_ONCE, thread_name_prefix="vaults") as pool,
    ):
        vaults = _by_vault(source.list())
        for done in pool.map(
            lambda items: copy_objects(source, target, items, there, objects), vaults
        ):
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
    source: Backend,
    target: Backend,
    items: Iterable[ObjectInfo],
    there: dict[str, int],
    pool: Executor | None = None,
    *,
    pod: bytes | None = None,
) -> CopyReport:
    """Copy objects of one vault; `there` has what the target holds, by name, with its size.
    `pod` is the key that signed its pictures, if that is known.

    Pictures go first, side by side in the `pool` if there is one; then the archives in the order
    of their sequence, read and checked ahead, stored one after the other. So whenever this ends,
    every archive that arrived finds what it refers to.
    """
    run = _VaultCopy(source, target, pod)
    lacking = [item for item in sorted(items, key=_order) if run.lacks(item, there)]
    archives = [item for item in lacking if parse_archive_name(item.name) is not None]
    others = lacking[: len(lacking) - len(archives)]
    for item, error in zip(others, (pool.map if pool else map)(run.copy, others), strict=True):
        run.note(item, error)
    if not run.broken.is_set():
        for item, place in _ahead(pool, run.checked, archives):
            run.note(item, run.store(item, place))
    return run.report


class _VaultCopy:
    """Copies the objects of one vault until a place is in trouble; any thread may `copy`."""

    def __init__(self, source: Backend, target: Backend, pod: bytes | None) -> None:
        self._pod = pod
        self.report = CopyReport()
        self.broken = Event()
        self._source = source
        self._target = target

    def lacks(self, item: ObjectInfo, there: dict[str, int]) -> bool:
        """Tell whether an object is to be copied; one of another size is a problem."""
        size = there.get(item.name)
        if size is not None and size != item.size:
            self.report.problems.append(
                f"{item.name} has {size} bytes there and {item.size} here; `vaultd scrub` heals it."
            )
        return size is None

    def copy(self, item: ObjectInfo) -> VaultdError | None:
        """Copy one object; return what went wrong."""
        return self.store(item, self.checked(item))

    def checked(self, item: ObjectInfo) -> Backend | VaultdError:
        """Return the place to copy an object from, or what is wrong with it."""
        if self.broken.is_set():
            return _Passed()
        try:
            return checked(self._source, item.name, item.size, self._pod)
        except (DamageError, PlaceError) as error:
            return self._judged(error)

    def store(self, item: ObjectInfo, place: Backend | VaultdError) -> VaultdError | None:
        """Store what was checked; return what went wrong."""
        if isinstance(place, VaultdError):
            return place
        if self.broken.is_set():
            return _Passed()
        data = cast(BinaryIO, RemoteObject(place, item.name))
        try:
            self._target.create(item.name, data, item.size)
        except ObjectExists:
            return None  # somebody else was faster; names tell contents
        except (DamageError, PlaceError) as error:
            return self._judged(error)
        return None

    def _judged(self, error: VaultdError) -> VaultdError:
        if not isinstance(error, DamageError | ObjectMissing):
            self.broken.set()  # the place is in trouble, not the object
        return error

    def note(self, item: ObjectInfo, error: VaultdError | None) -> None:
        """Count what was copied, or take down the problem."""
        if isinstance(error, _Passed):
            return
        if error is not None:
            self.report.problems.append(str(error))
            return
        self.report.objects += 1
        self.report.bytes += item.size
        parts = parse_archive_name(item.name)
        self.report.last_sequence = max(self.report.last_sequence, parts[1] if parts else 0)


class _Passed(VaultdError):
    """An object passed over, as its place is in trouble that was told already."""

    def __init__(self) -> None:
        super().__init__("passed over")


def _ahead(
    pool: Executor | None,
    check: Callable[[ObjectInfo], Backend | VaultdError],
    items: Sequence[ObjectInfo],
) -> Iterator[tuple[ObjectInfo, Backend | VaultdError]]:
    """Yield each item with what `check` returns, in order, a few of them worked out ahead."""
    if pool is None:
        yield from ((item, check(item)) for item in items)
        return
    waiting: deque[tuple[ObjectInfo, Future[Backend | VaultdError]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(check, item)))
        if len(waiting) > _AHEAD:
            first, checking = waiting.popleft()
            yield first, checking.result()
    yield from ((item, checking.result()) for item, checking in waiting)


def _order(item: ObjectInfo) -> tuple[int, str]:
    return (parse_archive_name(item.name) is not None, item.name)


def checked(source: Backend, name: str, size: int, pod: bytes | None = None) -> Backend:
    """Check an object and return the place to copy it from: it is held where it is not large.

    What is no object of a vault has no check, and is not passed on. A picture must be signed by
    the key `pod`, if one is given: the name of an archive tells its bytes, a picture's does not.
    Raises DamageError, ObjectMissing, PlaceError.
    """
    place = source
    if size <= _IN_MEMORY:  # read once, checked and stored from memory
        held = MemoryBackend()
        # What a place lists as small may be without end.
        held.objects[name] = source.read(name, 0, size + 1)
        place = held
    if parse_archive_name(name) is not None:
        check_archive(place, name, size)
    elif "/blob-" in name:
        header = check_blob(place, name, size)
        if pod is not None and header.pod != pod:
            raise unknown_pod(name, header.pod)
    elif "/escrow-" in name:
        check_escrow(place, name, size)
    else:
        raise DamageError(f"{name} is no object of a vault; it is left out.")
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
