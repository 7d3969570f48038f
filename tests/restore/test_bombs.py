"""Any hostile vault costs at most 256 MB of memory, and time and disk as the bytes it stores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.restore import bombs
from tests.vault import small_vault as small
from vaultd.keys import Kit, kit

MOST = 256 * 1024  # KiB, as the system counts resident memory
SECONDS = 60  # of the processor: each takes a few; without bounds they took minutes
DISK = 400 * bombs.MiB
READER = Path(__file__).resolve().parents[2] / "tools" / "vault_reader.py"

_CHILD = """
import re, sys, time
from vaultd.cli.main import main
try:
    main()
finally:
    # Not ru_maxrss: that begins with what the parent had.
    print("peak", re.search(r"VmHWM:\\s+([0-9]+)", open("/proc/self/status").read())[1],
          time.process_time(), file=sys.stderr)
"""


def run(*arguments: str) -> tuple[int, str, int, float]:
    """Run the command line in a process of its own.

    Return its code, its words, its peak (KiB) and the processor's seconds, which no load changes.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "VAULTD_CONFIG": "/nonexistent"},
    )
    words, _, peak = done.stderr.rpartition("peak ")
    return done.returncode, done.stdout + words, int(peak.split()[0]), float(peak.split()[1])


@pytest.fixture(scope="module")
def kit_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("kit") / "kit.txt"
    kit.write(path, Kit(small.SECRET, (small.POD_KEY.fingerprint,)))
    return str(path)


@pytest.mark.parametrize("name", list(bombs.BOMBS))
def test_a_bomb_costs_bounded_memory_time_and_disk(
    name: str, kit_file: str, tmp_path: Path
) -> None:
    stored = bombs.write(tmp_path / "vaults", bombs.BOMBS[name]())
    assert stored < 12 * bombs.MiB
    base = ("--kit", kit_file, "--from", str(tmp_path / "vaults"))
    out = tmp_path / "out"
    for arguments in (
        ("archives", *base),
        ("verify", *base),
        ("restore", *base, "--format", "records", "--out", str(out / "records")),
        ("restore", *base, "--format", "diaspora", "--out", str(out / "diaspora")),
        ("restore", *base, "--format", "html", "--out", str(out / "html")),
    ):
        code, words, peak, seconds = run(*arguments)
        assert "Traceback" not in words
        assert code in (0, 4)
        assert peak < MOST
        assert seconds < SECONDS
    disk = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    assert disk < DISK + 10 * stored


def test_what_is_too_much_is_named_and_may_be_allowed(kit_file: str, tmp_path: Path) -> None:
    bombs.write(tmp_path / "vaults", bombs.endless_texts(600))
    base = ("restore", "--kit", kit_file, "--from", str(tmp_path / "vaults"), "--format", "records")
    code, words, _, _ = run(*base, "--out", str(tmp_path / "a"))
    assert code == 4
    assert "--unpack-limit" in words
    assert not (tmp_path / "a" / "records.jsonl").exists()
    code, words, peak, _ = run(*base, "--out", str(tmp_path / "b"), "--unpack-limit", "1GB")
    assert code == 0, words
    assert (tmp_path / "b" / "records.jsonl").stat().st_size > 149 * bombs.MiB
    assert peak < MOST


def test_junk_names_cost_time_as_they_are_many(tmp_path: Path) -> None:
    folder = tmp_path / "vaults" / ("a" * 32)
    folder.mkdir(parents=True)
    for number in range(20_000):
        (folder / f"{number // 2:010d}-{number:064x}").write_bytes(b"junk")
    code, words, peak, seconds = run("verify", "--from", str(tmp_path / "vaults"))
    assert code == 4
    assert "20,000" in words
    assert peak < MOST
    assert seconds < SECONDS / 2


@pytest.mark.parametrize("name", list(bombs.BOMBS))
def test_the_independent_reader_is_bounded_too(name: str, kit_file: str, tmp_path: Path) -> None:
    bombs.write(tmp_path / "vaults", bombs.BOMBS[name]())
    code = (
        "import re, runpy, sys, time\n"
        "sys.argv[0] = 'vault_reader.py'\n"
        "try:\n"
        f"    runpy.run_path({str(READER)!r}, run_name='__main__')\n"
        "finally:\n"
        "    print('peak', re.search(r'VmHWM:\\s+([0-9]+)', open('/proc/self/status').read())[1],"
        " time.process_time(), file=sys.stderr)\n"
    )
    (tmp_path / "blobs").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "vaults"), kit_file,
         "--blobs", str(tmp_path / "blobs")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    words, _, peak = done.stderr.rpartition("peak ")
    assert "Traceback" not in words
    assert done.returncode in (0, 4)
    assert int(peak.split()[0]) < MOST
    assert float(peak.split()[1]) < SECONDS
