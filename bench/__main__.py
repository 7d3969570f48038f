"""`make bench`: measure, print, and write docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from bench.stages import stages
from vaultd.config import build

SIZES = (1_000, 20_000, 100_000)


def _run(argument: str) -> str:
    command = [sys.executable, "-m", "bench.heavy", argument]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Measure all sizes, each in a process of its own."""
    figures = {}
    folders = {size: Path(_run(str(size))) for size in SIZES}
    for size, folder in folders.items():
        figures[size] = json.loads(_run(str(folder)))
    # Last: a child's peak counts from its parent's, and this one holds all records at once.
    folder = folders[20_000]
    split = stages(build(json.loads((folder / "config.json").read_text()), {}), folder)
    heavy, small, large = figures[20_000], figures[1_000], figures[100_000]
    lines = [
        "# Performance",
        "",
        "Written by `make bench`; one machine, one run: read ratios and shares, not seconds.",
        f"Python {platform.python_version()}, {os.cpu_count()} cores, SQLite pod, folder target.",
        "",
        f"## One heavy account ({heavy['records']:,} records)",
        "",
        "| figure | value |",
        "|---|---|",
        f"| full backup | {heavy['records'] / heavy['full']:,.0f} records/s per core |",
        f"| run in which nothing changed | {heavy['idle'] / heavy['full']:.2f} of a full one |",
        f"| reading the database alone | {heavy['read'] / heavy['full']:.2f} of a full backup |",
        f"| stored | {heavy['bytes'] / heavy['records']:.0f} bytes per record |",
        f"| restore to records | {heavy['restore'] / heavy['records'] * 10_000:.2f} s per 10,000 |",
        f"| restore | {heavy['restore'] / heavy['full']:.2f} of the time of the backup |",
        "",
        "## Where the time goes",
        "",
        "Each stage alone, on the same records; shares of their sum.",
        "",
        "| stage | share | records/s |",
        "|---|---|---|",
    ]
    total = sum(split.values())
    for name, seconds in split.items():
        share, speed = seconds / total, heavy["records"] / seconds
        lines.append(f"| {name} | {share:.0%} | {speed:,.0f} |")
    ratio = large["backup_peak_mib"] / small["backup_peak_mib"]
    lines += [
        "",
        "## Peak memory",
        "",
        "| records | backup (two runs) | with restore |",
        "|---|---|---|",
        *(
            f"| {f['records']:,} | {f['backup_peak_mib']:.0f} MiB | {f['peak_mib']:.0f} MiB |"
            for f in (small, heavy, large)
        ),
        "",
        f"From {small['records']:,} to {large['records']:,} records: {ratio:.2f} times "
        "the memory in a backup, "
        f"{large['peak_mib'] / small['peak_mib']:.2f} with the restore.",
        "",
    ]
    text = "\n".join(lines)
    Path("docs/performance.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
