"""One run in a process of its own, as `vaultd backup` would do it; prints one JSON line."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from vaultd.backup.pool import open_pool
from vaultd.backup.run import run_backup
from vaultd.backup.setup import open_source, open_targets
from vaultd.config import build
from vaultd.keys import PodKey
from vaultd.state.store import State


def peak() -> float:
    """Return this process's highest resident memory in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Run once with the config given as JSON file."""
    config = build(json.loads(Path(sys.argv[1]).read_text()), {})
    begun = time.perf_counter()
    with open_pool(config) as pool:
        report = run_backup(
            config,
            State(Path(config.state.path)),
            open_source(config),
            open_targets(config),
            PodKey.load_or_create(Path(config.state.path) / "pod.key"),
            pool=pool,
        )
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - begun,
                "changed": len(report.changed),
                "failed": len(report.failed),
                "why": report.failed[0].reason if report.failed else "",
                "accounts": report.looked_at,
                "bytes": report.bytes,
                "records": sum(a.records for a in report.accounts),
                "peak": peak(),
            }
        )
    )


if __name__ == "__main__":
    main()
