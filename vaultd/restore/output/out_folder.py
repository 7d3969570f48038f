"""The folder a restore writes into: new and for its owner only, or made by vaultd before."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from vaultd.errors import DamageError, UsageError
from vaultd.restore.output.paths import inside

MARK: Final = ".vaultd-restore"  # the names a restore wrote here, a line each


def prepare(out: Path, *, force: bool = False) -> None:
    """Make `out` (0700, whatever the umask) and mark it as a restore's.

    An empty folder of one's own is taken, too. With `force` what an earlier restore wrote into
    the folder is removed first, and nothing else. Raises UsageError for any other place.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made = _make(out)
        if not made:
            _take_over(out, force=force)
        out.chmod(0o700)
        handle = os.open(out / MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        os.fchmod(handle, 0o600)
        os.close(handle)
    except OSError as error:
        raise UsageError(f"Nothing can be restored to {out} ({error.strerror}).") from error


def note(out: Path, name: str) -> None:
    """Note that a restore writes `name` into `out`, before it is there; nothing where unmarked."""
    with suppress(FileNotFoundError):
        handle = os.open(out / MARK, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(handle, "ab") as file:
            file.write(name.encode() + b"\n")


def subfolder(out: Path, name: str) -> Path:
    """Make a folder for files of a restore and return it. Raises UsageError for a link there."""
    path = inside(out, name)
    note(out, f"{name}/")
    if _make(path):
        path.chmod(0o700)
    elif not stat.S_ISDIR(path.lstat().st_mode):
        raise UsageError(f"{path} is in the way of a restore's folder; restore into a new one.")
    return path


def _make(out: Path) -> bool:
    try:
        out.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def _take_over(out: Path, *, force: bool) -> None:
    found = out.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{out} is not a folder (a link is not followed); name a new folder.")
    if found.st_uid != os.geteuid():
        raise UsageError(f"The folder {out} belongs to somebody else; name a new folder.")
    names = set(os.listdir(out))  # noqa: PTH208 - names are wanted, not paths
    if not names:
        return
    if MARK not in names:
        raise UsageError(
            f"The folder {out} is not empty; a restore writes into a new folder.",
            hint="Name one that does not exist yet.",
        )
    if not force:
        raise UsageError(
            f"The folder {out} holds an earlier restore.",
            hint="Name a new folder, or say --force to put this one in its place.",
        )
    _remove_earlier(out)


def _remove_earlier(out: Path) -> None:
    mark = out / MARK
    handle = os.open(mark, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, encoding="utf-8") as file:
        names = {line.rstrip("\n") for line in file}
    for name in names:
        with suppress(DamageError):  # no name that a restore writes
            path = inside(out, name.removesuffix("/"))
            if name.endswith("/"):
                _remove_folder(path)
            else:
                path.unlink(missing_ok=True)
    mark.unlink()


def _remove_folder(path: Path) -> None:
    if not path.is_symlink() and path.is_dir():
        for each in path.iterdir():
            if each.is_symlink() or each.is_file():
                each.unlink()
        path.rmdir()
