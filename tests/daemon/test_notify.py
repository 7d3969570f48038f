"""What systemd is told."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from vaultd.daemon.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_every_state(tmp_path: Path, abstract: bool) -> None:
    address = f"@vaultd-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + address[1:] if abstract else address)
        notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000"})
        assert notifier.watchdog_seconds == 30
        notifier.ready()
        notifier.status("two\nlines")
        notifier.alive()
        notifier.stopping()
        notifier.reloading()
        heard = [server.recv(256).decode() for _ in range(5)]
    assert heard[:4] == ["READY=1", "STATUS=two lines", "WATCHDOG=1", "STOPPING=1"]
    assert heard[4].startswith("RELOADING=1\nMONOTONIC_USEC=")


def test_without_systemd_nothing_happens() -> None:
    notifier = Notifier({})
    notifier.ready()
    assert notifier.watchdog_seconds is None


def test_a_watchdog_of_another_process_is_not_ours() -> None:
    assert Notifier({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}).watchdog_seconds is None


def test_a_vanished_socket_does_not_stop_the_daemon(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()
