"""Users who sign up later: enrolled by policy at the next run, or counted and told."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.backup.test_run import Watched
from tests.backup.world import World
from vaultd.backup.accounts.leaving import unenroll
from vaultd.backup.accounts.newcomers import count_sentence, names_not_enrolled, welcome
from vaultd.backup.metrics import metrics_text
from vaultd.config import Config, Enroll
from vaultd.errors import DatabaseError, PlaceError
from vaultd.keys import Secrets

PODMIN = Secrets.from_secret(b"the podmin's key")


@pytest.fixture
def pod(world: World) -> World:
    (world.folder / "recovery.recipient").write_text(f"{PODMIN.recipient}\n")
    return world


def opt_in(world: World) -> Config:
    return replace(world.config, enroll=Enroll("opt-in"))


def enrolled(world: World) -> list[str]:
    return [each.username for each in world.state.enrollments()]


def test_who_signs_up_is_enrolled_by_the_next_run_and_backed_up(pod: World) -> None:
    pod.run()
    pod._add("bob")
    pod.source.add("half", "incomplete")
    pod.source.add("gone", "closed")
    pod.source.add("locked", "locked")
    found = welcome(pod.config, pod.state, pod.source, pod.targets)
    assert found.enrolled == ["bob", "locked"]
    assert found.count.not_enrolled == 0
    assert enrolled(pod) == ["alice", "bob", "locked"]
    assert {account.username for account in pod.run().changed} >= {"bob", "locked"}
    assert welcome(pod.config, pod.state, pod.source, pod.targets).enrolled == []


def test_with_opt_in_they_are_counted_and_shown(pod: World) -> None:
    pod._add("bob")
    pod._add("carol")
    found = welcome(opt_in(pod), pod.state, pod.source, pod.targets)
    assert (found.enrolled, found.count.not_enrolled) == ([], 2)
    assert enrolled(pod) == ["alice"]
    told = count_sentence(found.count, "opt-in", names_not_enrolled(pod.state, pod.source))
    assert "2 accounts of the pod are not backed up" in told
    assert "(bob, carol)" in told
    assert "vaultd_not_enrolled_accounts 2" in metrics_text(pod.config, pod.state)
    found = welcome(pod.config, pod.state, pod.source, pod.targets)
    assert found.enrolled == ["bob", "carol"]
    assert "vaultd_not_enrolled_accounts 0" in metrics_text(pod.config, pod.state)


def test_who_was_unenrolled_is_left_alone(pod: World) -> None:
    unenroll(pod.state, "alice", ["main"], erase=False)
    found = welcome(pod.config, pod.state, pod.source, pod.targets)
    assert found.enrolled == []
    assert (found.count.not_enrolled, found.count.opted_out) == (0, 1)


def test_what_keeps_them_from_being_enrolled_is_told_and_stops_no_run(world: World) -> None:
    world._add("bob")
    found = welcome(world.config, world.state, world.source, world.targets)
    assert found.count.not_enrolled == 1
    assert "recovery recipient" in count_sentence(found.count, "all")
    (world.folder / "recovery.recipient").write_text(f"{PODMIN.recipient}\n")
    away = Watched()
    away.error = PlaceError("The place is away.")
    found = welcome(world.config, world.state, world.source, {"main": away})
    assert "The place is away." in found.count.reason
    assert not world.run().failed
    assert welcome(world.config, world.state, world.source, world.targets).enrolled == ["bob"]


def test_a_pod_on_which_nothing_was_written_is_not_asked_again(
    pod: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod.source, "moment", lambda: b"now")
    welcome(pod.config, pod.state, pod.source, pod.targets)
    pod.source.away = True
    assert welcome(pod.config, pod.state, pod.source, pod.targets).count.not_enrolled == 0
    monkeypatch.setattr(pod.source, "moment", lambda: b"later")
    with pytest.raises(DatabaseError):
        welcome(pod.config, pod.state, pod.source, pod.targets)
