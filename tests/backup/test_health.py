"""Whether all is well: never green when it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.backup.world import World
from vaultd.backends.memory import MemoryBackend
from vaultd.backup import health as health_module
from vaultd.backup.counting import ask_targets
from vaultd.backup.health import Health, health
from vaultd.backup.metrics import metrics_text
from vaultd.backup.pace import PAUSED
from vaultd.backup.status import account_statuses
from vaultd.errors import PlaceError


def judge(world: World, monkeypatch: pytest.MonkeyPatch, later: timedelta = timedelta()) -> Health:
    monkeypatch.setattr(health_module, "now", lambda: datetime.now(UTC) + later)
    statuses = account_statuses(world.state, list(world.targets))
    return health(world.config, world.state, statuses)


def test_a_pod_that_is_backed_up_is_well_and_says_until_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.run()
    found = judge(world, monkeypatch, timedelta(hours=5))
    assert found.well
    assert found.sentence == (
        "Well: 1 account, each looked at in the last 5 h (a round takes 24h) and backed up on "
        "every target."
    )


def test_nothing_that_ran_for_weeks_is_not_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    assert judge(world, monkeypatch).sentence.startswith("Not well: nothing was ever backed up")
    world.run()
    assert judge(world, monkeypatch, timedelta(hours=35)).well
    found = judge(world, monkeypatch, timedelta(days=60))
    assert found.sentence.startswith("Not well: nothing has run for 60 d; a round is due every 24h")
    assert found.late == 1


def test_one_of_many_that_is_late_or_new_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.run()
    world.person("bob")
    found = judge(world, monkeypatch)
    assert found.problems == ("1 account not looked at yet.",)
    assert found.oldest_look is None
    assert not found.well


def test_a_pause_and_a_clock_set_back_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.run()
    (tmp_path / PAUSED).touch()
    assert "`vaultd resume` lets them go on" in judge(world, monkeypatch).sentence
    (tmp_path / PAUSED).unlink()
    assert "was the clock set back?" in judge(world, monkeypatch, -timedelta(days=1)).sentence


def test_a_target_that_does_not_answer_is_told_though_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away(MemoryBackend):
        away = False

        def space(self):  # type: ignore[no-untyped-def]
            if self.away:
                raise PlaceError("It is away.")
            return super().space()

    place = Away()
    world = World(tmp_path, {"main": place})
    world.run()
    place.away = True
    assert ask_targets(world.state, world.targets) == {"main": "It is away."}
    found = judge(world, monkeypatch)
    assert "target main does not answer since" in found.sentence
    assert ask_targets(world.state, world.targets) == {"main": "It is away."}
    since = world.state.tallies.all()["main"].trouble_since
    assert since is not None
    assert since in judge(world, monkeypatch).sentence
    place.away = False
    assert ask_targets(world.state, world.targets) == {"main": ""}
    assert judge(world, monkeypatch).well


def test_more_than_a_few_missing_pictures_are_a_finding_until_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    for number in range(3):
        world.alice.photo(f"g{number}", f"{number}.jpg")
    world.run()
    assert judge(world, monkeypatch).well
    world.alice.photo("g3", "3.jpg")
    world.run()
    found = judge(world, monkeypatch)
    assert "4 picture files of 1 account missing" in found.sentence
    assert found.without_pictures == 1
    figures = metrics_text(world.config, world.state)
    assert "vaultd_missing_picture_files 4\n" in figures
    assert "vaultd_accounts_lacking_pictures 1\n" in figures
    for number in range(4):
        world.source.files[f"{number}.jpg"] = b"picture"
    world.run()
    assert judge(world, monkeypatch).well
    # An uploads folder that is not mounted today is a finding although the vault has copies.
    world.source.files.clear()
    world.alice.put("post", "p9", {"text": "new"})
    world.run()
    assert not judge(world, monkeypatch).well


def test_failures_and_targets_that_lack_an_account_are_not_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.run()
    world.alice.broken = PlaceError("A fault.")
    world.source.looks += 1
    world.run()
    assert judge(world, monkeypatch).problems == ("1 account failed when last looked at.",)
