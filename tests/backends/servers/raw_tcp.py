"""A TCP server whose every connection is one call of a test's function: for hostile answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.backends.servers.running import free_port


@contextmanager
def serve(handle: Callable[[socket.socket], None], address: str = "127.0.0.1") -> Iterator[int]:
    """Give the port of a server at `address`; `handle` gets each connection in its own thread."""
    listener = socket.create_server((address, free_port()))
    connections: list[socket.socket] = []

    def run(connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the client went away, or the test is over
            handle(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threading.Thread(target=run, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def read_request(connection: socket.socket) -> bytes:
    """Return the head of an HTTP request; what comes after it is left out."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(65536)
        if not piece:
            raise OSError("the client ended")
        head += piece
    return head
