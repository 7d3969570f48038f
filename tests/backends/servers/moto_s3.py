"""moto_server: S3 on loopback that checks no signature and no digest, but keeps locks."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.backends.servers.running import free_port
from tests.servers import unavailable


@dataclass
class Moto:
    """A running moto_server."""

    port: int
    process: subprocess.Popen[bytes]
    home: Path

    @property
    def endpoint(self) -> str:
        """Its S3 endpoint, over plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End the server."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)


def start_moto() -> Moto:
    """Start moto_server on a free port; skips where it is not installed."""
    script = Path(sys.executable).parent / "moto_server"
    if not script.exists():
        unavailable("moto", "the package `moto[server]` is not installed")
    home = Path(tempfile.mkdtemp(prefix="vt-moto-", dir="/tmp"))
    port = free_port()
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [script, "-H", "127.0.0.1", "-p", str(port)],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=home,
        )  # fmt: skip
    moto = Moto(port, process, home)
    for _ in range(1800):
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return moto
        time.sleep(0.1)
    log_text = (home / "log").read_text("utf-8", "replace")[-2000:]
    moto.stop()
    raise RuntimeError(f"moto_server did not start:\n{log_text}")
