"""A small FTP server of files in memory whose every answer a test can replace: for bad servers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.backends.servers.raw_tcp import serve

Answer = str | bytes | Callable[["Conversation", str], str | bytes | None]


@dataclass
class ScriptedFtp:
    """`answers` by command win over what an honest server does; `said` is what clients sent."""

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    listing: bytes | Iterator[bytes] | None = None
    said: list[str] = field(default_factory=list)


class Conversation:
    """One control connection."""

    def __init__(self, server: ScriptedFtp, control: socket.socket) -> None:
        self.server, self.control = server, control
        self.data: socket.socket | None = None
        self.renamed = ""
        self.start = 0

    def reply(self, text: str | bytes) -> None:
        content = text.encode() if isinstance(text, str) else text
        self.control.sendall(content + b"\r\n")

    def run(self) -> None:
        self.control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeting = self.server.answers.get("GREETING", "220 hello")
        self.give(greeting, "")
        for line in self.control.makefile("r", newline="\r\n"):
            line = line.removesuffix("\r\n")
            self.server.said.append(line)
            command, _, argument = line.partition(" ")
            argument = argument.removeprefix("./")
            own = getattr(self, f"do_{command.lower()}", None)
            answer = self.server.answers.get(command, own or "502 no such command")
            self.give(answer if answer is not own else lambda _, a, own=own: own(a), argument)

    def give(self, answer: Answer, argument: str) -> None:
        text = answer(self, argument) if callable(answer) else answer
        if text is not None:
            self.reply(text)

    do_user = staticmethod(lambda _: "331 password?")
    do_pass = staticmethod(lambda _: "230 in")
    do_type = staticmethod(lambda _: "200 ok")
    do_noop = staticmethod(lambda _: "200 ok")
    do_feat = staticmethod(lambda _: "211-Features:\r\n SIZE\r\n211 End")
    do_mkd = staticmethod(lambda _: '257 "made"')
    do_cwd = staticmethod(lambda _: "250 there")

    def do_pasv(self, _: str) -> str:
        self.data = socket.create_server(("127.0.0.1", 0))
        port = self.data.getsockname()[1]
        return f"227 Entering (10,9,8,7,{port >> 8},{port & 255})"  # an address that is not ours

    def do_size(self, name: str) -> str:
        return f"213 {len(self.server.files[name])}" if name in self.server.files else "550 none"

    def do_dele(self, name: str) -> str:
        return "250 ok" if self.server.files.pop(name, None) is not None else "550 none"

    def do_rnfr(self, name: str) -> str:
        self.renamed = name
        return "350 to?" if name in self.server.files else "550 none"

    def do_rnto(self, name: str) -> str:
        self.server.files[name] = self.server.files.pop(self.renamed)
        return "250 ok"

    def do_rest(self, start: str) -> str:
        self.start = int(start)
        return "350 ok"

    @contextmanager
    def transfer(self) -> Iterator[socket.socket]:
        assert self.data is not None
        self.reply("150 here")
        with self.data, self.data.accept()[0] as connection:
            yield connection

    def do_stor(self, name: str) -> str:
        with self.transfer() as connection:
            content = b"".join(iter(lambda: connection.recv(65536), b""))
        self.server.files[name] = content
        return "226 stored"

    def do_retr(self, name: str) -> str:
        if name not in self.server.files:
            return "550 none"
        start, self.start = self.start, 0
        with self.transfer() as connection:
            try:
                connection.sendall(self.server.files[name][start:])
            except OSError:
                return "426 cut"
        return "226 sent"

    def do_list(self, _: str) -> str:
        listing = self.server.listing
        if listing is None:
            lines = (
                f"-rw------- 1 a a {len(content)} Nov 24 03:22 {name}\r\n"
                for name, content in self.server.files.items()
            )
            listing = "".join(lines).encode()
        with self.transfer() as connection:
            for piece in [listing] if isinstance(listing, bytes) else listing:
                connection.sendall(piece)
        return "226 listed"

    do_nlst = do_list
    do_mlsd = do_list


@contextmanager
def scripted_ftp() -> Iterator[ScriptedFtp]:
    """Give a server that is honest until a test changes its `answers` or `listing`."""
    server = ScriptedFtp()
    with serve(lambda control: Conversation(server, control).run()) as server.port:
        yield server
