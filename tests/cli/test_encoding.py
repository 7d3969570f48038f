"""What cannot be shown on a terminal is shown as something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import vaultd

LATIN = {"PYTHONIOENCODING": "iso-8859-1", "PYTHONUTF8": "0"}


@pytest.mark.parametrize("encoding", ["iso-8859-1", "cp1252", "koi8-r"])
def test_commands_work_where_the_marks_cannot_be_shown(pod: Path, encoding: str) -> None:
    more = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    config = ("--config", str(pod / "config.toml"))
    for command in (["init"], ["status"], ["verify", "--from", "main"]):
        done = vaultd(*command, *config, more=more)
        assert done.returncode == 0, done.stderr
        assert "ok " in done.stdout
    assert vaultd("status", "--help", more=more).returncode == 0


def test_json_is_json_in_every_encoding(pod: Path) -> None:
    done = vaultd("status", "--json", "--config", str(pod / "config.toml"), more=LATIN)
    assert json.loads(done.stdout.encode("iso-8859-1", "surrogateescape").decode("ascii"))


def test_a_file_name_of_odd_bytes_can_be_named_in_an_error() -> None:
    done = vaultd("archives", "--kit", "no-\udcff-file", "--from", "file:///nowhere")
    assert done.returncode in (2, 6)
    assert "bug" not in done.stderr
