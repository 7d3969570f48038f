"""A local folder (`file://`): temporary file, fsync, link without replacing, fsync the folder."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, Final

from vaultd.backends.base import NAME_PART, NAME_PATTERN, Finding, ObjectInfo, Space, check_name
from vaultd.backends.folder.probe import tried_out
from vaultd.backends.folder.publish import not_a_file, publish, taken
from vaultd.backends.folder.sync import SharedSync, sync_file, sync_folder
from vaultd.errors import ObjectMissing, PlaceBusy, PlaceError, PlaceFull

_TEMPORARY: Final = ".tmp-"  # a dot never occurs in a legal name
_STALE_SECONDS: Final = 86400
_COPY: Final = 1024 * 1024
_ABSENT: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_name: Final = attrgetter("name")
# A pipe or a device must not hold us up; a link must not lead us out.
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
# A file server that is away, or that restarted.
_AWAY: Final = frozenset(
    {
        errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH,
        errno.ECONNRESET, errno.EAGAIN, errno.EBUSY,
    }
)  # fmt: skip


class FolderBackend:
    """Objects as files under `root`; each name part is a folder.

    Atomic on any POSIX file system that has hard links; where it has none, or cannot be synced,
    `probe()` says what that means.
    Only `create=True` makes the folder: a missing one is a disk that is not mounted. `configured`
    is a target of the config, where a hint may say what makes it.
    """

    def __init__(self, root: Path, *, create: bool = False, configured: bool = True) -> None:
        self.root = root
        self._configured = configured
        self._root = os.fspath(root)  # for system calls: a path object costs more than they do
        self._root_sync = SharedSync()
        self._identity: tuple[int, int] | None = None
        if create:
            with self._translating("cannot be made"):
                root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"FolderBackend({self.root})"

    @contextmanager
    def _translating(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._error(error, what) from error

    def _error(self, error: OSError, what: str) -> PlaceError:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return PlaceFull(
                f"The folder {self.root} is full ({reason}).", hint="Make room, then run again."
            )
        if error.errno in _AWAY:
            return PlaceBusy(
                f"The folder {self.root} {what} now ({reason}).",
                hint="Does the server that it is mounted from answer?",
            )
        hint = "Is the disk mounted, and may this user use it?"
        if error.errno in (errno.EACCES, errno.EPERM):
            with suppress(OSError):
                owner = os.stat(self._root).st_uid  # noqa: PTH116
                if owner != os.geteuid():
                    hint = (
                        f"It belongs to user {owner}, and vaultd runs as user {os.geteuid()}: "
                        f"`chown -R {os.geteuid()} {self.root}` as root gives it to vaultd."
                    )
        return PlaceError(f"The folder {self.root} {what} ({reason}).", hint=hint)

    def _check_root(self) -> None:
        try:
            found = os.stat(self._root)  # noqa: PTH116
        except _ABSENT as error:
            raise PlaceError(
                f"The folder {self.root} is not there.",
                hint="Is the disk mounted?"
                + (" `vaultd init` makes a new target's folder." if self._configured else ""),
            ) from error
        except OSError as error:
            raise self._error(error, "cannot be reached") from error
        if not stat.S_ISDIR(found.st_mode):
            raise PlaceError(f"{self.root} is not a folder.", hint="Name a folder as the place.")
        identity = (found.st_dev, found.st_ino)
        # An unmounted disk leaves its empty mount point, which must not fill up in its stead.
        if self._identity not in (None, identity) and self._is_empty():
            raise PlaceError(
                f"The folder {self.root} was another one before, and this one is empty.",
                hint="Is the disk mounted?",
            )
        self._identity = identity

    def _is_empty(self) -> bool:
        with self._translating("cannot be listed"), os.scandir(self.root) as entries:
            return next(entries, None) is None

    def _path(self, name: str) -> str:
        """Return the path of an object; refuses to be led out of the folder by a link."""
        return self._unlinked(check_name(name))

    def _unlinked(self, name: str) -> str:
        path = self._root
        for part in name.split("/"):
            path = f"{path}/{part}"
            if os.path.islink(path):  # noqa: PTH114
                raise _link(path)
        return path

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create. What `data.read` raises is passed on."""
        self._check_root()
        with self._translating("cannot be written"):
            path = self._path(name)
            if os.path.lexists(path):
                raise taken(path, name)
            folder = path.rpartition("/")[0]
            temporary = f"{folder}/{_TEMPORARY}{os.urandom(8).hex()}"
            descriptor = self._open_new(folder, temporary)
        try:
            try:
                self._fill(descriptor, data, size)
            except BaseException:
                with suppress(OSError):
                    os.close(descriptor)
                raise
            with self._translating("cannot be written"):
                os.close(descriptor)  # NFS may tell a full quota only now
                publish(temporary, path, name, size)
        finally:
            # What cannot be removed now is invisible, and removed by a later probe().
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108
        with self._translating("cannot be written"):
            sync_folder(folder)

    def _open_new(self, folder: str, path: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            self._make_folders(folder)
            descriptor = os.open(path, flags, 0o600)
        self._give_to_owner(descriptor)
        return descriptor

    def _give_to_owner(self, made: int | str) -> None:
        """What root makes belongs to whom the place belongs: their daemon works there, too."""
        if os.geteuid() == 0:
            owner = os.stat(self._root)  # noqa: PTH116
            if os.stat(made).st_uid != owner.st_uid:  # noqa: PTH116
                os.chown(made, owner.st_uid, owner.st_gid)

    def _make_folders(self, folder: str) -> None:
        if os.path.isdir(folder):  # noqa: PTH112
            return
        if folder == self._root:  # it was there a moment ago
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        parent = folder.rpartition("/")[0]
        self._make_folders(parent)
        with suppress(FileExistsError):  # another thread was faster
            os.mkdir(folder, 0o700)  # noqa: PTH102
            self._give_to_owner(folder)
        # Also where it was another's folder: that one's sync may not have ended yet.
        if parent == self._root:
            self._root_sync(parent)
        else:
            sync_folder(parent)

    def _fill(self, descriptor: int, data: BinaryIO, size: int) -> None:
        left = size
        while left:
            piece = memoryview(data.read(min(left, _COPY)))
            if not piece:
                raise PlaceError(f"The data ended {left} bytes before its promised size.")
            left -= len(piece)
            with self._translating("cannot be written"):
                while piece:
                    piece = piece[os.write(descriptor, piece) :]
        if data.read(1):
            raise PlaceError(f"The data is longer than its promised {size} bytes.")
        with self._translating("cannot be written"):
            sync_file(descriptor)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        self._check_root()
        folder, _, last = check_name(name).rpartition("/")
        path = f"{self._unlinked(folder) if folder else self._root}/{last}"
        try:
            descriptor = os.open(path, _READ)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise _missing_or_odd(path, descriptor)
                return _read(descriptor, offset, length)
            finally:
                os.close(descriptor)
        except _ABSENT as error:
            raise ObjectMissing(f"{name} is not in {self.root}.") from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _link(path) from error
            if error.errno == errno.ENXIO:  # a socket
                raise not_a_file(path) from error
            raise self._error(error, "cannot be read") from error

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name; see Backend.list."""
        self._check_root()
        # Only the folder that the prefix names can hold matches.
        start = prefix.rpartition("/")[0]
        if start and not NAME_PATTERN.fullmatch(start):
            return
        with self._translating("cannot be listed"):
            folder = self._path(start) if start else self._root
            found = list(self._walk(folder, f"{start}/" if start else "", prefix))
        yield from sorted(found, key=_name)

    def _walk(self, folder: str, name: str, prefix: str) -> Iterator[ObjectInfo]:
        try:
            scan = os.scandir(folder)
        except _ABSENT:
            return  # no such prefix, or removed meanwhile
        folders: list[tuple[str, str]] = []
        # Entries are let go one by one: each keeps what was asked of it, many times its name.
        with scan:
            for entry in scan:
                # What stands before it is a legal name already.
                if not NAME_PART.fullmatch(entry.name):
                    continue
                own = name + entry.name
                if entry.is_dir(follow_symlinks=False):
                    own += "/"
                    if own.startswith(prefix) or prefix.startswith(own):
                        folders.append((entry.path, own))
                elif own.startswith(prefix) and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):  # removed meanwhile
                        yield ObjectInfo(own, entry.stat(follow_symlinks=False).st_size)
        for path, own in folders:
            yield from self._walk(path, own, prefix)

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        self._check_root()
        with self._translating("cannot be changed"):
            path = self._path(name)
            # Asked first, as a read-only disk refuses even to remove what is not there.
            if os.path.isfile(path):  # noqa: PTH113
                with suppress(FileNotFoundError):
                    os.unlink(path)  # noqa: PTH108
                sync_folder(path.rpartition("/")[0])

    def space(self) -> Space:
        """Return total and free bytes of the file system."""
        self._check_root()
        with self._translating("cannot be asked for its space"):
            usage = shutil.disk_usage(self.root)
        return Space(usage.total, usage.free)

    def probe(self) -> Sequence[Finding]:
        """Try a write, a link without replacing and a read; remove temporaries older than a day."""
        self._check_root()
        with self._translating("cannot be written"):
            self._clean()
        with self._translating("cannot be written"):
            return tried_out(self._root, f"{_TEMPORARY}probe-{os.urandom(8).hex()}")

    def _clean(self) -> None:
        old = time.time() - _STALE_SECONDS
        for path in self.root.rglob(f"{_TEMPORARY}*"):
            with suppress(FileNotFoundError):  # its writer was faster
                if path.lstat().st_mtime < old:
                    path.unlink()


def _link(path: str) -> PlaceError:
    return PlaceError(
        f"{path} is a symbolic link, which vaultd never makes.",
        hint="Put the real file or folder in its place.",
    )


def _missing_or_odd(path: str, descriptor: int) -> Exception:
    """Return why nothing is read: a folder is no object; a pipe or device is not waited for."""
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    return not_a_file(path)


def _read(descriptor: int, offset: int, length: int | None) -> bytes:
    """Return bytes of an open file: all to its end, or `length` unless it ends before."""
    pieces = []
    while length is None or length > 0:
        piece = os.pread(descriptor, _COPY if length is None else length, offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        if length is not None:
            length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
