"""Memory hardly grows with the account: by the index, some hundred bytes a record at its peak."""

from __future__ import annotations

import subprocess
import sys


def peak(records: int) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "tests.backup.memory_process", str(records)],
        capture_output=True,
        check=True,
        text=True,
    )
    return int(done.stdout)


def test_a_hundred_thousand_records_take_at_most_300_bytes_each_more_than_a_thousand() -> None:
    assert (peak(100_000) - peak(1_000)) * 1024 <= 300 * 99_000
