"""One vaultd per state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vaultd.errors import ConfigError, LockedError
from vaultd.state.lock import StateLock

_HOLD = """
import sys, pathlib
from vaultd.state.lock import StateLock
StateLock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_vaultd_is_told_which_process_has_the_state(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=f"process {holder.pid}"):
            StateLock(tmp_path).acquire()
        holder.kill()
    with StateLock(tmp_path):  # the kernel dropped it with the process
        pass


def test_the_lock_is_free_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with StateLock(tmp_path), pytest.raises(LockedError):
            StateLock(tmp_path).acquire()


def test_a_state_folder_that_cannot_be_used_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state\.path"):
        StateLock(tmp_path / "file").acquire()
