"""The wire: FTP's control connection and data connections, bounded in bytes and in time."""

# ruff: noqa: S321  (FTP is what this is about; TLS is required unless the owner says otherwise)

from __future__ import annotations

import ftplib
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from vaultd.backends.ftp.settings import FtpSettings

MAX_REPLY: Final = 64 * 1024
_SLOWEST: Final = 1024  # bytes/s that a sender must reach on average
_PARTING_SECONDS: Final = 10.0


class Pace:
    """Ends a transfer that trickles: `patience` seconds, and one more per KiB received.

    `check` is asked as often as how long there is left; what it raises is passed on.
    """

    def __init__(self, patience: float, check: Callable[[], None]) -> None:
        self._start = time.monotonic()
        self._patience = patience
        self._check = check

    def left(self, received: int = 0) -> float:
        """Return the seconds left; raises TimeoutError when there are none."""
        self._check()
        spent = time.monotonic() - self._start
        left = self._patience + received / _SLOWEST - spent
        if left <= 0:
            raise TimeoutError("timed out")
        return left


class FtpControl(ftplib.FTP_TLS):
    """ftplib's connection, except that

    - replies are at most 64 KiB and must be whole within the read timeout,
    - what a server sent in the clear before TLS began is refused, not taken for its replies,
    - data connections go to the control connection's peer, whatever address PASV names, and
      resume its TLS session (vsftpd, ProFTPD and Pure-FTPd may require that),
    - `in_step` says whether a reply is still owed.

    Raises ftplib.Error, EOFError, OSError, ValueError and OverflowError.
    """

    def __init__(self, settings: FtpSettings, context: ssl.SSLContext | None) -> None:
        super().__init__(context=context, timeout=settings.connect_timeout)
        self.host, self.port = settings.host, settings.real_port
        self._settings = settings
        self._received = b""
        self._protected = False
        self._owed = False

    @property
    def in_step(self) -> bool:
        """Whether every command has its final reply, and nothing else was said."""
        return self.sock is not None and not self._owed and not self._received

    def open(self) -> str:
        """Connect, and return the greeting."""
        settings = self._settings
        self.sock = settings.connect(
            settings.connect_to or settings.host, settings.real_port, settings.connect_timeout
        )
        self.af = self.sock.family
        if settings.implicit:
            self._protect_control()
        self._owed = True
        self.welcome = self.getresp()
        if self.welcome.startswith("1"):  # "ready in nnn minutes"
            raise ftplib.error_temp(self.welcome)
        return self.welcome

    def start_tls(self) -> None:
        """Encrypt the control connection (RFC 4217 §4)."""
        self.voidcmd("AUTH TLS")
        if self._received:
            raise ftplib.error_proto("500 spoke in the clear after AUTH TLS")
        self._protect_control()

    def protect_data(self) -> None:
        """Have data connections encrypted (RFC 4217 §9)."""
        self.voidcmd("PBSZ 0")
        self.voidcmd("PROT P")
        self._protected = True

    def silent_for(self, seconds: float) -> bool:
        """Return whether nothing comes, not even an end, within `seconds`."""
        if self.sock is None or self._received:
            return False
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return not select.select([self.sock], [], [], seconds)[0]

    def putline(self, line: str) -> None:
        """Send a command; what it needs to know is that a reply is owed from now on."""
        self._owed = True
        if self.sock is not None:
            self.sock.settimeout(self._settings.read_timeout)
        super().putline(line)

    def getmultiline(self) -> str:
        """Return one reply, its lines joined by line feeds."""
        pace = Pace(self._settings.read_timeout, self._settings.check)
        lines = [self._line(pace)]
        code = lines[0][:3]
        length = len(lines[0])
        if lines[0][3:4] == "-":
            while lines[-1][:3] != code or lines[-1][3:4] == "-":
                lines.append(self._line(pace))
                length += len(lines[-1]) + 1
                if length > MAX_REPLY:
                    raise ftplib.error_proto("500 a reply without an end")
        if not (code.isascii() and code.isdigit()):
            raise ftplib.error_proto(lines[0][:200])
        self._owed = code[0] == "1"
        return "\n".join(lines)

    def _line(self, pace: Pace) -> str:
        while b"\n" not in self._received:
            if len(self._received) > MAX_REPLY:
                raise ftplib.error_proto("500 a line without an end")
            if self.sock is None:
                raise EOFError
            self.sock.settimeout(pace.left())
            piece = self.sock.recv(8192)
            if not piece:
                raise EOFError
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return line.removesuffix(b"\r").decode("utf-8", "replace")

    def makepasv(self) -> tuple[str, int]:
        """Return where to connect for data: always the control connection's peer."""
        assert self.sock is not None
        peer = self.sock.getpeername()
        if self.af == socket.AF_INET:
            try:
                return peer[0], ftplib.parse227(self.sendcmd("PASV"))[1]
            except ftplib.error_perm as error:
                if str(error)[:3] == "530":
                    raise
        return peer[0], ftplib.parse229(self.sendcmd("EPSV"), peer)[1]

    def ntransfercmd(
        self, cmd: str, rest: int | str | None = None
    ) -> tuple[socket.socket, int | None]:
        """Begin a transfer; returns the data connection, encrypted where that was agreed."""
        conn, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._protected:
            session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
            conn = self._encrypted(conn, session)
        conn.settimeout(self._settings.read_timeout)
        return conn, size

    def _protect_control(self) -> None:
        assert self.sock is not None
        self.sock = self._encrypted(self.sock, None)

    def _encrypted(self, plain: socket.socket, session: ssl.SSLSession | None) -> ssl.SSLSocket:
        """Return the connection after a handshake that is done within the connect timeout."""
        secure = self.context.wrap_socket(
            plain, server_hostname=self.host, session=session, do_handshake_on_connect=False
        )
        try:
            secure.settimeout(0)
            pace = Pace(self._settings.connect_timeout, self._settings.check)
            while True:
                try:
                    secure.do_handshake()
                except ssl.SSLWantReadError:
                    select.select([secure], [], [], pace.left())
                except ssl.SSLWantWriteError:
                    select.select([], [secure], [], pace.left())
                else:
                    return secure
        except BaseException:
            secure.close()
            raise


def part(conn: socket.socket) -> None:
    """End a data connection that was written or read to its end.

    TLS says goodbye and waits for the same: closing with unread session tickets would reset
    the connection, and some servers would lose the last bytes. Servers that answer nothing are
    common, so that the reply on the control connection has the last word.
    """
    if isinstance(conn, ssl.SSLSocket):
        try:
            conn.settimeout(_PARTING_SECONDS)
            conn.unwrap()
        except (OSError, ValueError):
            pass
    conn.close()
