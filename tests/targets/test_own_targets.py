"""A user's own target through the engine, on a real WebDAV server: alone in its troubles."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest

from tests.backends.servers.running import PASSWORD, USER, Running
from tests.backup.world import POD_KEY, Content, World
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.checks.checks import check_all
from vaultd.backup.engine.context import open_context
from vaultd.backup.report import AccountReport, RunReport, Status
from vaultd.backup.status import account_statuses
from vaultd.backup.upkeep.forget import forget
from vaultd.backup.upkeep.scrub import scrub
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.backup.user_targets.settings import (
    list_own_targets,
    open_own_target,
    remove_own_target,
    reseal_own_targets,
    set_own_target,
)
from vaultd.config import OWN, Retention, UserTargets
from vaultd.errors import ConfigError, PlaceError, PlaceRefused, UsageError
from vaultd.restore.verify import verify_place
from vaultd.state.database import FILE_NAME

_numbers = count()
Give = Callable[..., str]


def section(folder: Path, **changed: object) -> UserTargets:
    key = folder / "targets.key"
    if not key.exists():
        key.write_bytes(os.urandom(31) + b"\0")
        key.chmod(0o600)
    values = {"enabled": True, "key": {"file": str(key)}, "permit": ("127.0.0.1/32", "::1/128")}
    return UserTargets(**{**values, **changed})  # type: ignore[arg-type]


def configure(world: World, **changed: object) -> None:
    found = section(world.folder.parent, **changed)
    world.config = msgspec.structs.replace(world.config, user_targets=found)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "state")
    world.source.files["a.png"] = b"picture" * 3000
    world.alice.photo("f1", "a.png")
    world.person("bob")
    configure(world)
    return world


@pytest.fixture
def give(world: World, wsgidav: Running) -> Iterator[Give]:
    """Set alice's (or another's) own target to a new folder on the server; return its URL."""

    def start(username: str = "alice", *, only: bool = False, url: str = "") -> str:
        port = wsgidav.url.rpartition(":")[2]
        url = url or f"webdav://{USER}@127.0.0.1:{port}/own{next(_numbers)}"
        texts = {"password": PASSWORD, "insecure": "true"}
        set_own_target(world.config, world.state, username, url, texts, only=only)
        return url

    yield start


def result(report: RunReport, username: str = "alice") -> AccountReport:
    return next(a for a in report.accounts if a.username == username)


def own_content(world: World, username: str = "alice") -> Content:
    """Restore from the user's own target."""
    world.targets[OWN] = open_own_target(world.config, world.state, username)[1]
    try:
        assert verify_place(world.targets[OWN]).problems == []
        content = world.restored(username, OWN)
        for body in content.values():
            body.pop("blob", None)
        return content
    finally:
        del world.targets[OWN]


def test_an_account_is_backed_up_to_its_own_target_beside_the_pods(
    world: World, give: Give
) -> None:
    give()
    report = world.run()
    assert not report.failed
    assert [t.target for t in result(report).targets] == ["main", OWN]
    assert [t.target for t in result(report, "bob").targets] == ["main"]
    assert own_content(world) == world.alice.content()
    world.alice.put("post", "p2", {"text": "second"})
    assert [a.username for a in world.run().changed] == ["alice"]
    assert own_content(world) == world.alice.content()
    vault = world.secrets["alice"].recipient.vault_id
    mine = {name for name in world.memory.objects if name.startswith(vault)}
    place = open_own_target(world.config, world.state, "alice")[1]
    assert {item.name for item in place.list()} == mine


def test_a_new_target_is_filled_although_nothing_changed_and_nobody_else_is_read(
    world: World, give: Give
) -> None:
    world.run()
    assert not world.run().changed
    give()
    world.source.batches.clear()
    assert not world.run().failed
    assert world.source.batches == [["alice"]]
    assert own_content(world) == world.alice.content()
    world.source.batches.clear()
    assert not world.run().changed
    assert world.source.batches == []


def test_accounts_with_a_target_of_their_own_come_last_and_one_by_one(
    world: World, give: Give
) -> None:
    for name in ("carol", "dave"):
        world.person(name)
    give("alice")
    give("carol")
    world.run()
    assert world.source.batches == [["bob", "dave"], ["alice"], ["carol"]]


def test_a_target_that_is_refused_fails_alone_and_catches_up(world: World, give: Give) -> None:
    give()
    world.run()
    honest = world.config
    # The guard refuses what it allowed before: the place is out of reach.
    configure(world, permit=())
    world.alice.put("post", "p2", {"text": "second"})
    world.source.people["bob"].put("post", "p2", {"text": "second"})
    report = world.run()
    assert report.failed == []
    found = {t.target: t for t in result(report).targets}
    assert found["main"].status is Status.WRITTEN
    assert "not one of the public internet" in found[OWN].reason
    assert result(report, "bob").status is Status.WRITTEN
    assert world.restored() == {
        **world.alice.content(),
        ("photo", "f1"): world.restored()["photo", "f1"],
    }
    assert "public internet" in list_own_targets(world.config, world.state)[0].result
    world.config = honest
    assert not world.run().failed
    assert own_content(world) == world.alice.content()
    assert list_own_targets(world.config, world.state)[0].result == ""


def test_in_place_of_the_pods_targets_and_back_again(world: World, give: Give) -> None:
    url = give(only=True)
    assert not world.run().failed
    vault = world.secrets["alice"].recipient.vault_id
    assert not [name for name in world.memory.objects if name.startswith(vault)]
    assert own_content(world) == world.alice.content()
    (status,) = [s for s in account_statuses(world.state, ["main"]) if s.username == "alice"]
    assert list(status.newest) == [OWN]
    give(url=url)
    report = world.run()
    assert not report.failed
    assert {t.target: t.status for t in result(report).targets}["main"] is Status.WRITTEN
    assert ("post", "p1") in world.restored()


def test_a_lost_key_and_another_key_damage_nothing(
    world: World, give: Give, tmp_path: Path
) -> None:
    give()
    world.run()
    before = world.state.own_targets.all()
    path = tmp_path / "targets.key"
    old = path.read_bytes()
    path.unlink()
    for said in ("cannot be read (No such file", "sealed with another key"):
        world.source.people["bob"].put("post", said, {"text": said})
        report = world.run()
        assert [a.username for a in report.failed] == ["alice"]
        assert said in result(report).reason
        assert result(report, "bob").status is Status.WRITTEN
        assert said in list_own_targets(world.config, world.state)[0].trouble
        assert world.run().failed  # it is told again and again, not once
        path.write_bytes(os.urandom(31) + b"\1")
        path.chmod(0o600)
    path.write_bytes(old)
    assert [(r.guid, r.sealed, r.key_id) for r in world.state.own_targets.all()] == [
        (r.guid, r.sealed, r.key_id) for r in before
    ]
    assert not world.run().failed
    assert own_content(world) == world.alice.content()


def test_a_new_key_is_brought_in_without_asking_the_users(
    world: World, give: Give, tmp_path: Path
) -> None:
    give()
    give("bob")
    world.run()
    (tmp_path / "targets.key").rename(tmp_path / "old.key")
    configure(world)
    old = {"file": str(tmp_path / "old.key")}
    done = reseal_own_targets(world.config, world.state, old)
    assert (done.resealed, done.already, done.left) == (2, 0, 0)
    again = reseal_own_targets(world.config, world.state, old)
    assert (again.resealed, again.already, again.left) == (0, 2, 0)
    world.source.batches.clear()
    assert not world.run().failed
    assert world.source.batches == []  # the same targets: nobody is due
    (tmp_path / "targets.key").unlink()
    configure(world)
    stranger = tmp_path / "stranger.key"
    stranger.write_bytes(os.urandom(31) + b"\2")
    stranger.chmod(0o600)
    assert reseal_own_targets(world.config, world.state, {"file": str(stranger)}).left == 2


def test_a_row_moved_to_another_account_or_led_elsewhere_opens_nothing(
    world: World, give: Give
) -> None:
    give()
    world.run()
    path = world.state.directory / FILE_NAME
    guids = {each.username: each.guid for each in world.state.enrollments()}
    for change, values, who in (
        ("guid = ?", guids["bob"], "bob"),
        ("guid = ?", guids["alice"], ""),
        ("shown = ?", "webdav://evil.example/x", "alice"),
    ):
        with sqlite3.connect(path) as database:
            database.execute(f"UPDATE own_target SET {change}", (values,))
        database.close()
        report = world.run()
        assert [a.username for a in report.failed] == ([who] if who else [])
        if who:
            assert "moved here from another account" in result(report, who).reason
    assert "bob" not in str([i.name for i in world.memory.list()])


def test_another_place_gets_the_whole_account_and_the_old_one_stays(
    world: World, give: Give
) -> None:
    give()
    world.run()
    first = open_own_target(world.config, world.state, "alice")[1]
    before = {item.name for item in first.list()}
    give()
    assert world.state.vaults.point(world.state.enrollments(["alice"])[0].id, OWN) is None
    world.alice.put("post", "p2", {"text": "second"})
    assert not world.run().failed
    assert own_content(world) == world.alice.content()
    assert {item.name for item in first.list()} == before


def test_new_credentials_for_the_same_place_write_nothing_again(world: World, give: Give) -> None:
    url = give()
    world.run()
    give(url=url)
    report = world.run()
    assert not report.failed
    assert not report.changed
    assert own_content(world) == world.alice.content()


def test_removed_and_not_allowed_any_more(world: World, give: Give) -> None:
    give()
    give("bob")
    world.run()
    place = open_own_target(world.config, world.state, "alice")[1]
    there = len(list(place.list()))
    assert remove_own_target(world.state, "alice")
    assert not remove_own_target(world.state, "alice")
    configure(world, enabled=False)
    for name in ("alice", "bob"):
        world.source.people[name].put("post", "p3", {"text": "third"})
    report = world.run()
    assert not report.failed
    assert [t.target for t in result(report, "bob").targets] == ["main"]
    assert len(list(place.list())) == there
    assert [each.username for each in list_own_targets(world.config, world.state)] == ["bob"]
    with pytest.raises(ConfigError, match="allows no targets of users"):
        give()


def test_it_outlives_a_new_recipient_but_not_another_person(world: World, give: Give) -> None:
    give()
    world.run()
    world.enroll("alice")
    assert not world.run().failed
    assert own_content(world) == world.alice.content()


@pytest.mark.parametrize(
    ("url", "texts", "said"),
    [
        ("file:///srv", {}, "folder of the pod's machine"),
        ("webdav://127.0.0.1:1/a", {"ca_file": "/etc/passwd"}, "has no key 'ca_file'"),
        ("sftp://me@127.0.0.1:1/a", {"key_file": "/root/.ssh/id_rsa"}, "has no key 'key_file'"),
        ("s3://bucket/a", {"profile": "default"}, "has no key 'profile'"),
        ("s3://bucket/a", {}, "needs an access key and a secret key"),
        ("webdav://127.0.0.1:1/a", {"url": "file:///etc"}, "has no key 'url'"),
        ("webdavs://me:hunter2@127.0.0.1/a", {}, "as `password`"),
        ("gopher://x", {}, "not a place vaultd knows"),
    ],
)
def test_what_a_user_cannot_ask_for(
    world: World, url: str, texts: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError) as raised:
        set_own_target(world.config, world.state, "alice", url, texts)
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert world.state.own_targets.all() == []


def test_nothing_is_kept_of_a_place_that_does_not_work(world: World, give: Give) -> None:
    url = give()
    texts = {"password": "wrong", "insecure": "true"}
    with pytest.raises(PlaceRefused, match="does not accept these credentials"):
        set_own_target(world.config, world.state, "bob", url, texts)
    with pytest.raises(PlaceError, match="refuses the connection"):
        set_own_target(world.config, world.state, "bob", "webdav://127.0.0.1:1/a", texts)
    configure(world, permit=())
    with pytest.raises(PlaceRefused, match="public internet"):
        set_own_target(world.config, world.state, "bob", url, texts)
    with pytest.raises(UsageError, match="not enrolled"):
        set_own_target(world.config, world.state, "nobody", url, texts)
    assert len(world.state.own_targets.all()) == 1


def test_check_tells_what_it_honours_and_what_changed(world: World, give: Give) -> None:
    give()
    name = f"alice@{OWN}"
    first = check_all(world.config, name)
    assert all(c.fine for c in first)
    assert any("can be reached" in c.sentence for c in first)
    assert any(c.sentence.startswith("as on ") for c in check_all(world.config, name))
    (wrong,) = check_all(world.config, f"bob@{OWN}")
    assert not wrong.fine
    assert "has no target of its own" in wrong.sentence


def test_retention_and_scrub_reach_it(world: World, give: Give) -> None:
    give()
    for number in range(4):
        world.alice.put("post", "p1", {"text": f"{number}" * 50})
        world.run()
    own = OwnPlaces(world.config, world.state)
    found = scrub(world.state, world.targets, 1.0, own=own)
    assert (found.vaults, found.findings, found.problems) == (3, [], [])
    policy = Retention(keep_last=1, keep_daily=0, keep_weekly=0, keep_monthly=0)
    world.config = msgspec.structs.replace(world.config, retention=policy)
    bench = open_context(world.config, world.state, POD_KEY)
    gone = forget(bench, world.targets, own=own)
    assert gone.problems == []
    assert {(v.username, v.target) for v in gone.vaults} >= {("alice", "main"), ("alice", OWN)}
    assert own_content(world) == world.alice.content()
    configure(world, permit=())
    own = OwnPlaces(world.config, world.state)
    found = scrub(world.state, world.targets, 1.0, own=own)
    assert found.vaults == 2
    assert [p.startswith("alice, own: ") for p in found.notes] == [True]


def test_two_pods_targets_and_an_own_one_all_hold_the_account(
    tmp_path: Path, wsgidav: Running
) -> None:
    world = World(tmp_path / "state", {"a": MemoryBackend(), "b": MemoryBackend()})
    configure(world)
    port = wsgidav.url.rpartition(":")[2]
    set_own_target(
        world.config, world.state, "alice",
        f"webdav://{USER}@127.0.0.1:{port}/own{next(_numbers)}",
        {"password": PASSWORD, "insecure": "true"},
    )  # fmt: skip
    assert not world.run().failed
    assert own_content(world) == world.alice.content()
    assert world.restored(target="a") == world.restored(target="b") == world.alice.content()
