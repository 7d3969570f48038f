"""The largest memory of this process since it began its program."""

from __future__ import annotations

import re
from pathlib import Path


def peak() -> int:
    """Return KiB. Not `ru_maxrss`, which begins with what the parent had."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])
