"""The peers, on ready-made export files: seconds of wall time of each, on the same machine."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

_PASSWORD: Final = {"RESTIC_PASSWORD": "bench", "BORG_PASSPHRASE": "bench"}


def timed(command: str, folder: Path, **environment: str) -> float:
    """Run a shell command of the bench's own making; return its wall time, raise if it fails."""
    begun = time.perf_counter()
    subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, **_PASSWORD, "HOME": str(folder), **environment},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def middle(measure: Callable[[], float]) -> float:
    """Return the median of five measurements, for what is over in a moment."""
    return sorted(measure() for _ in range(5))[2]


@dataclass(frozen=True)
class Peers:
    """`folder` holds `exports/` with a JSON file per account."""

    folder: Path

    def key(self) -> str:
        """Make an age key; return its recipient."""
        file = self.folder / "age.key"
        if not file.exists():
            timed(f"age-keygen -o {file}", self.folder)
        for line in file.read_text().splitlines():
            if line.startswith("# public key: "):
                return line.rpartition(" ")[2]
        raise RuntimeError("age-keygen wrote no public key")

    def archive_each(self) -> float:
        """`tar | zstd -3 | age` for each account, two accounts at a time."""
        one = (
            f"tar -cf - -C exports $1 | zstd -q -3 -c | age -r {self.key()} -o aged/$1.tar.zst.age"
        )
        return timed(
            f"mkdir -p aged && ls exports | xargs -P 2 -n 1 sh -c {shlex.quote(one)} x", self.folder
        )

    def restic(self) -> tuple[float, float]:
        """One repository: seconds of the first backup, and of one in which nothing changed."""
        timed("restic init -r one.restic", self.folder)
        backup = "restic backup -q -r one.restic exports"
        return timed(backup, self.folder), middle(lambda: timed(backup, self.folder))

    def restic_each(self, sample: int) -> tuple[float, float]:
        """A repository per account, for some; seconds per account of init and backup, and of a
        backup in which nothing changed."""
        some = " ".join(sorted(p.name for p in (self.folder / "exports").iterdir())[-sample:])
        first = "restic init -q -r each/$1.restic && restic backup -q -r each/$1.restic exports/$1"
        again = "restic backup -q -r each/$1.restic exports/$1"
        run = "mkdir -p each && echo {} | xargs -P 2 -n 1 sh -c {} x"
        return (
            timed(run.format(some, shlex.quote(first)), self.folder) / sample,
            timed(run.format(some, shlex.quote(again)), self.folder) / sample,
        )

    def borg(self) -> tuple[float, float]:
        """One repository: seconds of the first backup, and of one in which nothing changed."""
        timed("borg init -e repokey-blake2 one.borg", self.folder)
        numbers = count()

        def backup() -> float:
            return timed(f"borg create -C zstd,3 one.borg::n{next(numbers)} exports", self.folder)

        return backup(), middle(backup)

    def b2sum(self, folder: Path) -> float:
        """`b2sum` of every file in a folder."""
        command = f"find {folder} -type f -print0 | xargs -0 b2sum"
        return middle(lambda: timed(command, self.folder))

    def unpack(self, name: str) -> float:
        """`age -d | zstd -d` of one account."""
        command = f"age -d -i age.key aged/{name}.tar.zst.age | zstd -q -d -c > unpacked.tar"
        return middle(lambda: timed(command, self.folder))
