"""A local folder (`file://`): temporary file, fsync, link without replacing, fsync the folder."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from vaultd.backends.base import NAME_PATTERN, Finding, ObjectInfo, Space, check_name
from vaultd.errors import ObjectExists, ObjectMissing, PlaceError, PlaceFull

_TEMPORARY: Final = ".tmp-"  # a dot never occurs in a legal name
_STALE_SECONDS: Final = 86400
_COPY: Final = 1024 * 1024


class FolderBackend:
    """Objects as files under `root`; each name part is a folder.

    Atomic on any POSIX file system that has hard links; where it has none, `probe()` says so.
    """

    def __init__(self, root: Path, *, create: bool = False) -> None:
        self.root = root
        if create:
            try:
                root.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise self._error(error, "cannot be made") from error

    def __repr__(self) -> str:
        return f"FolderBackend({self.root})"

    def _error(self, error: OSError, what: str) -> PlaceError:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return PlaceFull(
                f"The folder {self.root} is full ({reason}).", hint="Make room, then run again."
            )
        return PlaceError(
            f"The folder {self.root} {what} ({reason}).",
            hint="Is the disk mounted, and may this user use it?",
        )

    def _check_root(self) -> None:
        if not self.root.is_dir():
            raise PlaceError(
                f"The folder {self.root} is not there.",
                hint="Is the disk mounted? `vaultd init` makes a new target's folder.",
            )

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create."""
        path = self.root / check_name(name)
        self._check_root()
        if path.exists():
            raise ObjectExists(f"{name} is already in {self.root}.")
        try:
            self._make_folders(path.parent)
            temporary = path.parent / f"{_TEMPORARY}{secrets.token_hex(8)}"
            try:
                self._fill(temporary, data, size)
                os.link(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
            _sync(path.parent)
        except FileExistsError as error:
            raise ObjectExists(f"{name} is already in {self.root}.") from error
        except OSError as error:
            raise self._error(error, "cannot be written") from error

    def _make_folders(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folders(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync(folder.parent)

    def _fill(self, temporary: Path, data: BinaryIO, size: int) -> None:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            left = size
            while left:
                piece = data.read(min(left, _COPY))
                if not piece:
                    raise PlaceError(f"The data ended {left} bytes before its promised size.")
                file.write(piece)
                left -= len(piece)
            if data.read(1):
                raise PlaceError(f"The data is longer than its promised {size} bytes.")
            file.flush()
            os.fsync(file.fileno())

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        self._check_root()
        try:
            with (self.root / check_name(name)).open("rb") as file:
                file.seek(offset)
                return file.read() if length is None else file.read(length)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectMissing(f"{name} is not in {self.root}.") from error
        except OSError as error:
            raise self._error(error, "cannot be read") from error

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name; see Backend.list."""
        self._check_root()
        # Only the folder that the prefix names can hold matches.
        start = prefix.rpartition("/")[0]
        if start and not NAME_PATTERN.fullmatch(start):
            return
        found = list(self._walk(self.root / start, start))
        yield from sorted(
            (item for item in found if item.name.startswith(prefix)), key=lambda item: item.name
        )

    def _walk(self, folder: Path, name: str) -> Iterator[ObjectInfo]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    own = f"{name}/{entry.name}" if name else entry.name
                    if not NAME_PATTERN.fullmatch(own):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        yield from self._walk(folder / entry.name, own)
                    elif entry.is_file(follow_symlinks=False):
                        yield ObjectInfo(own, entry.stat(follow_symlinks=False).st_size)
        except (FileNotFoundError, NotADirectoryError):
            return  # no such prefix, or removed meanwhile
        except OSError as error:
            raise self._error(error, "cannot be listed") from error

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        self._check_root()
        try:
            (self.root / check_name(name)).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise self._error(error, "cannot be changed") from error

    def space(self) -> Space:
        """Return total and free bytes of the file system."""
        self._check_root()
        try:
            usage = shutil.disk_usage(self.root)
        except OSError as error:
            raise self._error(error, "cannot be asked for its space") from error
        return Space(usage.total, usage.free)

    def probe(self) -> Sequence[Finding]:
        """Try a write, a link without replacing and a read; remove temporaries older than a day."""
        self._check_root()
        self._clean()
        path = self.root / f"{_TEMPORARY}probe-{secrets.token_hex(8)}"
        second = path.with_name(path.name + "-2")
        try:
            path.write_bytes(b"probe")
            os.link(path, second)
            try:
                os.link(path, second)
                replaced = True
            except FileExistsError:
                replaced = False
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                return [
                    Finding(
                        "hard links",
                        False,
                        f"{self.root} is on a file system without hard links; choose another.",
                    )
                ]
            raise self._error(error, "cannot be written") from error
        finally:
            path.unlink(missing_ok=True)
            second.unlink(missing_ok=True)
        sentence = "an object that is there is never replaced"
        return [Finding("create without replacing", not replaced, sentence)]

    def _clean(self) -> None:
        old = time.time() - _STALE_SECONDS
        for path in self.root.rglob(f"{_TEMPORARY}*"):
            try:
                if path.lstat().st_mtime < old:
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
