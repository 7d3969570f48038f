"""One run in a process of its own, as `vaultd backup` would do it; prints one JSON line."""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

from vaultd.backup.pool import open_pool
from vaultd.backup.run import run_backup
from vaultd.backup.setup import open_source, open_targets
from vaultd.config import build
from vaultd.keys import PodKey
from vaultd.state.store import State


def _family() -> list[int]:
    """Return this process and its children."""
    own = os.getpid()
    started = Path(f"/proc/{own}/task").glob("*/children")
    return [own, *(int(child) for each in started for child in each.read_text().split())]


def mebibytes(process: int | str, file: str, field: str) -> float:
    """Return a field of /proc/PROCESS/FILE in MiB, 0 where the process ended meanwhile."""
    try:
        text = Path(f"/proc/{process}/{file}").read_text()
    except OSError:
        return 0.0
    return sum(int(s.split()[1]) for s in text.splitlines() if s.startswith(field)) / 1024


class Memory(threading.Thread):
    """Looks once a second at what this process and its workers take, in MiB.

    `together` counts a page that several share once (proportional set size).
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.together = self.largest = 0.0

    def run(self) -> None:
        """Look until told otherwise."""
        while not self.done.wait(1.0):
            self.look()

    def look(self) -> None:
        """Look once."""
        family = _family()
        together = sum(mebibytes(each, "smaps_rollup", "Pss:") for each in family)
        self.together = max(self.together, together)
        self.largest = max(self.largest, *(mebibytes(each, "status", "VmHWM:") for each in family))


def main() -> None:
    """Run once with the config given as JSON file."""
    config = build(json.loads(Path(sys.argv[1]).read_text()), {})
    memory = Memory()
    memory.start()
    # As in the daemon, all is imported and opened already.
    path = Path(config.state.path)
    state, pod_key = State(path), PodKey.load_or_create(path / "pod.key")
    source, targets = open_source(config), open_targets(config)
    source.changes(None)  # the daemon knows the tables since its first run
    source.fingerprints(source.accounts(state.usernames()[:1]))
    begun, used = time.perf_counter(), time.process_time()
    with open_pool(config) as pool:
        report = run_backup(config, state, source, targets, pod_key, pool=pool)
        seconds = time.perf_counter() - begun
        memory.done.set()
        memory.look()
    used = time.process_time() - used
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    if report.failed:
        sys.exit(f"{len(report.failed)} accounts failed: {report.failed[0].reason}")
    print(
        json.dumps(
            {
                "seconds": seconds,
                "changed": report.written,
                "accounts": report.looked_at,
                "bytes": report.bytes,
                "records": sum(a.records for a in report.accounts),
                "cpu": used + workers.ru_utime + workers.ru_stime,
                "largest": memory.largest,
                "together": memory.together,
            }
        )
    )


if __name__ == "__main__":
    main()
