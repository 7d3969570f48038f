"""Accounts that a source knows to be unchanged are passed over, unless they are behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.backup.world import FakeSource, World
from vaultd.sources.base import Changes, SourceAccount


class TellingSource(FakeSource):
    """Tells what it is told to tell, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.told = Changes(b"1", None)
        self.since: list[bytes | None] = []
        self.asked: list[str] = []

    def changes(self, since: bytes | None) -> Changes:
        self.since.append(since)
        return self.told

    def fingerprints(self, accounts: Sequence[SourceAccount]) -> dict[int, bytes]:
        self.asked += [account.username for account in accounts]
        return super().fingerprints(accounts)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    people = world.source.people
    world.source = TellingSource()
    world.source.people = people
    for name in ("bob", "carol"):
        world.person(name)
    return world


def _source(world: World) -> TellingSource:
    assert isinstance(world.source, TellingSource)
    world.source.asked.clear()
    return world.source


def test_only_who_is_named_is_asked_for(world: World) -> None:
    source = _source(world)
    assert len(world.run().changed) == 3
    source.people["bob"].put("post", "p2", {"text": "more"})
    source.told = Changes(b"2", frozenset(("bob", "stranger")))
    source = _source(world)
    report = world.run()
    assert source.asked == ["bob"]
    assert [a.username for a in report.changed] == ["bob"]
    assert sorted(a.username for a in report.unchanged) == ["alice", "carol"]
    assert report.looked_at == 3
    assert source.since == [None, b"1"]
    found = {result.username: result.status for result in world.state.journal.results()}
    assert found == {"alice": "unchanged", "bob": "written", "carol": "unchanged"}


def test_who_failed_is_looked_at_again_whatever_the_source_tells(world: World) -> None:
    source = _source(world)
    world.run()
    source.people["bob"].put("post", "p2", {"text": "more"})
    source.people["bob"].broken = RuntimeError("a bad row")
    source.told = Changes(b"2", frozenset(("bob",)))
    assert [a.username for a in world.run().failed] == ["bob"]
    source.people["bob"].broken = None
    source.told = Changes(b"3", frozenset())
    assert [a.username for a in world.run().changed] == ["bob"]
    assert not world.run().changed
    assert source.since == [None, b"1", b"2", b"3"]


def test_a_moment_is_kept_until_a_run_has_gone_through(world: World) -> None:
    source = _source(world)
    world.run()
    source.told = Changes(None, frozenset())
    world.run()
    source.told = Changes(b"2", frozenset())
    world.run("alice")
    assert source.since == [None, b"1"]
    world.run()
    world.person("dave")
    assert [a.username for a in world.run().changed] == ["dave"]
    assert source.since == [None, b"1", b"1", b"2"]
