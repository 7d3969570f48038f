"""The daemon as systemd sees it: a process, signals, a socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.daemon_process import PEOPLE, prepare
from vaultd.backends.folder.backend import FolderBackend
from vaultd.restore.snapshot import open_with_kit
from vaultd.state.store import State


class Daemon:
    """One daemon process and what it tells systemd."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = prepare(folder)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(20)
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.daemon.daemon_process", str(self.folder)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def hear(self, start: str) -> str:
        """Wait for a message to systemd that starts so."""
        while True:
            message = self.socket.recv(4096).decode()
            if message.startswith(start):
                return message

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        assert self.process is not None
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said

    def done(self) -> list[str]:
        """Usernames whose vault has an archive that restores."""
        place = FolderBackend(self.folder / "vaults")
        names = {name for name in PEOPLE if list(place.list(self._vault(name)))}
        for name in names:
            vault = open_with_kit(place, self.world.secrets[name], [])
            assert vault.problems == []
        return sorted(names)

    def _vault(self, name: str) -> str:
        return self.world.secrets[name].recipient.vault_id

    def close(self) -> None:
        self.socket.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    found = Daemon(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_daemon_backs_up_who_is_due_and_stops_cleanly(daemon: Daemon, number: int) -> None:
    daemon.start()
    daemon.hear("READY=1")
    daemon.hear("STATUS=Last run: 4 accounts looked at, 4 changed, 0 failed")
    code, said = daemon.end(number)
    assert code == 0, said
    assert daemon.hear("STOPPING=1")
    assert daemon.done() == sorted(PEOPLE)
    assert "Stopped." in said
    figures = (daemon.folder / "vaultd.prom").read_text()
    assert 'vaultd_accounts{status="written"} 4\n' in figures


def test_a_second_daemon_and_a_backup_by_hand_are_refused(daemon: Daemon) -> None:
    first = daemon.start()
    daemon.hear("STATUS=Last run")
    second = subprocess.run(
        [sys.executable, "-m", "tests.daemon.daemon_process", str(daemon.folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert second.returncode == 2
    assert f"Another vaultd (process {first.pid}) works on" in second.stderr
    assert daemon.end()[0] == 0


def test_a_stop_in_the_middle_of_a_run_leaves_the_rest_for_the_next_start(daemon: Daemon) -> None:
    hold = daemon.folder / "hold"
    hold.write_text("")
    process = daemon.start()
    daemon.hear("STATUS=Backing up 4")
    deadline = time.monotonic() + 30
    while hold.read_text() != "held" and time.monotonic() < deadline:
        time.sleep(0.02)
    # The second account is held while it is read: it is given up, and the rest is left.
    process.send_signal(signal.SIGTERM)
    daemon.hear("STOPPING=1")
    hold.unlink()
    assert process.wait(timeout=60) == 0
    assert daemon.hear("STATUS=Last run").startswith("STATUS=Last run: 1 account looked at")
    assert len(daemon.done()) == 1
    daemon.start()
    assert "3 accounts looked at" in daemon.hear("STATUS=Last run")
    assert daemon.end()[0] == 0
    assert daemon.done() == sorted(PEOPLE)


def test_a_kill_is_survived(daemon: Daemon) -> None:
    daemon.start()
    daemon.hear("STATUS=Backing up 4")
    daemon.end(signal.SIGKILL)
    daemon.start()
    daemon.hear("STATUS=Last run")
    assert daemon.end()[0] == 0
    assert daemon.done() == sorted(PEOPLE)


def test_a_reload_takes_a_good_config_and_refuses_a_bad_one(daemon: Daemon) -> None:
    process = daemon.start()
    daemon.hear("STATUS=Last run")
    (daemon.folder / "bad").write_text("")
    process.send_signal(signal.SIGHUP)
    daemon.hear("RELOADING=1")
    assert "schedule.every" in daemon.hear("STATUS=Reload refused")
    daemon.hear("READY=1")
    (daemon.folder / "bad").unlink()
    process.send_signal(signal.SIGHUP)
    daemon.hear("RELOADING=1")
    daemon.hear("READY=1")
    code, said = daemon.end()
    assert code == 0
    assert "The config was reloaded." in said


def test_accounts_come_again_every_period(daemon: Daemon) -> None:
    (daemon.folder / "every").write_text("60s")
    state = State(daemon.folder / "state")
    daemon.start()
    daemon.hear("STATUS=Last run")
    first = {result.username: result.at for result in state.journal.results()}
    deadline = time.monotonic() + 40
    while {
        r.username: r.at for r in state.journal.results()
    } == first and time.monotonic() < deadline:
        time.sleep(0.2)
    assert {r.status for r in state.journal.results()} <= {"written", "unchanged"}
    assert {r.username: r.at for r in state.journal.results()} != first
    state.close()
    assert daemon.end()[0] == 0
