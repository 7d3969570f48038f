"""The control socket's file in the state folder, and who is at its other end."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SOCKET: Final = "control"
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: struct ucred in socket(7)


def new_socket() -> socket.socket:
    """Return a socket that keeps the bounds of messages."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)


@contextmanager
def address_in(directory: Path) -> Iterator[str]:
    """Yield the address; through /proc, as a socket's address has room for 107 bytes only."""
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)


def listen(directory: Path, waiting: int) -> socket.socket:
    """Return a listening socket of mode 0600; the caller holds the state lock, so an old one is
    nobody's. Raises OSError."""
    listener = new_socket()
    try:
        with address_in(directory) as address:
            with suppress(FileNotFoundError):
                (directory / SOCKET).unlink()
            os.fchmod(listener.fileno(), 0o600)  # bind(2) takes the mode of the socket
            listener.bind(address)
        (directory / SOCKET).chmod(0o600)
        listener.listen(waiting)
    except OSError:
        listener.close()
        raise
    return listener


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process id and the user id at the other end, as the kernel knows them."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(data)
    return pid, uid


def is_trusted(uid: int) -> bool:
    """Tell whether this user may take part: we ourselves, and root."""
    return uid in (0, os.geteuid())
