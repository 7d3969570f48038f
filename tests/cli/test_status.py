"""`vaultd status`: the first line for a podmin, few lines for a big pod, the keys for machines."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import vaultd


def test_a_big_pod_gets_counts_and_all_on_request(pod: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    assert vaultd("backup", *config).returncode == 0
    shown = vaultd("status", *config).stdout.splitlines()
    assert shown[0].startswith("✓ Well: 60 accounts, each looked at in the last ")
    assert shown[1].startswith("● last run ")
    assert len(shown) < 12
    everybody = vaultd("status", "--all", *config).stdout.splitlines()
    assert len(everybody) > 60
    assert vaultd("pause", *config).returncode == 0
    paused = vaultd("status", *config).stdout
    assert paused.startswith("✗ Not well: runs wait for")


def test_the_json_keeps_its_keys_and_says_whether_all_is_well(pod: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    found = json.loads(vaultd("status", "--json", *config).stdout)
    assert {"accounts", "targets", "own_targets", "well", "sentence", "problems"} <= set(found)
    assert set(found["accounts"][0]) >= {
        "username", "handle", "vault", "records", "newest", "age_seconds", "sequences", "reason",
    }  # fmt: skip
    assert len(found["accounts"]) == 60
