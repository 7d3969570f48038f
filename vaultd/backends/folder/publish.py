"""Giving a written file its final name in a folder, and looking whether it has it."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from threading import Lock
from typing import Final

from vaultd.errors import ObjectExists, PlaceError

# FAT, exFAT and CIFS have no hard links; FUSE may not know the call.
NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
)
# Two threads that take one name where there are no links: looking and renaming are two steps.
_RENAMING: Final = Lock()


def publish(temporary: str, path: str, name: str, size: int) -> None:
    """Have the file `temporary`, of `size` bytes, at `path` too; the caller removes the temporary.

    By a hard link, which never replaces; on a file system without links by a rename to a name
    that was free a moment ago. An answer without an error is not believed: network file systems
    are looked at. Raises ObjectExists, PlaceError, OSError.
    """
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        # NFS repeats a request whose answer was lost, and finds its own effect.
        if not os.path.samestat(os.lstat(temporary), os.lstat(path)):
            raise taken(path, name) from error
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with _RENAMING:
            if os.path.lexists(path):
                raise taken(path, name) from error
            os.rename(temporary, path)  # noqa: PTH104
    found = None
    with suppress(FileNotFoundError):
        found = os.lstat(path)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_size != size:
        raise PlaceError(
            f"{path} was written, and there is "
            f"{'nothing' if found is None else f'another file of {found.st_size} bytes'}.",
            hint=f"It should have {size} bytes: is the disk or the network broken?",
        )


def taken(path: str, name: str) -> PlaceError:
    """Return the error for a name that is taken: by an object, or by what is none."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return not_a_file(path)
    return ObjectExists(f"{name} is already in {path.removesuffix('/' + name)}.")


def not_a_file(path: str) -> PlaceError:
    """Return the error for a folder, pipe, device or socket under an object's name."""
    return PlaceError(
        f"{path} is no file, and vaultd makes nothing else under such a name.",
        hint="Find out who put it there, and remove it.",
    )
