"""The demo, made once for all tests of the command line in this process."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Vaultd = Callable[..., "subprocess.CompletedProcess[str]"]


def vaultd(
    *arguments: str, stdin: str = "", more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "vaultd", *arguments],
        capture_output=True,
        text=True,
        errors="replace",  # it may print in another encoding
        check=False,
        input=stdin,
        env={**os.environ, **(more or {})},
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "kept"
    done = vaultd("demo", "--keep", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["fine"]
    assert document["runs"][1]["changed"] < document["runs"][0]["changed"] * 2 / 3
    assert all(c["equal"] for c in document["comparisons"])
    assert {d["exit_code"] for d in document["damage"]} == {4, 5}
    return folder


@pytest.fixture
def pod(demo: Path, tmp_path: Path) -> Path:
    """A copy of the demo that a test may change; its config names the copy."""
    folder = tmp_path / "pod"
    shutil.copytree(demo, folder, symlinks=True)
    config = folder / "config.toml"
    config.write_text(re.sub(re.escape(str(demo)), str(folder), config.read_text()))
    return folder
