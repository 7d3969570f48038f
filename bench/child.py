"""Runs in a process that stays up, as the daemon does: one for each line of its input.

python -m bench.child CONFIG    answers each line with one of JSON
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from pathlib import Path

from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.run.pool import open_pool
from vaultd.backup.run.run import run_backup
from vaultd.config import Config, build
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


class Daemon:
    """What the daemon keeps open between its runs."""

    def __init__(self, config: Config) -> None:
        path = Path(config.state.path)
        self._config = config
        self._state, self._pod_key = State(path), PodKey.load_or_create(path / "pod.key")
        self._source, self._targets = open_source(config), open_targets(config)

    def backup(self) -> dict[str, float]:
        """Run once; seconds, processor seconds of this process and its workers, MiB."""
        memory = Memory()
        memory.start()
        begun, used = time.perf_counter(), _processor()
        with open_pool(self._config) as pool:
            report = run_backup(
                self._config, self._state, self._source, self._targets, self._pod_key, pool=pool
            )
            seconds = time.perf_counter() - begun
            memory.done.set()
            memory.look()
        if report.failed:
            sys.exit(f"{len(report.failed)} accounts failed: {report.failed[0].reason}")
        return {
            "seconds": seconds,
            "changed": report.written,
            "accounts": report.looked_at,
            "bytes": report.bytes,
            "records": sum(a.records for a in report.accounts),
            "cpu": _processor() - used,
            "largest": memory.largest,
            "together": memory.together,
        }


def _processor() -> float:
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + workers.ru_utime + workers.ru_stime


def main() -> None:
    """Serve until the input ends, with the config given as JSON file."""
    daemon = Daemon(build(json.loads(Path(sys.argv[1]).read_text()), {}))
    for _ in sys.stdin:
        print(json.dumps(daemon.backup()), flush=True)


if __name__ == "__main__":
    main()
