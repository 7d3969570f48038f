"""A user's own target that is out of order: told, left alone for a while, and caught up again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from tests.backends.proxy import Proxy
from tests.backends.servers.running import USER, Running
from tests.backup.world import POD_KEY, World
from tests.cli.conftest import demo, pod
from tests.targets.conftest import FarPlace
from tests.targets.test_command_line import _with_own_targets, vaultd, with_two_workers
from tests.targets.test_own_targets import Give, configure, give, own_content, result, world
from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.engine.context import open_context
from vaultd.backup.metrics import metrics_text
from vaultd.backup.report import AccountReport, RunReport, Status, failed_at
from vaultd.backup.run.pool import open_pool
from vaultd.backup.run.run import run_backup
from vaultd.backup.status import account_statuses
from vaultd.backup.upkeep.forget import forget
from vaultd.backup.upkeep.scrub import scrub
from vaultd.backup.user_targets.failures import OwnFailure
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.backup.user_targets.settings import list_own_targets, open_own_target, set_own_target
from vaultd.clock import parse_rfc3339, rfc3339
from vaultd.config import OWN
from vaultd.errors import PlaceBusy
from vaultd.keys import PodKey
from vaultd.state.database import FILE_NAME
from vaultd.state.store import State

__all__ = ["demo", "give", "pod", "world"]
_numbers = count()


@pytest.fixture
def proxy(wsgidav: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr("vaultd.backup.user_targets.run_time._TRIES", 1)
    with Proxy(int(wsgidav.url.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
def far(proxy: Proxy, give: Give) -> Proxy:
    """Alice has an own target behind the proxy, and a first archive there."""
    give(url=behind(proxy))
    return proxy


def behind(proxy: Proxy) -> str:
    return f"webdav://{USER}@127.0.0.1:{proxy.port}/trouble{next(_numbers)}"


def let_pass(world: World | Path, days: float) -> None:
    """Make it that many days since own targets were tried."""
    folder = world if isinstance(world, Path) else world.state.directory
    with sqlite3.connect(folder / FILE_NAME) as database:
        for guid, *times in database.execute(
            "SELECT guid, failing_since, tried_at FROM own_target"
        ).fetchall():
            moved = [t and rfc3339(parse_rfc3339(t) - timedelta(days=days)) for t in times]
            database.execute(
                "UPDATE own_target SET failing_since = ?, tried_at = ? WHERE guid = ?",
                (*moved, guid),
            )
    database.close()


def change(world: World, username: str = "alice") -> None:
    number = next(_numbers)
    world.source.people[username].put("post", f"n{number}", {"text": f"new {number}"})


def failure(world: World, username: str = "alice") -> OwnFailure | None:
    (found,) = list_own_targets(world.config, world.state, [username])
    return found.failure


def test_it_fails_no_run_and_is_named_plainly(world: World, far: Proxy) -> None:
    world.run()
    with far.nobody_listening():
        change(world)
        report = world.run()
    assert not report.failed
    found = {t.target: t for t in result(report).targets}
    assert result(report).status is found["main"].status is Status.WRITTEN
    assert (found[OWN].status, found[OWN].move) == (Status.FAILED, "wait")
    assert any(note.startswith("own: ") for note in result(report).notes)
    told = failure(world)
    assert told is not None
    assert (told.move, told.rests_until) == ("wait", None)
    assert report.own.sentence.startswith(f"own target of 1 account failing, since {told.since};")
    assert "wait: vaultd tries again by itself; tried again with the next run" in told.sentence
    (alice,) = [s for s in account_statuses(world.state, ["main"]) if s.username == "alice"]
    assert (alice.own, alice.reason) == (told, "")
    metrics = metrics_text(world.config, world.state)
    assert "vaultd_own_targets_failing 1\n" in metrics
    since = parse_rfc3339(told.since).timestamp()
    assert f"vaultd_own_targets_failing_since_timestamp_seconds {since}\n" in metrics
    assert 'vaultd_accounts{status="failed"} 0\n' in metrics
    configure(world, enabled=False)
    assert world.run().own.sentence == ""


def test_it_is_asked_ever_more_seldom(world: World, far: Proxy) -> None:
    world.run()
    asked = []
    with far.nobody_listening():
        for day in range(31):
            change(world)
            tried = world.state.own_targets.all()[0].tried_at
            report = world.run()
            assert not report.failed
            assert report.own.accounts == 1
            assert {t.target for t in result(report).targets} >= {"main"}
            if OWN in {t.target for t in result(report).targets}:
                asked.append(day)
            elif day:
                assert world.state.own_targets.all()[0].tried_at == tried
            let_pass(world, 0.999)  # a nightly run does not start to the second
    assert asked == [0, 1, 2, 4, 8, 15, 22, 29]
    assert ("post", "p1") in world.restored()


def test_it_catches_up_with_its_sibling_once_it_is_back(world: World, far: Proxy) -> None:
    world.run()
    with far.nobody_listening():
        change(world)
        world.run()
        let_pass(world, 1)
        change(world)
        world.run()
        let_pass(world, 0.5)
        change(world)
        assert [t.target for t in result(world.run()).targets] == ["main"]
    connections = far.connections
    change(world)
    world.run()
    assert far.connections == connections  # it rests, although it is back
    let_pass(world, 1)
    report = world.run()  # nothing changed: the day alone has it tried
    assert not report.failed
    assert report.own.accounts == 0
    assert failure(world) is None
    assert any("it lagged behind; " in note for note in result(report).notes)
    vault = world.secrets["alice"].recipient.vault_id
    there = open_own_target(world.config, world.state, "alice")[1].list()
    assert {item.name for item in there} == {n for n in world.memory.objects if vault in n}
    assert own_content(world) == world.alice.content()
    connections = far.connections
    assert not world.run().changed
    assert far.connections == connections


def test_nothing_is_read_while_it_rests_and_nothing_changes(world: World, far: Proxy) -> None:
    world.run()
    with far.nobody_listening():
        change(world)
        world.run()
        let_pass(world, 1)
        world.run()
        world.run()
        world.source.batches.clear()
        report = world.run()
        assert world.source.batches == []
        assert report.own.accounts == 1
        assert result(report).status is Status.UNCHANGED
        assert failure(world) is not None
    let_pass(world, 1)
    assert world.run().own.accounts == 0
    assert own_content(world) == world.alice.content()


def test_an_account_that_is_named_is_tried_at_once(world: World, far: Proxy) -> None:
    world.run()
    with far.nobody_listening():
        for _ in range(2):
            change(world)
            world.run()
            let_pass(world, 1)
        world.run()
        let_pass(world, 1)

    def named(*, insist: bool) -> RunReport:
        return run_backup(
            world.config,
            world.state,
            world.source,
            world.targets,
            POD_KEY,
            ["alice"],
            insist=insist,
        )

    assert named(insist=False).own.accounts == 1
    assert named(insist=True).own.accounts == 0
    assert own_content(world) == world.alice.content()


def test_what_its_user_has_to_mend_rests_longer_and_setting_it_anew_ends_that(
    world: World, give: Give
) -> None:
    url = give()
    world.run()
    honest = world.config
    configure(world, permit=())
    asked = []
    for day in range(20):
        change(world)
        if OWN in {t.target for t in result(world.run()).targets}:
            asked.append(day)
        let_pass(world, 0.999)
    assert asked == [0, 1, 5, 12, 19]
    told = failure(world)
    assert told is not None
    assert told.move == "fix"
    assert "its user has to mend it" in told.sentence
    world.config = honest
    assert world.run().own.accounts == 1
    give(url=url)
    assert failure(world) is None
    assert world.run().own.accounts == 0
    assert own_content(world) == world.alice.content()


def test_an_only_target_fails_its_account_also_while_it_rests(
    world: World, proxy: Proxy, give: Give
) -> None:
    give(url=behind(proxy), only=True)
    world.run()
    with proxy.nobody_listening():
        for said in ("with the next run", "after 2", "after 2"):
            change(world)
            report = world.run()
            assert [a.username for a in report.failed] == ["alice"]
            assert report.own.alone == 1
            assert "1 of them has no other" in report.own.sentence
            assert said in (failure(world) or pytest.fail()).sentence
            let_pass(world, 1)
        let_pass(world, -1)
        tried = world.state.own_targets.all()[0].tried_at
        report = world.run()
        assert "failing since" in result(report).reason
        assert world.state.own_targets.all()[0].tried_at == tried
    let_pass(world, 7)
    assert not world.run().failed
    assert own_content(world) == world.alice.content()


def test_scrub_and_forget_find_it_out_and_leave_it_to_runs(world: World, far: Proxy) -> None:
    world.run()
    with far.nobody_listening():
        own = OwnPlaces(world.config, world.state)
        found = scrub(world.state, world.targets, 1.0, own=own)
        assert found.problems == []
        assert [note.startswith("alice, own: ") for note in found.notes] == [True]
        own = OwnPlaces(world.config, world.state)
        found = scrub(world.state, world.targets, 1.0, own=own)
        assert (found.problems, found.notes) == ([], [])
        bench = open_context(world.config, world.state, POD_KEY)
        assert forget(bench, world.targets, own=own).problems == []
        assert world.run().own.accounts == 1  # nothing changed, and yet it was asked
    let_pass(world, 1)
    assert world.run().own.accounts == 0


def test_a_vault_that_was_emptied_meanwhile_is_found_when_it_is_back(
    world: World, far: Proxy
) -> None:
    world.run()
    place = open_own_target(world.config, world.state, "alice")[1]
    with far.nobody_listening():
        scrub(world.state, world.targets, 1.0, own=OwnPlaces(world.config, world.state))
    for item in list(place.list()):
        place.delete(item.name)
    report = world.run()
    assert any("is not in the vault" in note for note in result(report).notes)
    assert own_content(world) == world.alice.content()


def test_one_that_takes_a_part_in_each_run_is_not_left_alone(world: World, far: Proxy) -> None:
    world.run()
    alice = world.state.enrollments(["alice"])[0]
    since = []
    for blobs in (0, 0, 5, 0):
        own = OwnPlaces(world.config, world.state)
        part = failed_at(OWN, PlaceBusy("It took too long."), blobs)
        own.note(alice, AccountReport("alice", Status.WRITTEN, targets=(part,)))
        own.save()
        told = failure(world)
        assert told is not None
        since.append(told.rests_until is not None)
        let_pass(world, 5)
    assert since == [False, True, False, True]


def test_a_target_that_is_set_while_a_run_fails_at_the_old_one_is_not_blamed(
    world: World, far: Proxy, give: Give
) -> None:
    world.run()
    own = OwnPlaces(world.config, world.state)
    alice = world.state.enrollments(["alice"])[0]
    with far.nobody_listening():
        change(world)
        report = result(world.run())
    give()
    own.note(alice, report)
    own.save()
    assert failure(world) is None


def test_the_command_line_ends_well_and_tells_whose_move_it_is(pod: Path, webdav: FarPlace) -> None:
    config = _with_own_targets(pod)
    keys = ("--key", f"username={webdav.target.username}", "--key", "insecure=true")
    given = ("target", "set", "ada", webdav.target.url, *keys, *config)
    assert vaultd(*given, stdin=str(webdav.target.password))[0] == 0
    with webdav.proxy.nobody_listening():
        code, out, err = vaultd("backup", "ada", *config)
        assert code == 0, out + err
        assert "own target of 1 account failing, since" in out
        told = json.loads(vaultd("backup", "--json", *config)[1])
    assert told["failed"] == 0
    assert told["own_targets"]["failing"] == 1
    out = vaultd("target", "list", "ada", *config)[1]
    assert "failing since" in out
    assert "(wait: vaultd tries again by itself" in out
    (listed,) = json.loads(vaultd("target", "list", "ada", "--json", *config)[1])["targets"]
    assert listed["failure"]["move"] == "wait"
    found = json.loads(vaultd("status", "--json", *config)[1])
    assert found["own_targets"] == told["own_targets"]
    assert [a["own"] for a in found["accounts"] if a["own"]] == [listed["failure"]]
    assert "own target of 1 account failing" in vaultd("status", *config)[1]
    assert vaultd("target", "list", "nobody", *config)[0] == 2
    code, out, _ = vaultd("backup", "ada", *config)
    assert code == 0
    assert "failing" not in out


def test_workers_leave_alone_what_the_run_leaves_alone(
    pod: Path, webdav: FarPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_two_workers(pod, monkeypatch)
    state = State(pod / "state")
    texts = {"username": webdav.target.username, "password": str(webdav.target.password),
             "insecure": "true"}  # fmt: skip
    set_own_target(config, state, "ada", webdav.target.url, texts)

    def run(*, insist: bool) -> AccountReport:
        with open_pool(config) as pool:
            report = run_backup(
                config, state, open_source(config), open_targets(config),
                PodKey.load(pod / "state" / "pod.key"), ["ada"], pool=pool, insist=insist,
            )  # fmt: skip
            assert pool is not None
            assert pool._all or not insist
        return result(report, "ada")

    with webdav.proxy.nobody_listening():
        run(insist=False)
        let_pass(state.directory, 1)
        run(insist=False)
    connections = webdav.proxy.connections
    assert OWN not in {t.target for t in run(insist=False).targets}
    assert webdav.proxy.connections == connections
    (own,) = [t for t in run(insist=True).targets if t.target == OWN]
    assert own.status is not Status.FAILED
    assert state.own_targets.failing() == []
