"""Back up `user0` of a database and print the peak memory in KiB: `… large_rows_process URL FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.backup.world import POD_KEY, World
from tests.peak_memory import peak
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backup.run.run import run_backup
from vaultd.demo.pod import POD_URL
from vaultd.keys import Secrets
from vaultd.sources.diaspora import DiasporaSource


def main(url: str, folder: Path) -> None:
    target = FolderBackend(folder / "vaults", create=True)
    world = World(folder / "state", {"main": target})
    source = DiasporaSource(url, POD_URL, folder)
    (account,) = source.accounts(["user0"])
    secrets = Secrets.from_secret(b"large rows, 16 b")
    world.state.enroll(
        username="user0", guid=account.guid, handle=account.handle,
        recipient=str(secrets.recipient), vault_id=secrets.recipient.vault_id,
    )  # fmt: skip
    report = run_backup(
        world.config, world.state, source, {"main": target}, POD_KEY, ["user0"]
    ).accounts[0]
    world.state.close()
    print(report.status.value, report.records, len(report.notes), *report.notes)
    print(peak())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
