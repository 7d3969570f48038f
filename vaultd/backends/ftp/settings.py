"""What an FTP place needs to be told."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vaultd.backends.transport.addresses import dial
from vaultd.errors import UsageError

_FTP_PORT: Final = 21
_IMPLICIT_PORT: Final = 990


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpSettings:
    """Where an FTP server is, who we are there, and how far it is trusted.

    `port` None is 21, or 990 where `implicit`. `path` is a folder on the server, from the
    folder after login where it does not start with `/`. With neither `insecure` nor `implicit`
    TLS is asked for by AUTH TLS (RFC 4217); `implicit` speaks TLS from the first byte;
    `insecure` is plain FTP, password and all. `ca_file`: the PEM file of certificates trusted
    instead of the system's. `connect_to`: the IP address to connect to, while the certificate
    is still checked against `host`. Timeouts in seconds. Raises UsageError. `connect` opens a TCP
    connection to a host and port within seconds. `check` is
    asked before each request, and what it raises is passed on.
    """

    host: str
    username: str
    password: str = field(repr=False)
    path: str = ""
    port: int | None = None
    insecure: bool = False
    implicit: bool = False
    ca_file: Path | None = None
    connect_to: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    connect: Callable[[str, int, float], socket.socket] = field(default=dial, repr=False)
    check: Callable[[], None] = field(default=lambda: None, repr=False)
    connections: int = 4

    def __post_init__(self) -> None:
        for what, text in (
            ("host", self.host),
            ("username", self.username),
            ("password", self.password),
            ("path", self.path),
        ):
            if any(sign in text for sign in "\r\n\0"):
                raise UsageError(f"The {what} of an FTP place cannot hold a line break.")
        if self.insecure and self.implicit:
            raise UsageError(
                "An FTP place cannot be both insecure and implicit TLS.", hint="Take one away."
            )
        if self.connections < 1:
            raise UsageError("An FTP place needs at least one connection.")

    @property
    def real_port(self) -> int:
        """The port to connect to."""
        return self.port or (_IMPLICIT_PORT if self.implicit else _FTP_PORT)

    @property
    def where(self) -> str:
        """How messages name the server."""
        return f"{self.host}:{self.real_port}"
