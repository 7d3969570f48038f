"""Files of a restore: readable by their owner only, complete under their name or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vaultd.restore.output.out_folder import note
from vaultd.restore.output.paths import inside


@contextmanager
def private_file(out: Path, name: str, *, sync: bool = True) -> Iterator[BinaryIO]:
    """Open `out/name` for writing; it takes the name only when the block ends without error.

    Mode 0600 whatever the umask: an archive holds the account's private key. Without `sync` it
    may be empty after a power cut. Raises DamageError for an illegal name and OSError.
    """
    target = inside(out, name)
    out.mkdir(parents=True, exist_ok=True)
    unfinished = inside(out, f"{name}.part")
    unfinished.unlink(missing_ok=True)
    note(out, name)
    handle = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w+b") as file:
            os.fchmod(handle, 0o600)
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
