"""A loopback front before an HTTP server: TLS if wished, requests counted, connections cut."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_REQUEST = re.compile(rb"(?:^|\n)((?:GET|PUT|HEAD|POST|DELETE) \S+) HTTP/1\.1\r\n")


class HttpFront:
    """Passes on to `port`; `requests` are the request lines seen, `connections` their number.

    `cut_request_after` bytes of a request line matching `cut_on`, or, with `swallow`, instead of
    its answer, the connection ends.
    """

    def __init__(self, port: int, certificate: Path | None = None) -> None:
        self.requests: list[str] = []
        self.connections = 0
        self.cut_on: str | None = None
        self.cut_after = 0
        self.swallow = False
        self._upstream = port
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def endpoint(self, host: str = "127.0.0.1") -> str:
        """The front's URL by that name."""
        return f"{'http' if self._context is None else 'https'}://{host}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            if self._context is not None:
                client = self._context.wrap_socket(client, server_side=True)
            with client, socket.create_connection(("127.0.0.1", self._upstream)) as server:
                state = {"swallow": False}
                back = threading.Thread(
                    target=self._back, args=(server, client, state), daemon=True
                )
                back.start()
                self._forth(client, server, state)
                back.join()

    def _forth(self, client: socket.socket, server: socket.socket, state: dict[str, bool]) -> None:
        left: int | None = None
        with suppress(OSError):
            while piece := client.recv(65536):
                for found in _REQUEST.findall(piece):
                    line = found.decode("latin-1")
                    self.requests.append(line)
                    if self.cut_on is not None and re.search(self.cut_on, line):
                        state["swallow"] = self.swallow
                        left = None if self.swallow else self.cut_after
                if left is not None:
                    piece = piece[:left]
                    left -= len(piece)
                server.sendall(piece)
                if left == 0:
                    server.shutdown(socket.SHUT_RDWR)
                    client.shutdown(socket.SHUT_RDWR)
                    return
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _back(self, server: socket.socket, client: socket.socket, state: dict[str, bool]) -> None:
        with suppress(OSError):
            while piece := server.recv(65536):
                if state["swallow"]:
                    break
                client.sendall(piece)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
