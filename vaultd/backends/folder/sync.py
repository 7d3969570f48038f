"""Having files and folders on the disk, where their file system offers that."""

from __future__ import annotations

import errno
import os
from threading import Lock
from typing import Final

# fsync(2) on what cannot be synced: folders on CIFS, 9p and vboxsf, all on some FUSE. It says
# nothing about the data, unlike EIO, ENOSPC or EDQUOT.
_NOT_OFFERED: Final = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.ENOTTY}
)


def sync_file(descriptor: int) -> bool:
    """Have an open file or folder on the disk; return whether that is offered. Raises OSError."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _NOT_OFFERED:
            return False
        raise
    return True


def sync_folder(folder: str) -> bool:
    """Have a folder's names on the disk; return whether that is offered. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return sync_file(descriptor)
    finally:
        os.close(descriptor)


class SharedSync:
    """Syncs one folder; who asks while another's sync has not begun yet shares it.

    A first backup makes a folder per account, several at a time: each would wait for the disk.
    """

    def __init__(self) -> None:
        self._count, self._turn = Lock(), Lock()
        self._asked = self._done = 0

    def __call__(self, folder: str) -> None:
        """Return when a sync that began after this call is done. Raises OSError."""
        with self._count:
            self._asked += 1
            mine = self._asked
        with self._turn:
            if self._done >= mine:
                return
            with self._count:
                asked = self._asked
            sync_folder(folder)
            self._done = asked
