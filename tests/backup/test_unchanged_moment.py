"""A database that stands where it stood excuses nobody when the config says something else."""

from __future__ import annotations

import msgspec
import pytest

from tests.backup.world import World
from vaultd.config import Pod


@pytest.fixture
def quiet(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A pod in whose database nothing is ever written."""
    monkeypatch.setattr(world.source, "moment", lambda: b"the same place")
    world.run()
    assert world.run().unchanged
    return world


def test_a_corrected_pod_url_is_written_although_no_row_changed(quiet: World) -> None:
    pod = Pod("https://right.example", quiet.config.pod.database, quiet.config.pod.uploads)
    quiet.config = msgspec.structs.replace(quiet.config, pod=pod)
    quiet.alice.put("post", "p1", {"text": "says the new address"})  # as records made of it do
    report = quiet.run()
    assert [account.username for account in report.changed] == ["alice"]
    assert quiet.snapshot().manifest.pod_url == "https://right.example"
    assert quiet.run().unchanged
