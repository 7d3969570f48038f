"""Servers of users that mean no good: they harm no other target, and cost what they may at most."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator

import msgspec
import pytest

from tests.backends.proxy import Plan, Proxy
from tests.backends.servers.raw_tcp import read_request, serve
from tests.backends.servers.running import USER, Running
from tests.backup.world import World
from tests.targets.test_own_targets import Give, configure, give, own_content, result, world
from vaultd.backup.report import Status
from vaultd.backup.user_targets.run_time import belongs
from vaultd.backup.user_targets.settings import open_own_target
from vaultd.clock import now, rfc3339
from vaultd.config import OWN
from vaultd.errors import PlaceBusy
from vaultd.keys import SealingKey
from vaultd.state.own_targets import SealedTarget

__all__ = ["give", "world"]


@pytest.fixture(autouse=True)
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaultd.backup.user_targets.run_time._TRIES", 1)


def turn_bad(world: World, url: str, **more: object) -> None:
    """Make this alice's own target, as if it had been honest when it was set."""
    key = SealingKey(world.config.user_targets.sealing_key())
    guid = world.alice.account.guid
    target = {"url": url, "username": "u", "password": "p", "insecure": True, **more}
    sealed = key.seal(msgspec.msgpack.encode(target), belongs(guid, url))
    row = SealedTarget(guid, url, False, sealed, key.id, rfc3339(now()))
    world.state.own_targets.save(row, OWN, same_place=False)


@pytest.mark.parametrize(
    "challenge",
    ['Digest realm="x", nonce="y", algorithm=FOO', 'Digest realm="x", nonce="y", qop="auth-int"',
     "Digest realm", 'Digest realm="x", nonce="y", opaque'],
)  # fmt: skip
def test_a_login_that_no_library_knows_is_its_users_affair(world: World, challenge: str) -> None:
    def refuse(connection: socket.socket) -> None:
        while True:
            read_request(connection)
            head = f"HTTP/1.1 401 X\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(head.encode())

    with serve(refuse) as port:
        turn_bad(world, f"webdav://127.0.0.1:{port}/x", digest=True)
        report = world.run()
    assert not report.failed
    found = {t.target: t for t in result(report).targets}
    assert found["main"].status is Status.WRITTEN
    assert "asks for a login that vaultd does not know" in found[OWN].reason
    assert found[OWN].move == "fix"


def test_folders_within_folders_without_end_cost_what_they_may(world: World) -> None:
    asked = 0

    def more(connection: socket.socket) -> None:
        nonlocal asked
        while True:
            found = re.search(rb"[A-Z]+ (\S+) HTTP", read_request(connection))
            assert found is not None
            path = found[1].decode().rstrip("/")
            asked += 1
            body = "<multistatus xmlns='DAV:'>" + "".join(
                f"<response><href>{path}{name}</href><propstat><prop><resourcetype><collection/>"
                "</resourcetype></prop><status>HTTP/1.1 200 OK</status></propstat></response>"
                for name in ("/", *(f"/a{number}/" for number in range(50)))
            )  # fmt: skip
            head = "HTTP/1.1 207 X\r\nContent-Type: application/xml\r\nContent-Length: "
            whole = f"{body}</multistatus>"
            connection.sendall(f"{head}{len(whole)}\r\n\r\n{whole}".encode())

    configure(world, time="1s")
    with serve(more) as port:
        turn_bad(world, f"webdav://127.0.0.1:{port}/x")
        report = world.run()
    assert not report.failed
    found = {t.target: t for t in result(report).targets}
    assert (found["main"].status, found[OWN].status) == (Status.WRITTEN, Status.FAILED)
    assert "took more than 1 s" in found[OWN].reason
    assert asked > 50


@pytest.fixture
def slow(wsgidav: Running) -> Iterator[Proxy]:
    with Proxy(int(wsgidav.url.rpartition(":")[2])) as proxy:
        yield proxy


def test_an_upload_that_trickles_costs_what_it_may(world: World, slow: Proxy, give: Give) -> None:
    give(url=f"webdav://{USER}@127.0.0.1:{slow.port}/trickle")
    world.source.files["big.png"] = os.urandom(16_000_000)
    world.alice.photo("f2", "big.png")
    configure(world, time="2s")
    slow.plan = Plan(rate=20_000)  # the whole would take more than ten minutes
    report = world.run()
    assert not report.failed
    found = {t.target: t for t in result(report).targets}
    assert (found["main"].status, found[OWN].status) == (Status.WRITTEN, Status.FAILED)
    assert "took more than 2 s" in found[OWN].reason


def test_who_asks_for_it_waits_as_long_as_it_takes(world: World, give: Give) -> None:
    give()
    world.run()
    configure(world, time="0s")
    world.alice.put("post", "p2", {"text": "second"})
    assert "took more than 0 s" in {t.target: t for t in result(world.run()).targets}[OWN].reason
    content = own_content(world)  # as `restore --from alice@own` does
    assert ("post", "p1") in content
    assert open_own_target(world.config, world.state, "alice")[1].space() is not None
    configure(world)
    world.run()
    assert own_content(world) == world.alice.content()


def test_a_new_key_leaves_alone_what_is_set_meanwhile(world: World, give: Give) -> None:
    give()
    (before,) = world.state.own_targets.all()
    give()
    (meanwhile,) = world.state.own_targets.all()
    world.state.own_targets.reseal([(before, before)])
    assert world.state.own_targets.all() == [meanwhile]
    assert not world.run().failed
    assert own_content(world) == world.alice.content()


def test_a_verb_that_ends_early_is_busy_and_not_to_be_mended(world: World) -> None:
    world.run()
    turn_bad(world, "sftp://u@nobody.invalid/x", insecure=False)
    world.alice.put("post", "p2", {"text": "second"})
    report = world.run()
    (own,) = [t for t in result(report).targets if t.target == OWN]
    assert "is not known" in own.reason
    assert (own.code, own.move) == (PlaceBusy.code, "wait")
