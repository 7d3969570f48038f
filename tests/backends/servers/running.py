"""A server process on a loopback port that was free."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.servers import PATIENCE

# Below the ports that connections going out take at any moment.
_PORTS = range(15_000, 32_000)
_ROOT = Path(__file__).parents[3]
USER, PASSWORD = "anna", "correct horse"


_HELD: list[int] = []


def free_port() -> int:
    """Return a port nobody listens on, at any address, and that no other test process takes.

    Between the choice and the server's start another suite on this machine may choose, too: so
    each port has a file whose lock is held as long as this process lives.
    """
    while True:
        port = secrets.choice(_PORTS)
        claim = os.open(
            f"{tempfile.gettempdir()}/vt-port-{port}",
            os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o666,
        )
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("", port))
        except OSError:
            os.close(claim)
            continue
        _HELD.append(claim)
        return port


def new_folder() -> Path:
    """Return a new folder that servers of another user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="vt-", dir="/tmp"))
    folder.chmod(0o755)
    return folder


@dataclass
class Running:
    """A server: its URL, the folder it serves, and the process."""

    url: str
    files: Path
    home: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the server and remove what it had."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)


def start(
    command: list[str], url: str, port: int, home: Path, files: Path,
    *, environment: Mapping[str, str] | None = None,
) -> Running:  # fmt: skip
    """Start a server, with more in its environment, and wait until its port answers."""
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=home,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(_ROOT),
                 **(environment or {})},
        )  # fmt: skip
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return Running(url, files, home, process)
        time.sleep(0.05)
    process.kill()
    raise RuntimeError(f"{command[0]} did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")
