"""Secrets that others may read are named, and what is none is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaultd.backup.checks.open_secrets import open_secrets
from vaultd.config import DEFAULT_TEXT

SECRET = """
[pod]
database = "postgresql://me:hunter2@host/db"
database_password = "hunter2"
[targets.main]
url = "file:///srv"
secret_key = "hunter2"
token = { file = "/etc/secret" }
"""


@pytest.mark.parametrize(("mode", "open_to_all"), [(0o644, True), (0o640, False), (0o600, False)])
def test_a_config_with_secrets_that_everybody_may_read_is_named_without_them(
    tmp_path: Path, mode: int, open_to_all: bool
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(SECRET)
    config.chmod(mode)
    found = open_secrets(config, tmp_path / "none")
    assert bool(found) == open_to_all
    if found:
        assert "pod.database_password, targets.main.secret_key, the password in" in found[0]
        assert "hunter2" not in found[0]
        assert "token" not in found[0]


@pytest.mark.parametrize(
    "text",
    [
        DEFAULT_TEXT,
        "no toml [",
        '[pod]\ndatabase = "postgresql://reader@localhost:5432/d"\n',
        '[pod]\ndatabase = "postgresql://reader@[::1]:5432/d?host=/a:b"\n',
        "[targets]\nmain = 3\n",
    ],
)
def test_a_config_without_secrets_may_lie_open(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    config.chmod(0o644)
    assert open_secrets(config, tmp_path / "none") == []


def test_a_pod_key_is_its_owners(tmp_path: Path) -> None:
    key = tmp_path / "pod.key"
    key.write_text("0" * 64)
    key.chmod(0o640)
    assert "signs in this pod's name" in open_secrets(tmp_path / "none", key)[0]
    key.chmod(0o600)
    assert open_secrets(tmp_path / "none", key) == []
