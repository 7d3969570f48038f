"""A command on a real terminal (a pseudo-terminal), and somebody who types."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time


def _as_from_a_shell() -> None:
    """Make it the terminal of the new session (for /dev/tty), where Ctrl-C does what it does."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """`vaultd` with a terminal of its own; what it prints to standard output stays apart."""

    def __init__(self, *arguments: str) -> None:
        self.near, far = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vaultd", *arguments],
            stdin=far,
            stdout=subprocess.PIPE,
            stderr=far,
            start_new_session=True,
            preexec_fn=_as_from_a_shell,  # noqa: PLW1509
        )
        os.close(far)
        self.seen = ""

    def await_text(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self.seen:
            ready, _, _ = select.select([self.near], [], [], deadline - time.monotonic())
            assert ready, self.seen
            self.seen += os.read(self.near, 4096).decode()

    def say(self, prompt: str, text: str) -> None:
        """Wait for a prompt that was not answered yet, and type."""
        self.await_text(prompt)
        self.seen = self.seen.partition(prompt)[2]
        os.write(self.near, f"{text}\n".encode())

    def result(self) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=30)
        return self.process.returncode, out.decode().strip()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.near)
