"""Files of a restore: readable by their owner only, complete under their name or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vaultd.restore.paths import inside


@contextmanager
def private_file(out: Path, name: str) -> Iterator[BinaryIO]:
    """Open `out/name` for writing; it takes the name only when the block ends without error.

    Mode 0600: an archive holds the account's private key. Raises DamageError for an illegal
    name and OSError.
    """
    target = inside(out, name)
    out.mkdir(parents=True, exist_ok=True)
    unfinished = inside(out, f"{name}.part")
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
