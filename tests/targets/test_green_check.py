"""A green check means that a night will work: `init`, `check` and `backup` agree on a cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.servers.nextcloud import CloudServer
from tests.backends.servers.running import PASSWORD, USER
from tests.cli.conftest import demo, pod
from tests.targets.test_command_line import _targets, vaultd

__all__ = ["demo", "pod"]


@pytest.fixture
def cloud() -> Iterator[CloudServer]:
    server = CloudServer()
    yield server
    server.stop()


def config_for(cloud: CloudServer, pod: Path) -> str:
    config = pod / "config.toml"
    _targets(
        config,
        f"""
[targets.cloud]
url = "nextcloud://{USER}@127.0.0.1:{cloud.port}/vaults"
password = "{PASSWORD}"
insecure = true
tries = 1
""",
    )
    return str(config)


@pytest.mark.parametrize("lists_uploads", [True, False])
def test_a_cloud_with_the_manners_of_today_is_green_and_takes_a_night(
    cloud: CloudServer, pod: Path, lists_uploads: bool
) -> None:
    """Nextcloud 33, and 34, which does not list uploads; both give OC-Checksum twice with HEAD."""
    cloud.lists_uploads = lists_uploads
    config = config_for(cloud, pod)
    code, out, err = vaultd("init", "--yes", "--config", config)
    assert code == 0, out + err
    code, out, err = vaultd("check", "--target", "cloud", "--config", config)
    assert code == 0, out + err
    assert "stored, listed, read and deleted as in a run" in out
    code, out, err = vaultd("backup", "--config", config)
    assert code == 0, out + err
    assert any("/vaults/" in name for name in cloud.tree.nodes)


def test_what_a_night_would_fail_at_is_told_by_init_and_check(
    cloud: CloudServer, pod: Path
) -> None:
    config = config_for(cloud, pod)
    cloud.breaks_joining = True
    code, out, err = vaultd("init", "--yes", "--config", config)
    assert code == 6, out + err
    assert "✗" in out + err
    code, out, _ = vaultd("check", "--target", "cloud", "--json", "--config", config)
    assert code == 6
    (trial,) = [c for c in json.loads(out)["checks"] if "what a run does fails" in c["sentence"]]
    assert not trial["fine"]
