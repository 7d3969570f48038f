"""The benchmarks run, small, and their page and plots are whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from tests.servers import unavailable

ROOT = Path(__file__).parents[2]


def test_all_parts_measure_something_and_are_drawn() -> None:
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        unavailable("postgresql", "it is not installed")
    parts = ["heavy", "tiny", "big", "year", "stages"]
    if all(shutil.which(peer) for peer in ("age", "restic", "borg", "zstd")):
        parts.append("pod")  # the peers come with bench/setup.sh
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", *parts],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = Path(done.stderr.rpartition("written to ")[2].strip())
    try:
        page = (folder / "performance.md").read_text()
        assert "microseconds" not in page
        for heading in ("## A pod of 20 accounts", "nights of one lively account", "raw limit"):
            assert heading in page
        plots = {path.name: ElementTree.parse(path) for path in folder.glob("*.svg")}
        assert {"unchanged.svg", "year.svg"} <= set(plots)
        if "pod" in parts:
            assert page.count("| met |") + page.count("**missed**") == 14
            assert "throughput.svg" in plots
    finally:
        shutil.rmtree(folder)


def test_far_targets_are_measured_beside_rclone() -> None:
    for name, program in (("rclone", "rclone"), ("apache", "apache2")):
        if shutil.which(program) is None and shutil.which(program, path="/usr/sbin") is None:
            unavailable(name, f"there is no {program}")
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "targets"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = Path(done.stderr.rpartition("written to ")[2].strip())
    try:
        page = (folder / "performance.md").read_text()
    finally:
        shutil.rmtree(folder)
    rows = [line for line in page.splitlines() if line.endswith(("| met |", "| **missed** |"))]
    assert len(rows) == 36
    counted = [line for line in rows if "requests that" in line]
    assert len(counted) == 7
    assert all(line.endswith("| met |") for line in counted), counted


def test_an_unknown_part_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "everything"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "There is no part" in done.stderr
