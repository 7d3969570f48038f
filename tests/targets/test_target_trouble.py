"""A target that lets nobody in is asked once a run, costs no other target anything, is told once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from tests.backends.test_border import FOREIGN
from tests.backup.world import World
from vaultd.backends.memory import MemoryBackend
from vaultd.backends.opening import open_place
from vaultd.backends.wrappers.retrying import RetryingBackend, RetryPolicy
from vaultd.backup.checks.checks import open_targets
from vaultd.backup.report import Status
from vaultd.backup.target_trouble import by_target
from vaultd.config import Target
from vaultd.errors import PlaceBusy

PEOPLE = 60


class Refusing(ThreadingHTTPServer):
    """Counts what it is asked, and lets nobody in."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.status = 401


class _Handler(BaseHTTPRequestHandler):
    server: Refusing
    protocol_version = "HTTP/1.1"

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(self.command)
        self.send_response(self.server.status)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_HEAD = do_PROPFIND = do_MKCOL = do_DELETE = do_MOVE = _refuse

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Refusing]:
    made = Refusing()
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def crowd(tmp_path: Path) -> World:
    world = World(tmp_path / "state")
    for number in range(PEOPLE - 1):
        world.person(f"user{number:02d}")
    return world


def test_sixty_accounts_are_one_login_and_one_line(crowd: World, server: Refusing) -> None:
    url = f"webdav://me@127.0.0.1:{server.server_port}/dav"
    target = Target(url, password="wrong", insecure=True)
    crowd.targets["offsite"] = open_place(url, target, name="offsite")
    for _ in range(2):  # each run asks once: somebody may have mended it
        server.asked.clear()
        report = crowd.run()
        assert len(server.asked) == 1
        assert len(report.failed) == PEOPLE
        (trouble,), others = by_target(report.failed)
        assert others == []
        assert (trouble.target, trouble.accounts, trouble.move) == ("offsite", PEOPLE, "fix")
        assert trouble.sentence.startswith("offsite: 60 accounts got no backup there. ")
        assert "does not accept these credentials (401)" in trouble.sentence
        assert all(
            account.targets[0].status is not Status.FAILED and account.targets[0].target == "main"
            for account in report.failed
        )


def test_accounts_with_trouble_of_their_own_are_told_beside_it(crowd: World) -> None:
    class Away(MemoryBackend):
        def list(self, prefix: str = "") -> Iterator[object]:  # type: ignore[override]
            raise PlaceBusy("It does not answer.")

    crowd.targets["offsite"] = RetryingBackend(Away(), "offsite", RetryPolicy(tries=1))
    crowd.source.people["user07"].broken = KeyError("x")
    report = crowd.run()
    (trouble,), others = by_target(report.failed)
    assert trouble.accounts == PEOPLE - 1
    assert trouble.reason == "It does not answer."
    assert [account.username for account in others] == ["user07"]


@pytest.mark.parametrize("verb", ["create", "read", "list", "delete", "space"])
@pytest.mark.parametrize("error", FOREIGN[::4], ids=lambda error: type(error).__name__)
def test_no_exception_of_a_target_ends_a_run_or_another_target(
    tmp_path: Path, verb: str, error: Exception
) -> None:
    world = World(tmp_path / "state")
    world.person("bob")

    def call(*_: object, **__: object) -> object:
        raise error

    odd = MemoryBackend()
    setattr(odd, verb, call)
    world.targets["odd"] = RetryingBackend(odd, "odd")
    for text in ("one", "two"):
        for name in ("alice", "bob"):
            world.source.people[name].put("post", "p1", {"text": text})
        report = world.run()
        assert report.looked_at == 2
        for account in report.accounts:
            assert {t.target: t.status for t in account.targets}["main"] is Status.WRITTEN
    for name in ("alice", "bob"):
        assert world.restored(name) == world.source.people[name].content()


def test_a_folder_that_is_not_mounted_ends_no_run_and_is_used_once_it_is(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    world.person("bob")
    folders = {name: tmp_path / name for name in ("disk", "other")}
    folders["other"].mkdir()
    config = msgspec.structs.replace(
        world.config, targets={name: Target(path.as_uri()) for name, path in folders.items()}
    )
    world.config, world.targets = config, open_targets(config)
    report = world.run()
    (trouble,), others = by_target(report.failed)
    assert others == []
    assert (trouble.target, trouble.accounts) == ("disk", 2)
    assert "Is the disk mounted?" in trouble.reason
    assert world.restored(target="other") == world.alice.content()
    folders["disk"].mkdir()
    assert not world.run().failed
    for name in ("alice", "bob"):
        assert world.restored(name, target="disk") == world.source.people[name].content()
