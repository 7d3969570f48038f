"""Memory does not grow with the account."""

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


def test_a_hundred_thousand_records_take_at_most_a_fifth_more_than_a_thousand() -> None:
    assert peak(100_000) <= 1.2 * peak(1_000)
