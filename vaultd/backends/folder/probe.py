"""What the file system of a folder really honours, tried out under temporary names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from vaultd.backends.base import Finding
from vaultd.backends.folder.publish import NO_LINKS
from vaultd.backends.folder.sync import sync_file, sync_folder


def tried_out(root: str, temporary: str) -> Sequence[Finding]:
    """Write two files named from `temporary`, link one over the other. Raises OSError."""
    path = f"{root}/{temporary}"
    second = f"{path}-2"
    try:
        synced = _write(path, b"probe")
        _write(second, b"second")
        return [_replacing(root, path, second), _syncing(root, synced and sync_folder(root))]
    finally:
        for made in (path, second):
            with suppress(OSError):
                os.unlink(made)  # noqa: PTH108


def _write(path: str, content: bytes) -> bool:
    """Write a small new file; return whether it could be synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        return sync_file(descriptor)
    finally:
        os.close(descriptor)


def _replacing(root: str, path: str, second: str) -> Finding:
    what = "create without replacing"
    try:
        os.link(second, path)
    except FileExistsError:
        return Finding(what, True, "an object that is there is never replaced")
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return Finding(
            what,
            False,
            f"{root} is on a file system without hard links: a file is renamed to a name that was "
            "free a moment ago, so that two vaultds must not write there at once",
            grave=False,
        )
    return Finding(what, False, "a second object of one name replaced the first")


def _syncing(root: str, synced: bool) -> Finding:
    if synced:
        return Finding("sync", True, "a stored object is on the disk before it counts as stored")
    return Finding(
        "sync",
        False,
        f"{root} is on a file system that cannot be synced: a power cut may lose what was stored "
        "just before",
        grave=False,
    )
