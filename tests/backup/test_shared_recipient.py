"""One recipient, one account, one vault: a pair is refused, found, and parted without a loss."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.backup.world import POD_KEY, Content, World
from vaultd.backup.accounts.enroll import enroll
from vaultd.backup.checks.checks import check_all
from vaultd.backup.engine.context import open_context
from vaultd.backup.status import account_statuses
from vaultd.backup.upkeep.forget import forget
from vaultd.config import Retention
from vaultd.errors import UsageError
from vaultd.keys import Secrets
from vaultd.restore.snapshot import Snapshot, open_with_kit

NEWEST = Retention(keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_yearly=0)
SECOND = Secrets.from_secret(b"a second kit....")


def pair(world: World) -> None:
    """Bob is enrolled with Alice's recipient, as versions before allowed it."""
    bob = world._add("bob")
    bob.put("post", "b1", {"text": "only bob's"})
    world.source.files |= {"a.png": b"alice" * 99, "b.png": b"bob" * 99}
    bob.photo("fb", "b.png")
    world.alice.photo("fa", "a.png")
    recipient = world.secrets["alice"].recipient
    world.secrets["bob"] = world.secrets["alice"]
    world.state.enroll(
        username="bob",
        guid=bob.account.guid,
        handle=bob.account.handle,
        recipient=str(recipient),
        vault_id=recipient.vault_id,
    )


def newest_of(world: World, username: str) -> Content | None:
    """The newest point of an account in the vault that both used, whatever its number."""
    vault = open_with_kit(world.memory, world.secrets["alice"], [])
    handle = world.source.people[username].account.handle
    for point in reversed(vault.points):
        snapshot = Snapshot(vault, point)
        if snapshot.manifest.account != handle:
            continue
        content: Content = {}
        for record in snapshot.records():
            assert record.body is not None
            content[record.kind, record.id] = dict(record.body)
            if record.kind == "photo":
                assert b"".join(snapshot.open_blob(record.body))
                content[record.kind, record.id].pop("blob")
        assert snapshot.damage == []
        return content
    return None


def edit(world: World, turn: int) -> None:
    for username in ("alice", "bob"):
        world.source.people[username].put("post", "p1", {"text": f"{username} {turn}"})


def test_a_recipient_in_use_is_refused_with_the_way_out(world: World) -> None:
    world.source.add("bob")
    with pytest.raises(UsageError, match=r"alice.*second kit"):
        enroll(world.state, world.source, "bob", world.secrets["alice"].recipient)
    assert [each.username for each in world.state.enrollments()] == ["alice"]
    enroll(world.state, world.source, "alice", world.secrets["alice"].recipient)
    enroll(world.state, world.source, "bob", SECOND.recipient)


@pytest.mark.parametrize("by_hand", [False, True])
def test_retention_of_one_deletes_nothing_of_the_other(world: World, by_hand: bool) -> None:
    pair(world)
    retention = Retention(enabled=False) if by_hand else NEWEST
    world.config = replace(world.config, retention=retention)
    for turn in range(4):
        edit(world, turn)
        world.run("alice")
        world.run("bob")
        edit(world, turn + 10)
        world.run("alice")
        if by_hand:
            bench = open_context(replace(world.config, retention=NEWEST), world.state, POD_KEY)
            forget(bench, world.targets)
        for username in ("alice", "bob"):
            assert newest_of(world, username) is not None, (turn, username)
    assert newest_of(world, "alice") == world.alice.content()


def test_a_pair_is_shown_and_parted_and_both_vaults_stay(world: World) -> None:
    pair(world)
    world.run()
    world.run()
    for status in account_statuses(world.state, ["main"]):
        assert "second kit" in status.reason
    (told,) = [each for each in check_all(world.config) if each.what == "recipients"]
    assert not told.fine
    assert told.exit_code == 2
    assert "alice and bob" in told.sentence
    before = {username: newest_of(world, username) for username in ("alice", "bob")}
    assert None not in before.values()
    enroll(world.state, world.source, "bob", SECOND.recipient)
    assert [status.reason for status in account_statuses(world.state, ["main"])] == ["", ""]
    assert not [each for each in check_all(world.config) if each.what == "recipients"]
    world.config = replace(world.config, retention=NEWEST)
    for turn in range(4):
        edit(world, turn)
        assert not world.run().failed
    bench = open_context(world.config, world.state, POD_KEY)
    assert forget(bench, world.targets).problems == []
    assert newest_of(world, "bob") == before["bob"]
    assert newest_of(world, "alice") == world.alice.content()
    world.secrets["bob"] = SECOND
    content = world.restored("bob")
    assert content.keys() == world.source.people["bob"].content().keys()
    assert content["post", "p1"] == {"text": "bob 3"}


def test_own_points_are_known_again_after_a_lost_state_and_go(world: World) -> None:
    for turn in range(3):
        world.alice.put("post", "p1", {"text": f"{turn}"})
        world.run()
    world.lose_state()
    world.config = replace(world.config, retention=NEWEST)
    for turn in range(2):
        world.alice.put("post", "p1", {"text": f"after {turn}"})
        world.run()
    vault = world.secrets["alice"].recipient.vault_id
    assert len(list(world.memory.list(f"{vault}/0"))) <= 2


def test_what_another_account_left_in_a_vault_outlives_a_lost_state(
    world: World, tmp_path: Path
) -> None:
    pair(world)
    edit(world, 0)
    world.run("bob")
    theirs = newest_of(world, "bob")
    world.state.close()
    for path in world.folder.glob("state.sqlite3*"):
        path.unlink()
    other = World.reopen(world.folder, world.targets)
    other.memory = world.memory
    other.enroll("alice")
    other.config = replace(other.config, retention=NEWEST)
    for turn in range(4):
        other.alice.put("post", "p1", {"text": f"{turn}"})
        other.run()
    world.state = other.state
    assert newest_of(world, "bob") == theirs
