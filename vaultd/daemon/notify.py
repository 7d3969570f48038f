"""Telling systemd how the service is: sd_notify(3) in a few lines, nothing without systemd."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

_log: Final = logging.getLogger(__name__)


class Notifier:
    """Sends states to `$NOTIFY_SOCKET`; does nothing where there is none."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        usec = environment.get("WATCHDOG_USEC", "")
        pid = environment.get("WATCHDOG_PID", "")
        ours = not pid or pid == str(os.getpid())
        self.watchdog_seconds = int(usec) / 1e6 if usec.isdigit() and ours else None

    def ready(self) -> None:
        """The service is up (again, after a reload)."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The config is being read again."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service is on its way down."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """What `systemctl status` shows."""
        self._send(f"STATUS={' '.join(sentence.split())}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.sendto(message.encode(), self._address)
        except OSError as error:
            # Backups are worth more than systemd's knowledge of them.
            _log.warning(
                "systemd cannot be told %s (%s).", message.partition("=")[0], error.strerror
            )
