"""The frozen vectors, read by vaultd and by the independent reader."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
READER = HERE.parents[1] / "tools" / "vault_reader.py"
DAMAGED = sorted(p.name for p in (HERE / "damaged").iterdir())


def _reader(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(READER), str(folder / "vault"), str(folder / "kit.txt")],
        capture_output=True,
        text=True,
        check=False,
    )


def _vaultd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vaultd", *arguments], capture_output=True, text=True, check=False
    )


def _records(text: str) -> list[object]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_independent_reader_reads_the_small_vault() -> None:
    done = _reader(HERE / "small")
    assert done.returncode == 0, done.stderr
    assert _records(done.stdout) == _records((HERE / "small" / "expected.jsonl").read_text())


def test_vaultd_restores_the_small_vault(tmp_path: Path) -> None:
    place = (HERE / "small" / "vault").resolve().as_uri()
    kit = str(HERE / "small" / "kit.txt")
    done = _vaultd(
        "restore", "--kit", kit, "--from", place, "--out", str(tmp_path), "--format", "records"
    )
    assert done.returncode == 0, done.stderr
    assert _records((tmp_path / "records.jsonl").read_text()) == _records(
        (HERE / "small" / "expected.jsonl").read_text()
    )


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named_with_its_exit_status(case: str) -> None:
    folder = HERE / "damaged" / case
    status, named = (folder / "expected.txt").read_text().split("\n")[:2]
    mine = _vaultd(
        "verify", "--kit", str(folder / "kit.txt"), "--from", (folder / "vault").resolve().as_uri()
    )
    assert mine.returncode == int(status), mine.stdout + mine.stderr
    assert "Traceback" not in mine.stderr
    if case != "missing":  # the reader names what it wanted to read, verify the gap after it
        assert named in mine.stdout + mine.stderr
    other = _reader(folder)
    assert other.returncode in ((0, 4) if case == "forged" else (int(status),)), other.stderr


def test_the_reader_is_one_file_under_300_lines_without_vaultd() -> None:
    text = READER.read_text()
    assert len(text.splitlines()) < 300
    assert "import vaultd" not in text
    assert "from vaultd" not in text
