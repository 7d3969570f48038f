"""One logged-in FTP session and the few things the backend does with it."""

# ruff: noqa: S321  (FTP is what this is about; TLS is required unless the owner says otherwise)

from __future__ import annotations

import ftplib
import re
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from vaultd.backends.ftp.control import FtpControl, Pace, part
from vaultd.backends.ftp.errors import FtpSpeech, is_denial
from vaultd.backends.ftp.listing import Lines, is_cut, read_facts
from vaultd.backends.ftp.login import log_in
from vaultd.backends.ftp.settings import FtpSettings
from vaultd.errors import ObjectExists, ObjectMissing, PlaceBusy, PlaceError, PlaceFull

MAX_LISTING: Final = 64 * 1024 * 1024
_BLOCK: Final = 256 * 1024
_NOT_KNOWN: Final = ("500", "501", "502", "504")
_NOT_THERE: Final = ("550", "551", "553", "521")
_ASK_AFTER_SECONDS: Final = 30.0
_NUMBER: Final = re.compile(r"213 +(\d{1,19})\s*")
_LISTING: Final = "list a folder"
# vsftpd: `226 Transfer done (but failed to open directory).`
_NOT_OPENED: Final = re.compile(r"failed to open", re.I)
_EMPTY: Final = re.compile(r"\bno files|\bempty\b", re.I)


class FolderMissing(Exception):
    """A refusal that may be for want of the folder; `refusal` is the error if not."""

    def __init__(self, refusal: PlaceError) -> None:
        super().__init__()
        self.refusal = refusal


class FtpSession:
    """Logged in, in binary mode, in the place's folder; names are relative to it.

    One thread at a time. Every verb raises the errors of vaultd.errors and, when the connection
    broke or a reply is missing, leaves the session not `usable`.
    """

    def __init__(self, settings: FtpSettings, context: ssl.SSLContext | None, create: bool) -> None:
        """Connect and log in; with `create` the place's folder is made. Raises PlaceError."""
        self._settings = settings
        self._says = FtpSpeech(settings.where, settings.password)
        self._control = FtpControl(settings, context)
        self._used = time.monotonic()
        try:
            self.features = log_in(self._control, self._says, settings, create)
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """Whether the next command will get its own reply."""
        return self._control.in_step

    @property
    def tls(self) -> str:
        """The TLS version spoken, "" for none."""
        sock = self._control.sock
        return (sock.version() or "") if isinstance(sock, ssl.SSLSocket) else ""

    def alive(self) -> bool:
        """Return whether the server still listens: without asking when it was used just now."""
        if not self._control.silent_for(0):
            return False  # it said goodbye, or hung up
        if time.monotonic() - self._used < _ASK_AFTER_SECONDS:
            return True
        with suppress(PlaceError):
            return self._answers_at_once()
        return False

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._control.close()

    @contextmanager
    def _doing(self, what: str, *, unknown: bool = False) -> Iterator[None]:
        try:
            with self._says.doing(what, self._control.close, unknown=unknown):
                yield
        finally:
            self._used = time.monotonic()

    def size(self, name: str) -> int | None:
        """Return the size of a file, None where there is no file of that name."""
        with self._doing(f"tell the size of {name}"):
            try:
                found = _NUMBER.fullmatch(self._control.sendcmd(f"SIZE ./{name}"))
            except (ftplib.error_perm, ftplib.error_temp) as error:
                reply = str(error)
                if reply[:3] == "450":  # rclone's of a missing file, others' of a busy one
                    return self._size_by_mlst(name, error)
                if reply[:3] in _NOT_KNOWN and "MLST" in self.features:
                    return self._size_by_mlst(name, error)
                if reply[:3] not in _NOT_THERE or is_denial(self._says.quote(reply)):
                    raise
                return None
            if found is None:
                raise ftplib.error_proto("500 not a size")
            return int(found[1])

    def _size_by_mlst(self, name: str, refusal: ftplib.Error) -> int | None:
        try:
            reply = self._control.voidcmd(f"MLST ./{name}")
        except ftplib.error_perm as error:
            if str(error)[:3] in _NOT_KNOWN:
                raise refusal from None
            if str(error)[:3] not in _NOT_THERE:
                raise
            return None
        lines = reply.split("\n")
        kind, size = read_facts(lines[1].lstrip().partition(" ")[0] if len(lines) > 2 else "")
        return size if kind == "file" else None

    def store(self, name: str, pieces: Iterable[bytes]) -> None:
        """Store a file; raises FolderMissing before anything of `pieces` is read.

        What `pieces` raises is passed on; a part of the file may then be there.
        """
        with self._doing(f"store {name}"):
            try:
                conn = self._open_data(f"STOR ./{name}")
            except ftplib.error_perm as error:
                if str(error)[:3] not in _NOT_THERE:
                    raise
                refused = self._says.reply(f"store {name}", str(error))
                if isinstance(refused, PlaceFull):
                    raise
                raise FolderMissing(refused) from None
        try:
            for piece in pieces:
                with self._doing(f"store {name}"):
                    try:
                        conn.sendall(piece)
                    except OSError:
                        self._explain()
                        raise
            part(conn)
            with self._doing(f"store {name}"):
                self._control.voidresp()
        except BaseException:
            conn.close()
            if not self.usable:
                self._settle()
            raise

    def _open_data(self, command: str, offset: int = 0) -> socket.socket:
        try:
            return self._control.transfercmd(command, offset or None)
        except ssl.SSLError:
            self._explain()
            raise

    def _explain(self) -> None:
        """Raise the server's own reason for a data connection that broke, if it gives one."""
        if not self._control.silent_for(min(5.0, self._settings.read_timeout)):
            self._control.voidresp()

    def _settle(self) -> None:
        """After a transfer broken off: read its reply, and make sure that no other follows."""
        with suppress(PlaceError), self._doing("end a transfer"):
            if self._control.sock is None or self._control.silent_for(
                min(5.0, self._settings.read_timeout)
            ):
                self._control.close()
                return
            with suppress(ftplib.Error):
                self._control.getresp()
            if not self._answers_at_once():
                self._control.close()

    def _answers_at_once(self) -> bool:
        with self._doing("answer"):
            return self._control.voidcmd("NOOP")[:3] == "200"

    def retrieve(self, name: str, offset: int, count: int, size: int) -> bytes:
        """Return `count` bytes from `offset` of a file that is `size` bytes long."""
        what = f"send {name}"
        with self._doing(what):
            try:
                conn = self._open_data(f"RETR ./{name}", offset)
            except ftplib.error_perm as error:
                if str(error)[:3] in _NOT_THERE and not is_denial(str(error)):
                    raise ObjectMissing(
                        f"{name} is not on the FTP server {self._settings.where}."
                    ) from None
                raise
        content = bytearray()
        try:
            with self._doing(what):
                pace = Pace(self._settings.read_timeout, self._settings.check)
                while len(content) < count:
                    conn.settimeout(pace.left(len(content)))
                    piece = conn.recv(min(_BLOCK, count - len(content)))
                    if not piece:
                        break
                    content += piece
                if len(content) == count == size - offset:
                    part(conn)
                    self._control.voidresp()
        finally:
            conn.close()
            if not self.usable:
                self._settle()
        if len(content) < count:
            raise PlaceBusy(
                f"The FTP server {self._settings.where} ended {name} {count - len(content)} bytes "
                "too early.",
                unknown=False,
            )
        return bytes(content)

    def rename(self, name: str, to: str) -> None:
        """Give a file its final name; most servers replace what is there. Raises ObjectExists."""
        with self._doing(f"rename {name}"):
            self._control.sendcmd(f"RNFR ./{name}")
        try:
            with self._doing(f"rename {name} to {to}", unknown=True):
                self._control.voidcmd(f"RNTO ./{to}")
        except PlaceBusy:
            raise
        except PlaceError:
            if self.usable and self.size(to) is not None:
                raise ObjectExists(
                    f"{to} is already on the FTP server {self._settings.where}."
                ) from None
            raise

    def remove(self, name: str) -> None:
        """Remove a file; an absent one is fine."""
        try:
            with self._doing(f"remove {name}", unknown=True):
                self._control.voidcmd(f"DELE ./{name}")
        except PlaceBusy:
            raise
        except PlaceError:
            if not self.usable or self.size(name) is not None:
                raise

    def make_folder(self, name: str) -> None:
        """Make a folder; one that is there is fine, as is a refusal: storing will tell why."""
        with self._doing(f"make the folder {name}"), suppress(ftplib.error_perm):
            self._control.voidcmd(f"MKD ./{name}")

    def lines(self, command: str, folder: str) -> Iterator[str]:
        """Yield the lines that MLSD, LIST or NLST gives of a folder ("" is the place's own).

        Raises FolderMissing where it is not there, PlaceError for a listing that was cut short,
        and UnknownListing.
        """
        received, lines = 0, Lines()
        with self._doing(_LISTING):
            try:
                conn = self._open_data(f"{command} ./{folder}" if folder else f"{command} .")
            except (ftplib.error_perm, ftplib.error_temp) as error:
                self._nothing(folder, str(error))
                return
        try:
            pace = Pace(self._settings.read_timeout, self._settings.check)
            while True:
                with self._doing(_LISTING):
                    conn.settimeout(pace.left(received))
                    piece = conn.recv(_BLOCK)
                received += len(piece)
                if received > MAX_LISTING:
                    raise PlaceError(
                        f"The FTP server {self._settings.where} lists a folder without end.",
                        hint=f"More than {MAX_LISTING >> 20} MiB came; is this the right folder?",
                    )
                if not piece:
                    break
                yield from lines.feed(piece)
            yield from lines.end()
            part(conn)
            with self._doing(_LISTING):
                reply = self._control.voidresp()
                if _NOT_OPENED.search(reply):
                    self._nothing(folder, f"550 {reply}")
        finally:
            conn.close()
            if not self.usable:
                self._settle()
        if is_cut(reply, lines.count):
            raise PlaceError(
                f"The FTP server {self._settings.where} cut a listing short "
                f"({self._says.quote(reply)}).",
                hint="Raise its limit of names in a listing (Pure-FTPd: LimitRecursion).",
            )

    def _nothing(self, folder: str, reply: str) -> None:
        """Judge a refusal to list: return for an empty folder; raises FolderMissing, or as it is.

        A folder that can be entered is there, so that its listing would be cut; the session is
        then in the wrong folder, and ended.
        """
        if reply[:3] not in ("550", "450", "501") or is_denial(reply):
            raise ftplib.error_perm(reply) if reply[:1] == "5" else ftplib.error_temp(reply)
        if _EMPTY.search(reply):
            return  # NLST of some servers
        if folder:
            try:
                self._control.voidcmd(f"CWD ./{folder}")
            except ftplib.error_perm as error:
                if is_denial(str(error)):
                    raise
                raise FolderMissing(self._says.reply(_LISTING, reply)) from None
            self._control.close()
        raise ftplib.error_perm(reply) if reply[:1] == "5" else ftplib.error_temp(reply)

    def free_bytes(self) -> int | None:
        """Return the room left by AVBL (draft-peterson-streamlined-ftp-command-extensions)."""
        if "AVBL" not in self.features:
            return None
        with self._doing("tell the room left"):
            try:
                found = _NUMBER.fullmatch(self._control.sendcmd("AVBL"))
            except ftplib.error_perm:
                return None
        return int(found[1]) if found else None

    def quota(self) -> str:
        """Return the reply to SITE QUOTA, "" where there is none."""
        with self._doing("tell the quota"):
            try:
                return self._control.voidcmd("SITE QUOTA")
            except ftplib.error_perm:
                return ""
