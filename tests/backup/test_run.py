"""Runs of the engine: what is written, when, and what one account's trouble does to others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import msgspec
import pytest

from tests.backup.world import World
from vaultd.backends.base import ObjectInfo
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.report import Status
from vaultd.config import Limits, Retention
from vaultd.errors import DatabaseError, ObjectExists, PlaceError, PlaceFull
from vaultd.records import Body, Record
from vaultd.sources.base import Trouble
from vaultd.vault.layout import parse_archive_name


class Watched(MemoryBackend):
    """Counts requests; fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = 0
        self.error: PlaceError | None = None
        self.after: PlaceError | None = None

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        self.requests += 1
        if self.error is not None:
            raise self.error
        super().create(name, data, size)
        if self.after is not None:
            raise self.after

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self.requests += 1
        return super().list(prefix)


def archives(backend: MemoryBackend) -> list[int]:
    parsed = (parse_archive_name(name) for name in backend.objects)
    return sorted(parts[1] for parts in parsed if parts is not None)


def test_the_first_run_stores_the_whole_account(world: World) -> None:
    report = world.run()
    assert [a.status for a in report.accounts] == [Status.WRITTEN]
    assert report.failed == []
    assert report.bytes == sum(len(content) for content in world.memory.objects.values())
    assert world.restored() == world.alice.content()


def test_an_unchanged_account_writes_nothing_and_asks_the_place_nothing(world: World) -> None:
    watched = Watched()
    world.targets["main"] = watched
    world.run()
    watched.requests = 0
    report = world.run()
    assert [a.status for a in report.accounts] == [Status.UNCHANGED]
    assert watched.requests == 0
    assert report.bytes == 0


def test_new_changed_and_removed_records_are_one_small_archive(world: World) -> None:
    world.alice.put("post", "p2", {"text": "two"})
    world.run()
    before = world.alice.content()
    world.alice.put("post", "p1", {"text": "edited"})
    world.alice.put("post", "p3", {"text": "three"})
    del world.alice.records["post", "p2"]
    report = world.run()
    assert report.accounts[0].targets[0].changes == {"post": (1, 1, 1)}
    assert archives(world.memory) == [1, 2]
    assert world.restored() == world.alice.content()
    assert world.restored(at="1") == before


def test_passive_records_alone_cause_no_archive_but_come_with_the_next_one(world: World) -> None:
    world.alice.put("person", "bob@there", {"name": "Bob"}, passive=True)
    world.alice.put("audience", "old.example", {"why": {"known": 1}}, passive=True)
    world.run()
    world.alice.put("person", "bob@there", {"name": "Bobby"}, passive=True)
    world.alice.put("person", "eve@there", {"name": "Eve"}, passive=True)
    del world.alice.records["audience", "old.example"]
    assert world.run().unchanged
    assert archives(world.memory) == [1]
    world.alice.put("audience", "there", {"why": {"comment": 1}})
    world.run()
    assert archives(world.memory) == [1, 2]
    assert world.restored() == world.alice.content()


def test_what_is_expensive_is_computed_only_for_records_that_are_written(world: World) -> None:
    calls: list[str] = []

    def sign(_body: Body) -> Body:
        calls.append("signed")
        return {"entity_data": {"author_signature": "s"}}

    world.alice.records["received_comment", "c1"] = Record(
        "received_comment",
        "c1",
        {"entity_data": {"text": "hi"}},
        finish=sign,
    )
    world.run()
    world.run()
    assert calls == ["signed"]
    stored = world.restored()["received_comment", "c1"]
    assert stored == {"entity_data": {"text": "hi", "author_signature": "s"}}


def test_a_record_that_comes_twice_is_stored_once_and_named(world: World) -> None:
    original = world.source.read

    def twice(accounts):  # type: ignore[no-untyped-def]
        for account, item in original(accounts):
            yield account, item
            yield account, item

    world.source.read = twice  # type: ignore[method-assign]
    report = world.run()
    assert "two post records p1" in " ".join(report.accounts[0].notes)
    assert world.restored() == world.alice.content()


def test_a_record_that_cannot_be_stored_is_left_out_and_named(world: World) -> None:
    deep: list[object] = []
    for _ in range(40):
        deep = [deep]
    world.alice.put("post", "deep", {"row": deep})  # type: ignore[dict-item]
    world.alice.put("post", "surrogate", {"text": "\ud800"})
    world.alice.put("post", "\udfff", {"text": "id"})
    world.alice.put("post", "big", {"text": 1 << 70})
    report = world.run()
    assert report.failed == []
    assert len(report.accounts[0].notes) == 4
    for bad in ("deep", "surrogate", "\udfff", "big"):
        del world.alice.records["post", bad]
    assert world.restored() == world.alice.content()


def test_a_record_that_becomes_unreadable_keeps_its_stored_version(world: World) -> None:
    world.run()
    before = world.restored()
    world.alice.put("post", "p1", {"text": "\ud800"})
    assert world.run().unchanged
    assert world.restored() == before


def test_rows_that_cannot_be_read_are_not_taken_for_deletions(world: World) -> None:
    world.alice.put("comment", "c1", {"text": "c"})
    world.run()
    del world.alice.records["post", "p1"]
    del world.alice.records["comment", "c1"]
    world.alice.troubles = [Trouble("posts", "17", "its text is not valid UTF-8")]
    report = world.run()
    assert report.accounts[0].targets[0].changes == {"comment": (0, 0, 1)}
    assert "posts 17: its text" in report.accounts[0].notes[0]
    assert ("post", "p1") in world.restored()
    world.alice.troubles = [Trouble("mystery", "*", "unreadable")]
    world.alice.put("post", "p2", {"text": "new"})
    world.run()
    assert ("post", "p1") in world.restored()
    world.alice.troubles = []
    world.run()
    assert world.restored() == world.alice.content()


def test_one_accounts_broken_rows_stop_nobody_else(world: World) -> None:
    for name in ("bob", "carol", "dave", "erin"):
        world.person(name)
    world.source.people["carol"].broken = KeyError("secret text of carol")
    report = world.run()
    assert [a.username for a in report.failed] == ["carol"]
    assert "KeyError" in report.failed[0].reason
    assert "secret text" not in report.failed[0].reason
    assert len(report.changed) == 4
    for name in ("alice", "bob", "dave", "erin"):
        assert world.restored(name) == world.source.people[name].content()


def test_a_database_that_is_away_ends_the_run_with_its_error(world: World) -> None:
    world.source.away = True
    with pytest.raises(DatabaseError):
        world.run()
    assert world.state.journal.runs()[0].error == "The database is away."


def test_accounts_are_read_in_batches(world: World) -> None:
    for name in ("bob", "carol", "dave", "erin"):
        world.person(name)
    world.run()
    assert world.source.batches == [["alice", "bob", "carol"], ["dave", "erin"]]


def test_names_that_cannot_be_backed_up_are_failures_with_a_sentence(world: World) -> None:
    world.source.add("notyet")
    half = world.source.add("half", "incomplete")
    world.enroll("half")
    world.person("gone")
    del world.source.people["gone"]
    report = world.run("alice", "notyet", "half", "nobody", "gone")
    reasons = {a.username: a.reason for a in report.failed}
    assert "not enrolled" in reasons["notyet"]
    assert "half-registered" in reasons["half"]
    assert "no account 'nobody'" in reasons["nobody"]
    assert "no longer in the pod's database" in reasons["gone"]
    assert half.account.state == "incomplete"
    assert [a.username for a in report.changed] == ["alice"]


def test_another_person_under_an_old_name_does_not_get_into_the_old_vault(world: World) -> None:
    world.run()
    del world.source.people["alice"]
    world.source.add("zoe")
    world.source.add("alice")
    report = world.run("alice")
    assert "another person" in report.failed[0].reason
    assert archives(world.memory) == [1]


def test_a_closed_account_is_backed_up_as_it_is(world: World) -> None:
    world.run()
    world.alice.account = type(world.alice.account)(
        **{
            field: getattr(world.alice.account, field)
            for field in ("key", "username", "handle", "guid", "public_key")
        },
        state="closed",
    )
    del world.alice.records["post", "p1"]
    assert world.run().changed
    assert world.restored() == world.alice.content()
    assert ("post", "p1") in world.restored(at="1")


def test_a_failing_target_fails_alone_and_catches_up(world: World) -> None:
    broken, fine = Watched(), MemoryBackend()
    world.targets.clear()
    world.targets.update(broken=broken, fine=fine)
    world.run()
    broken.error = PlaceFull("The place is full.")
    world.alice.put("post", "p2", {"text": "two"})
    report = world.run()
    assert [t.status for t in report.accounts[0].targets] == [Status.FAILED, Status.WRITTEN]
    assert report.failed[0].reason == "broken: The place is full."
    world.alice.put("post", "p3", {"text": "three"})
    broken.error = None
    report = world.run()
    assert [t.changes["post"] for t in report.accounts[0].targets] == [(2, 0, 0), (1, 0, 0)]
    for target in ("broken", "fine"):
        assert world.restored(target=target) == world.alice.content()


@pytest.mark.parametrize("verb", ["list", "create", "delete"])
def test_a_target_whose_library_breaks_fails_alone(world: World, verb: str) -> None:
    asked: list[object] = []

    def broken(*given: object) -> None:
        asked.append(given)
        raise KeyError("secret text")

    odd, fine = MemoryBackend(), MemoryBackend()
    setattr(odd, verb, broken)
    world.targets.clear()
    world.targets.update(odd=odd, fine=fine)
    policy = Retention(keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0)
    world.config = msgspec.structs.replace(world.config, retention=policy)
    world.source.files["a.png"] = b"picture"
    world.alice.photo("f1", "a.png")
    for number in range(12):
        world.alice.put("post", "p1", {"text": f"{number}" * 50})
        report = world.run()
        found = {t.target: t for t in report.accounts[0].targets}
        assert found["fine"].status is Status.WRITTEN
        assert "secret text" not in report.accounts[0].reason
        if verb != "delete":
            assert "KeyError" in found["odd"].reason
            assert report.failed
    assert asked


def test_an_archive_that_arrived_though_create_failed_is_not_written_twice(world: World) -> None:
    watched = Watched()
    world.targets["main"] = watched
    world.run()
    watched.after = PlaceError("The connection was lost.")
    world.alice.put("post", "p2", {"text": "two"})
    assert world.run().failed
    watched.after = None
    assert world.run().unchanged
    assert archives(watched) == [1, 2]
    assert world.restored() == world.alice.content()


def test_an_archive_that_is_there_already_counts_as_created(world: World) -> None:
    class Twice(MemoryBackend):
        def create(self, name: str, data: BinaryIO, size: int) -> None:
            super().create(name, data, size)
            raise ObjectExists(f"{name} is already there.")

    world.targets["main"] = Twice()
    assert world.run().changed
    assert world.run().unchanged
    assert world.restored() == world.alice.content()


def test_a_stop_leaves_the_rest_for_the_next_run(world: World) -> None:
    from tests.backup.world import POD_KEY
    from vaultd.backup.run.run import run_backup

    for name in ("bob", "carol", "dave"):
        world.person(name)
    done: list[str] = []
    report = run_backup(
        msgspec.structs.replace(world.config, limits=Limits(batch_accounts=1)),
        world.state,
        world.source,
        world.targets,
        POD_KEY,
        on_progress=lambda account: done.append(account.username),
        should_stop=lambda: bool(done),
    )
    assert report.interrupted
    assert done == ["alice"]
    assert len(world.run().changed) == 3


def test_the_journal_tells_how_runs_went(world: World) -> None:
    world.run()
    run = world.state.journal.runs()[0]
    assert (run.accounts, run.looked_at, run.changed, run.failed) == (1, 1, 1, 0)
    assert run.finished is not None
    assert [r.status for r in world.state.journal.results()] == ["written"]
    (vault,) = world.state.vaults.summaries()
    assert (vault.last_sequence, vault.records, vault.archives) == (1, 2, 1)
