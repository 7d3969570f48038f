"""systemd/vaultd.service: valid, hardened, and in step with the daemon and the example config."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vaultd.config import load
from vaultd.daemon.service import STOP_SECONDS

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "systemd" / "vaultd.service"


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def analyze(*arguments: str) -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    done = subprocess.run(
        ["systemd-analyze", *arguments, str(UNIT)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
    return done.stdout


def test_systemd_has_nothing_to_say_against_the_unit() -> None:
    assert analyze("verify", "--man=no").strip() == ""


def test_systemd_calls_the_unit_well_hardened() -> None:
    match = re.search(r"exposure level for \S+: ([0-9.]+)", analyze("security", "--offline=yes"))
    assert match is not None
    assert float(match[1]) <= 1.5


def test_the_unit_gives_the_daemon_the_time_it_takes_to_stop() -> None:
    assert int(settings()["TimeoutStopSec"][0]) > STOP_SECONDS
    assert settings()["Type"] == ["notify"]


def test_the_unit_lets_the_example_config_work() -> None:
    config = load(ROOT / "config.example.toml", {})
    found = settings()
    assert config.state.path == f"/var/lib/{found['StateDirectory'][0]}"
    target = config.targets["main"].url.removeprefix("file://")
    assert target in [path.removeprefix("-") for path in found["ReadWritePaths"]]
    assert found["ExecStart"][0].endswith("vaultd run --config /etc/vaultd/config.toml")
