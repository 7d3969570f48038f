"""[user_targets], [metrics] and `reserve`: what is taken, and which keys are refused."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from vaultd.config import Config, Target, build, byte_count, read_key
from vaultd.errors import ConfigError

KEY = bytes(range(100, 132))


def config(**sections: dict[str, Any]) -> Config:
    tree: dict[str, Any] = {
        "pod": {"url": "https://pod.example", "database": "sqlite:///pod", "uploads": "/up"},
        "targets": {"main": {"url": "file:///vaults"}},
        **sections,
    }
    return build(tree, {})


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "targets.key"
    path.write_bytes(base64.b64encode(KEY) + b"\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    "content", [KEY, KEY.hex().encode(), base64.b64encode(KEY), base64.b64encode(KEY) + b"\n"]
)
def test_a_key_is_raw_hex_or_base64(key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    assert read_key({"file": str(key_file)}, "k") == KEY


@pytest.mark.parametrize(
    "content",
    [b"", b"hunter2\n", b"a typed password of 32 letters..", b"x" * 5000, KEY[:31], KEY + b"\n", b"\0" * 64],
)  # fmt: skip
def test_what_is_no_key_of_32_random_bytes_is_refused(key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    with pytest.raises(ConfigError, match="openssl rand") as raised:
        read_key({"file": str(key_file)}, "user_targets.key")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    with pytest.raises(ConfigError, match=r"read by others.*chmod 600"):
        read_key({"file": str(key_file)}, "user_targets.key")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_key_of_another_user_is_refused(key_file: Path) -> None:
    os.chown(key_file, 65534, 65534)
    with pytest.raises(ConfigError, match="belongs to another user"):
        read_key({"file": str(key_file)}, "k")


def test_a_missing_key_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"No such file.*openssl rand.*lost key"):
        read_key({"file": str(tmp_path / "none")}, "user_targets.key")
    with pytest.raises(ConfigError, match=r"user_targets\.key: this is missing"):
        config(user_targets={"enabled": True}).user_targets.sealing_key()


def test_a_systemd_credential_is_a_key(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = config(user_targets={"key": {"credential": "targets.key"}}).user_targets
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(ConfigError, match="LoadCredential="):
        section.sealing_key()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    key_file.chmod(0o440)  # as systemd shows an access list
    assert section.sealing_key() == KEY
    for name in ("none", "../targets.key", ""):
        with pytest.raises(ConfigError, match="no systemd credential"):
            read_key({"credential": name}, "k")
    for given in ({}, {"text": "x"}, {"file": "a", "credential": "b"}):
        with pytest.raises(ConfigError, match="this must be"):
            read_key(given, "k")


def test_networks_are_parsed_and_others_refused() -> None:
    section = config(user_targets={"permit": ["10.0.0.0/8", "fd00::/8"]}).user_targets
    assert [str(n) for n in section.networks] == ["10.0.0.0/8", "fd00::/8"]
    for wrong in ("10.0.0.1/8", "everything", ""):
        with pytest.raises(ConfigError, match=r"user_targets\.permit"):
            config(user_targets={"permit": [wrong]})


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"user_targets": {"enable": True}}, "did you mean 'enabled'"),
        ({"user_targets": {"key": "hunter2"}}, "user_targets.key"),
        ({"user_targets": {"time": "0s"}}, "user_targets.time"),
        ({"metrics": {"textfile": "vaultd.prom"}}, "absolute path"),
        ({"metrics": {"textfile": "/x/vaultd.txt"}}, "ends with .prom"),
        ({"targets": {"own": {"url": "file:///x"}}}, "for the targets that users bring"),
        ({"targets": {"main": {"url": "file:///x", "reserve": "much"}}}, "targets.main.reserve"),
        ({"targets": {"main": {"url": "file:///x", "reserve": "101%"}}}, "targets.main.reserve"),
    ],
)
def test_what_cannot_be_meant_is_refused(sections: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        config(**sections)
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_variables_reach_sections_with_an_underscore() -> None:
    tree: dict[str, Any] = {
        "pod": {"url": "https://pod.example", "database": "sqlite:///pod", "uploads": "/up"},
        "targets": {"main": {"url": "file:///vaults"}},
    }
    found = build(
        tree,
        {
            "VAULTD_USER_TARGETS_ENABLED": "true",
            "VAULTD_USER_TARGETS_PERMIT": "10.0.0.0/8 fd00::/8",
            "VAULTD_METRICS_TEXTFILE": "/x/vaultd.prom",
        },
    )
    assert found.user_targets.enabled
    assert found.user_targets.permit == ("10.0.0.0/8", "fd00::/8")
    assert found.metrics.textfile == "/x/vaultd.prom"


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("17", 17), ("500MB", 500_000_000), ("10GiB", 10 << 30), ("1.5 Ki", 1536), ("2T", 2 * 10**12)],
)  # fmt: skip
def test_sizes(text: str, count: int) -> None:
    assert byte_count(text, "k") == count


@pytest.mark.parametrize("text", ["", "-1", "ten", "1 e9", "5%", "1XB", "１GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="k: "):
        byte_count(text, "k")


@pytest.mark.parametrize(
    ("reserve", "total", "kept"),
    [
        ("", 100 << 30, 1 << 30),
        ("", 1 << 30, (1 << 30) // 20),
        ("", None, 64 << 20),
        ("10%", 1000, 100),
        ("10%", None, 0),
        ("0", 1 << 40, 0),
        ("2GiB", None, 2 << 30),
    ],
)
def test_the_reserve_is_said_or_derived(reserve: str, total: int | None, kept: int) -> None:
    assert Target("file:///x", reserve=reserve).reserve_bytes(total) == kept
