"""Root's commands work as the owner of the state, and leave no file that is not the owner's."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import vaultd
from vaultd.cli.init_steps import owner_to_be
from vaultd.cli.privileges import work_as_owner
from vaultd.errors import ConfigError, UsageError

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = pwd.getpwnam("nobody")


def give_to_nobody(*folders: Path) -> None:
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)


def open_the_way(folder: Path) -> None:
    """Let others pass to a folder of the tests."""
    for each in (folder, *folder.parents):
        if each != Path("/") and each.stat().st_uid == os.geteuid():
            each.chmod(each.stat().st_mode | 0o055)


@ROOT
def test_what_root_does_after_the_chown_is_the_daemons(pod: Path) -> None:
    open_the_way(pod)
    config = ("--config", str(pod / "config.toml"))
    assert vaultd("init", *config).returncode == 0
    for path in pod.iterdir():
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    state, vaults = pod / "state", pod / "vaults"
    give_to_nobody(state, vaults)
    for command in (["enroll", "--all"], ["backup"], ["check"], ["status"], ["pause"], ["resume"]):
        done = vaultd(*command, *config)
        assert done.returncode in (0, 3), done.stdout + done.stderr
    for command in (["forget"], ["scrub", "--share", "1%"]):
        done = vaultd(*command, *config)
        assert done.returncode == 0, done.stdout + done.stderr
    others = [p for top in (state, vaults) for p in (top, *top.rglob("*")) if p.lstat().st_uid == 0]
    assert others == []


@ROOT
def test_a_copy_by_root_into_a_place_of_the_daemon_is_the_daemons(pod: Path) -> None:
    there = pod / "second"
    there.mkdir()
    give_to_nobody(there)
    done = vaultd("copy", "--from", (pod / "vaults").as_uri(), "--to", there.as_uri())
    assert done.returncode == 0, done.stderr
    found = list(there.rglob("*"))
    assert found
    assert {path.lstat().st_uid for path in found} == {NOBODY.pw_uid}


@ROOT
def test_init_as_root_makes_folders_for_the_user_it_is_told_and_a_config_for_few(
    tmp_path: Path,
) -> None:
    open_the_way(tmp_path)
    config = tmp_path / "etc" / "config.toml"
    more = {
        "VAULTD_STATE_PATH": str(tmp_path / "lib" / "state"),
        "VAULTD_TARGETS_MAIN_URL": (tmp_path / "srv" / "vaults").as_uri(),
    }
    done = vaultd("init", "--user", "nobody", "--config", str(config), more=more)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert config.stat().st_gid == NOBODY.pw_gid
    for path in (tmp_path / "lib" / "state", tmp_path / "srv" / "vaults"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert {p.stat().st_uid for p in (path, *path.rglob("*"))} == {NOBODY.pw_uid}
    again = vaultd("init", "--user", "nobody", "--config", str(config), more=more)
    assert again.returncode == 0
    key = done.stdout.partition("recovery key ")[2].partition(",")[0]
    assert key.startswith("vault1")
    assert f"recovery key {key} is there since" in again.stdout


@ROOT
def test_a_state_of_somebody_else_is_named_as_such(pod: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    give_to_nobody(pod / "state")
    os.chown(pod / "state" / "pod.key", 12345, 12345)
    done = vaultd("status", *config)
    assert done.returncode == 2
    assert "pod.key belongs to 12345, and this vaultd runs as nobody" in done.stderr
    assert "chown -R nobody:" in done.stderr


def test_ones_own_state_and_none_yet_are_fine(tmp_path: Path) -> None:
    work_as_owner(tmp_path)
    work_as_owner(tmp_path / "none")


def test_a_user_who_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no user .nobody-at-all"):
        owner_to_be("nobody-at-all")


def test_the_check_of_an_owner_raises_for_anybody_but_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConfigError, match="belongs to .*, and this vaultd runs as 12345"):
        work_as_owner(tmp_path)
