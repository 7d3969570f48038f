"""Commands beside a daemon: each gets its turn, and the daemon goes on after it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.daemon.test_service import Daemon
from vaultd.daemon.control import ControlServer, Turns, turn
from vaultd.daemon.control import server as server_module
from vaultd.daemon.control.address import address_in, new_socket
from vaultd.daemon.control.messages import ASKED, LONGEST, Ask, ProtocolError, receive, send
from vaultd.errors import LockedError
from vaultd.state.lock import StateLock

HOLDER = """
import sys
from pathlib import Path
from vaultd.daemon.control import turn
with turn(Path(sys.argv[1]), "backup", print):
    print("mine", flush=True)
    sys.stdin.read()
"""


def no_wait(sentence: str) -> None:
    """Take what a command is told."""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    found = Daemon(tmp_path)
    yield found
    found.close()


class Lender:
    """A daemon's end in this process, without anything else of it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.stopping = threading.Event()
        self.lock = StateLock(state)
        self.lock.acquire()
        self.turns = Turns(self.lock, self.stopping)
        self.ended = threading.Semaphore(0)
        self.server = ControlServer(state, self.turns, self.ended.release)

    def is_held(self) -> bool:
        with pytest.raises(LockedError):
            StateLock(self.state).acquire()
        return True


@pytest.fixture
def lender(tmp_path: Path) -> Iterator[Lender]:
    # A state folder may have a path longer than a socket's address.
    found = Lender(tmp_path / "a-long-name-of-a-folder" / ("x" * 120))
    with found.server:
        yield found
    found.stopping.set()
    assert found.turns.idle_within(10)
    found.lock.release()


def test_a_command_gets_the_state_and_the_daemon_has_it_again(lender: Lender) -> None:
    for _ in range(3):
        with turn(lender.state, "backup", no_wait):
            assert lender.is_held()  # by us
        assert lender.ended.acquire(timeout=10)
        assert lender.turns.idle_within(10)
        assert lender.is_held()  # by the daemon


def test_a_command_waits_for_the_daemons_own_work_and_is_told_what_it_is(lender: Lender) -> None:
    told: list[str] = []
    heard = threading.Event()

    def wait(sentence: str) -> None:
        told.append(sentence)
        heard.set()

    def command() -> None:
        with turn(lender.state, "scrub", wait):
            pass

    asking = threading.Thread(target=command)
    with lender.turns.own("The daemon backs up accounts."):
        asking.start()
        assert heard.wait(10)
        assert lender.turns.wanted
    asking.join(10)
    assert not asking.is_alive()
    assert told == ["The daemon backs up accounts."]


def test_two_commands_take_turns(lender: Lender) -> None:
    at_once: list[int] = []
    inside = threading.Semaphore(1)

    def command() -> None:
        with turn(lender.state, "backup", no_wait):
            at_once.append(1 if inside.acquire(blocking=False) else 0)
            inside.release()

    threads = [threading.Thread(target=command) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert at_once == [1, 1, 1, 1]


def test_a_command_that_is_killed_gives_its_turn_back(lender: Lender) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lender.state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "mine\n"
    holder.kill()
    holder.communicate()
    assert lender.ended.acquire(timeout=10)
    assert lender.turns.idle_within(10)
    assert lender.is_held()


def test_without_a_daemon_a_second_command_is_refused(tmp_path: Path) -> None:
    with (
        turn(tmp_path, "backup", no_wait),
        pytest.raises(LockedError, match="Another vaultd"),
        turn(tmp_path, "scrub", no_wait),
    ):
        pass


def test_a_socket_that_a_killed_daemon_left_is_in_nobodys_way(lender: Lender) -> None:
    there = lender.state.parent / "other"
    there.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as old, address_in(there) as address:
        old.bind(address)
    with turn(there, "backup", no_wait):  # nobody listens, nobody has the lock
        pass
    again = Lender(there)
    with again.server, turn(there, "backup", no_wait):
        pass
    again.stopping.set()


def test_the_socket_is_for_its_owner_and_gone_with_the_daemon(tmp_path: Path) -> None:
    found = Lender(tmp_path)
    with found.server:
        assert stat.S_IMODE((tmp_path / "control").lstat().st_mode) == 0o600
    assert not (tmp_path / "control").exists()
    found.lock.release()


def test_a_stranger_gets_nothing(lender: Lender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "is_trusted", lambda _uid: False)
    with pytest.raises(LockedError, match="does not answer"), turn(lender.state, "backup", no_wait):
        pass
    assert lender.is_held()


def test_only_so_many_commands_wait(lender: Lender) -> None:
    silent = []
    for _ in range(8):
        connection = new_socket()
        with address_in(lender.state) as address:
            connection.connect(address)
        silent.append(connection)
    with pytest.raises(LockedError, match="Too many"), turn(lender.state, "backup", no_wait):
        pass
    for connection in silent:
        connection.close()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.binary(max_size=LONGEST * 2), max_size=4))
def test_nonsense_on_the_socket_harms_nobody(lender: Lender, packets: list[bytes]) -> None:
    with new_socket() as connection:
        with address_in(lender.state) as address:
            connection.connect(address)
        try:
            for packet in packets:
                connection.send(packet)
        except OSError:
            pass  # it has hung up already
    with turn(lender.state, "backup", no_wait):
        assert lender.is_held()


@given(st.binary(max_size=LONGEST))
def test_only_messages_are_taken_for_messages(data: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        theirs.send(data)
        theirs.close()
        try:
            found = receive(ours, ASKED)
        except ProtocolError:
            return
        assert found is None or isinstance(found, Ask)


@pytest.mark.parametrize("name", ["", "x" * 60, "backup\x1b[2J", "Backup", "-rf", "back\nup"])
def test_the_name_of_a_command_is_a_name(name: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        send(theirs, Ask(name))
        with pytest.raises(ProtocolError):
            receive(ours, ASKED)


def test_a_turn_in_the_middle_of_a_run_ends_it_early_and_it_goes_on_after(daemon: Daemon) -> None:
    hold = daemon.folder / "hold"
    hold.write_text("")
    daemon.start()
    daemon.hear("STATUS=Backing up 4")
    deadline = time.monotonic() + 30
    while hold.read_text() != "held" and time.monotonic() < deadline:
        time.sleep(0.02)
    told = threading.Event()

    def wait(_sentence: str) -> None:
        told.set()
        hold.unlink(missing_ok=True)

    with turn(daemon.folder / "state", "backup", wait):
        assert told.is_set()
        first = daemon.hear("STATUS=Last run")
        assert "4 accounts" not in first
    assert "accounts looked at" in daemon.hear("STATUS=Last run")
    assert daemon.end(signal.SIGTERM)[0] == 0
    assert len(daemon.done()) == 4


def test_a_daemon_stops_although_a_command_has_the_turn(daemon: Daemon) -> None:
    daemon.start()
    daemon.hear("STATUS=Last run")
    with turn(daemon.folder / "state", "backup", no_wait):
        code, said = daemon.end()
    assert code == 0
    assert "vaultd backup (process " + str(os.getpid()) + ") has its turn." in said


def test_a_daemon_without_files_left_takes_commands_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused = iter((errno.EMFILE, errno.ECONNABORTED))

    class Poor(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            for number in refused:
                raise OSError(number, os.strerror(number))
            return super().accept()

    def listen(directory: Path, waiting: int) -> socket.socket:
        return Poor(fileno=real_listen(directory, waiting).detach())

    real_listen = server_module.listen
    monkeypatch.setattr(server_module, "listen", listen)
    monkeypatch.setattr(server_module, "_AGAIN", 0.0)
    found = Lender(tmp_path / "state")
    with found.server, turn(found.state, "backup", no_wait):
        assert "Too many open files" in caplog.text
    found.stopping.set()
    assert found.turns.idle_within(10)
    found.lock.release()
