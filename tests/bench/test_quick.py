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
