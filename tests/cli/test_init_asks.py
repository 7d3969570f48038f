"""`vaultd init` says what it is about to make, and makes nothing unasked on a terminal."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import vaultd
from tests.cli.terminal import Terminal


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("VAULTD_STATE_PATH", str(tmp_path / "state"))
    monkeypatch.setenv("VAULTD_TARGETS_MAIN_URL", (tmp_path / "vaults").as_uri())
    yield tmp_path


def test_a_new_config_is_to_be_edited_first(places: Path) -> None:
    config = places / "config.toml"
    with closing(Terminal("init", "--config", str(config))) as terminal:
        for made in (f"the folder {places / 'state'} (state.path)", "the pod key", "twelve words"):
            terminal.await_text(made)
        terminal.say("[y/N]: ", "")
        code, out = terminal.result()
    assert code == 0
    assert "nothing was made" in out
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert os.listdir(places) == ["config.toml"]
    with closing(Terminal("init", "--config", str(config))) as terminal:
        terminal.say("[Y/n]: ", "")
        assert terminal.result()[0] == 0
    assert (places / "state" / "pod.key").exists()
    assert (places / "vaults").is_dir()


def test_where_all_is_there_nothing_is_asked(places: Path) -> None:
    config = ("--config", str(places / "config.toml"))
    assert vaultd("init", *config).returncode == 0
    with closing(Terminal("init", *config)) as terminal:
        code, out = terminal.result()
    assert code == 0
    assert "is there since" in out


def test_yes_is_for_scripts_on_a_terminal(places: Path) -> None:
    with closing(Terminal("init", "--yes", "--config", str(places / "config.toml"))) as terminal:
        assert terminal.result()[0] == 0
    assert (places / "state" / "pod.key").exists()
