"""The command line beside a daemon that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import demo, pod, vaultd

__all__ = ["demo", "pod"]


@pytest.fixture
def running(pod: Path) -> Iterator[tuple[str, ...]]:
    """Start `vaultd run` on the demo's pod; yields the config's option."""
    config = ("--config", str(pod / "config.toml"))
    assert vaultd("init", *config).returncode == 0
    daemon = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "run", *config], stderr=subprocess.PIPE, text=True
    )
    assert daemon.stderr is not None
    for line in daemon.stderr:
        if "Ready:" in line:
            break
    yield config
    daemon.terminate()
    _, said = daemon.communicate(timeout=60)
    assert daemon.returncode == 0, said
    assert "has its turn" in said


def test_every_command_works_beside_the_daemon(running: tuple[str, ...]) -> None:
    done = vaultd("backup", "ada", "--progress", "json", *running)
    assert done.returncode == 0, done.stderr
    assert "1 account looked at" in done.stdout
    assert [json.loads(x) for x in done.stderr.splitlines() if x.startswith("{")]
    made = vaultd("keygen", "--out", str(Path(running[1]).parent / "kit.txt"), *running)
    recipient = made.stdout.strip()
    for command, fine in (
        (["enroll", "ada", "--recipient", recipient], {0}),
        (["enroll", "--all"], {0, 3}),
        (["backup", "ada"], {0}),
        (["forget", "--dry-run"], {0}),
        (["forget", "ada"], {0}),
        (["scrub", "--share", "1%"], {0}),
        (["status"], {0}),
        (["check"], {0}),
    ):
        done = vaultd(*command, *running)
        assert done.returncode in fine, (command, done.stdout, done.stderr)
