"""Files that hold a secret: new, for their owner only, complete or absent."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_new(path: Path, text: str) -> None:
    """Write a new file of mode 0600 and flush it to the disk.

    Raises FileExistsError when the name is taken, OSError otherwise; after an error while
    writing there is no half file left.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
    except BaseException:
        path.unlink()
        raise


def create_or_keep(path: Path, text: str) -> None:
    """Write a secret to a file (mode 0600) unless there is one already; raises OSError.

    The file is complete or absent, and two processes at once end with the same one.
    """
    if path.exists():
        return
    fresh = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    write_new(fresh, text)
    try:
        with contextlib.suppress(FileExistsError):  # somebody else was first: theirs holds
            os.link(fresh, path)
        sync_directory(path.parent)
    finally:
        fresh.unlink()


def sync_directory(directory: Path) -> None:
    """Flush a folder's entries to the disk, so that a new name survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
