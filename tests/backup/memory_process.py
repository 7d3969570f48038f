"""Back up one account of N records and print the peak memory: `… memory_process N`."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.backup.world import FakeSource, World
from tests.peak_memory import peak
from vaultd.backends.folder.backend import FolderBackend
from vaultd.records import Record
from vaultd.sources.base import SourceAccount, Trouble


class ManySource(FakeSource):
    """Makes its records while they are read."""

    count = 0
    day = 1

    def read(
        self, accounts: Sequence[SourceAccount]
    ) -> Iterator[tuple[SourceAccount, Record | Trouble]]:
        for number in range(self.count):
            guid = hashlib.md5(str(number).encode()).hexdigest()
            text = f"comment {guid[:9]} of day {self.day if number % 100 == 0 else 1}"
            yield accounts[0], Record("comment", guid, {"guid": guid, "text": text})


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = World(folder / "state", {"main": FolderBackend(folder / "vaults", create=True)})
        source = ManySource()
        source.add("alice")
        source.count = count
        world.source = source
        assert world.run().changed
        source.looks += 1
        assert world.run().unchanged
        source.looks += 1
        source.day = 2
        assert world.run().changed
        world.state.close()
    print(peak())


if __name__ == "__main__":
    main(int(sys.argv[1]))
