"""One heavy account: a SQLite pod with a single busy author, through the real engine.

python -m bench.heavy RECORDS      prints one JSON line, peak memory included
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import create_engine

from bench.child import mebibytes
from vaultd.backup.accounts.enroll import enroll
from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.run.run import run_backup
from vaultd.config import Config, build
from vaultd.demo.schema import create_schema
from vaultd.demo.texts import SENTENCES
from vaultd.demo.world import World
from vaultd.keys import PodKey, Recipient, Secrets
from vaultd.records import Record, Records
from vaultd.restore.records_out import write_records
from vaultd.restore.snapshot import Snapshot, open_with_kit
from vaultd.state.store import State

POD_URL = "https://pod.example"


def build_heavy(folder: Path, records: int) -> Config:
    """Make a pod whose one account has about this many records (remote comments, signed)."""
    rng = random.Random(1)
    url = f"sqlite:///{folder / 'pod.sqlite3'}"
    engine = create_engine(url)
    (folder / "uploads" / "images").mkdir(parents=True)
    world = World(create_schema(engine, "0.9"), rng, folder / "uploads" / "images", POD_URL)
    world.pod("friendly.example", 1)
    user = world.local("heavy", "Heavy", "Writer")
    for number in range(20):
        world.remote(f"friend{number}", "friendly.example", "A", "Friend", closed=False)
    for _ in range(max(1, records // 4)):
        post = world.post(user, rng.choice(SENTENCES), public=True)
        for _ in range(3):
            world.comment(rng.choice(world.remotes), post, rng.choice(SENTENCES))
    world.flush(engine)
    engine.dispose()
    (folder / "state").mkdir()
    (folder / "vaults").mkdir()
    return build(
        {
            "pod": {"url": POD_URL, "database": url, "uploads": str(folder / "uploads")},
            "state": {"path": str(folder / "state")},
            "targets": {"main": {"url": (folder / "vaults").as_uri()}},
        },
        {},
    )


def measure(folder: Path) -> dict[str, float]:
    """Back up, back up again, restore; return seconds, counts and peak memory (MiB)."""
    config = build(json.loads((folder / "config.json").read_text()), {})
    secrets, pod_key = Secrets.from_secret(bytes(16)), PodKey(bytes(32))
    state, source = State(folder / "state"), open_source(config)
    enroll(state, source, "heavy", Recipient.parse(str(secrets.recipient)))
    begun = time.perf_counter()
    read = sum(
        len(r.ids) if isinstance(r, Records) else isinstance(r, Record)
        for _, r in source.read(source.accounts())
    )
    reading = time.perf_counter() - begun
    full = run_backup(config, state, source, open_targets(config), pod_key)
    idle = run_backup(config, state, source, open_targets(config), pod_key)
    backup_peak = mebibytes("self", "status", "VmHWM:")
    vault = open_with_kit(open_targets(config)["main"], secrets, [pod_key.public])
    (folder / "out").mkdir()
    begun = time.perf_counter()
    write_records(Snapshot(vault, vault.at(None)), folder / "out")
    restoring = time.perf_counter() - begun
    return {
        "records": read,
        "read": reading,
        "full": full.seconds,
        "idle": idle.seconds,
        "restore": restoring,
        "bytes": full.bytes,
        "backup_peak_mib": backup_peak,
        "peak_mib": mebibytes("self", "status", "VmHWM:"),
    }


def main() -> None:
    """Measure one size in this process (`FOLDER`), or build its pod first (`RECORDS`)."""
    if sys.argv[1].isdigit():
        folder = Path(tempfile.mkdtemp(prefix="vaultd-bench-"))
        config = build_heavy(folder, int(sys.argv[1]))
        (folder / "config.json").write_text(
            json.dumps(
                {
                    "pod": {
                        "url": config.pod.url,
                        "database": config.pod.database,
                        "uploads": config.pod.uploads,
                    },
                    "state": {"path": config.state.path},
                    "targets": {"main": {"url": config.targets["main"].url}},
                }
            )
        )
        print(folder)
    else:
        print(json.dumps(measure(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
