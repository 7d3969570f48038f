"""What an SFTP place needs to be told."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vaultd.backends.transport.addresses import dial
from vaultd.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpSettings:
    """Where an SSH server is, who we are there, and which host key is the right one.

    `path` is a folder on the server, from the home folder where it does not start with `/`.
    Log-in is by `key_file` or `key_text` (a private key in OpenSSH or PEM form, opened with
    `passphrase`), then by `password`. `host_key` pins the server's key: a line such as
    `ssh-ed25519 AAAA…` or a fingerprint `SHA256:…`; or `known_hosts` is a file of such keys as
    OpenSSH writes it. `connect_to`: the IP address to connect to instead of looking up `host`.
    `channels`: SFTP channels at once over the one connection; OpenSSH allows 10. Timeouts in
    seconds. Raises UsageError. `connect` opens a TCP
    connection to a host and port within seconds. `check` is asked before each request,
    and what it raises is passed on.
    """

    host: str
    username: str
    path: str = ""
    port: int = 22
    password: str | None = field(default=None, repr=False)
    key_file: Path | None = None
    key_text: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    host_key: str | None = None
    known_hosts: Path | None = None
    connect_to: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    channels: int = 8
    connect: Callable[[str, int, float], socket.socket] = field(default=dial, repr=False)
    check: Callable[[], None] = field(default=lambda: None, repr=False)

    def __post_init__(self) -> None:
        if self.password is None and self.key_file is None and self.key_text is None:
            raise UsageError(
                "An SFTP place needs a password, a key_file or a key_text.",
                hint="Give one of them.",
            )
        if "\0" in self.path:
            raise UsageError("The path of an SFTP place has no zero byte.")
        if self.channels < 1:
            raise UsageError("An SFTP place needs at least one channel.")

    @property
    def where(self) -> str:
        """How messages name the server."""
        return f"{self.host}:{self.port}"
