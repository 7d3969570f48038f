"""A daemon in a process of its own, on the fake pod: `python -m tests.daemon.daemon_process DIR`.

Every read but the first waits while there is a file `DIR/hold`, and says so in it; `DIR/every` is
the period.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.backup.world import POD_KEY, FakeSource, World
from vaultd.backends.folder.backend import FolderBackend
from vaultd.config import Config, Limits, Metrics, Pod, Schedule, StateSection, Target
from vaultd.daemon.duties import Setup
from vaultd.daemon.logs import set_up_logging
from vaultd.daemon.notify import Notifier
from vaultd.daemon.service import Service
from vaultd.errors import ConfigError, VaultdError
from vaultd.records import Record
from vaultd.sources.base import SourceAccount, Trouble

PEOPLE = ("alice", "bob", "carol", "dave")


class HeldSource(FakeSource):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.hold = folder / "hold"

    def read(
        self, accounts: Sequence[SourceAccount]
    ) -> Iterator[tuple[SourceAccount, Record | Trouble]]:
        for item in super().read(accounts):
            if len(self.batches) > 1 and self.hold.exists():
                self.hold.write_text("held")
                while self.hold.exists():
                    time.sleep(0.01)
            yield item


def source(folder: Path) -> HeldSource:
    held = HeldSource(folder)
    for name in PEOPLE:
        held.add(name).put("post", "p1", {"text": f"first of {name}"})
    return held


def prepare(folder: Path) -> World:
    """Make state and target, enrol everybody."""
    world = World(folder / "state", {"main": FolderBackend(folder / "vaults", create=True)})
    for name in PEOPLE[1:]:
        world.person(name)
    world.state.close()
    return world


def main(folder: Path) -> int:
    def set_up() -> Setup:
        if (folder / "bad").exists():
            raise ConfigError("schedule.every: 'often' is not a time like 24h.")
        every = (folder / "every").read_text() if (folder / "every").exists() else "24h"
        config = Config(
            pod=Pod("https://pod.example", "sqlite:///none", "/none"),
            targets={"main": Target("file:///none")},
            state=StateSection(str(folder / "state")),
            schedule=Schedule(every),
            limits=Limits(1),
            metrics=Metrics(str(folder / "vaultd.prom")),
        )
        set_up_logging("info", "text")
        return Setup(config, source(folder), {"main": FolderBackend(folder / "vaults")}, POD_KEY)

    try:
        return 0 if Service(set_up, Notifier()).run() else 9
    except VaultdError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
