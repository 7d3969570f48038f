"""An SFTP server from paramiko: a password, and none of OpenSSH's extensions.

Its rename refuses to replace, as version 3 says, unless it is started as disobedient. Its
`manners` are those of real servers; see MANNERS.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
from paramiko.sftp import CMD_EXTENDED, CMD_READDIR, SFTP_FAILURE, SFTP_OK, SFTP_OP_UNSUPPORTED

USER, PASSWORD = "anna", "correct horse"
# link-lies: OK to a hard link, and none is made (rclone serve sftp) · rename-lies: the same of a
# rename · rename-cuts: half of the file gets the name · refuses, fails: OpenSSH's extensions are
# offered, and each is answered "unsupported", or "failure" · no-fstat, zero-fstat: an open file
# has no attributes, or 0 bytes · no-excl: no "only if new" · cut-listing: a listing ends in a
# failure, gone-listing: in "no such file" · bare-listing: names without attributes.
MANNERS = frozenset(
    "link-lies rename-lies rename-cuts refuses fails no-fstat zero-fstat no-excl cut-listing "
    "gone-listing bare-listing".split()
)
_EXTENSIONS = ("hardlink@openssh.com", "statvfs@openssh.com", "fsync@openssh.com")


class _Door(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        right = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class _File(paramiko.SFTPHandle):
    manners: frozenset[str] = frozenset()

    def stat(self):
        if "no-fstat" in self.manners:
            return SFTP_FAILURE
        found = paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))
        if "zero-fstat" in self.manners:
            found.st_size = 0
        return found


class _Speech(paramiko.SFTPServer):
    """Offers and answers extensions as its manners have it."""

    def __init__(self, channel, name, server, kind, root, replaces, manners) -> None:
        super().__init__(channel, name, server, kind, root, replaces, manners)
        self.manners = manners

    def _send_server_version(self):
        if not self.manners & {"link-lies", "refuses", "fails"}:
            return super()._send_server_version()
        self._read_packet()
        offered = _EXTENSIONS[:1] if "link-lies" in self.manners else _EXTENSIONS
        pairs = b"".join(
            struct.pack(">I", len(text)) + text
            for name in offered
            for text in (name.encode(), b"1")
        )
        self._send_packet(paramiko.sftp.CMD_VERSION, paramiko.Message(struct.pack(">I", 3) + pairs))
        return 3

    def _process(self, kind, number, message):
        if kind == CMD_EXTENDED:
            name = message.get_text()
            if name == "hardlink@openssh.com" and "link-lies" in self.manners:
                self._send_status(number, SFTP_OK)
                return
            code = SFTP_FAILURE if "fails" in self.manners else SFTP_OP_UNSUPPORTED
            self._send_status(number, code)
            return
        if kind == CMD_READDIR and self.manners & {"cut-listing", "gone-listing"}:
            folder = self.folder_table[message.get_binary()]
            if not getattr(folder, "begun", False):
                folder.begun = True
                first = folder._get_next_files()[:1]
                if first:
                    self._response(number, paramiko.sftp.CMD_NAME, 1, *self._line(first[0]))
                    return
            code = SFTP_FAILURE if "cut-listing" in self.manners else paramiko.SFTP_NO_SUCH_FILE
            self._send_status(number, code)
            return
        super()._process(kind, number, message)

    @staticmethod
    def _line(attributes):
        return attributes.filename, str(attributes), attributes


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server, root: Path, replaces: bool, manners: frozenset[str]) -> None:
        self.root, self.replaces, self.manners = root, replaces, manners

    def _real(self, path: str) -> str:
        return str(self.root) + self.canonicalize(path)

    def _try(self, do, *arguments):
        try:
            do(*arguments)
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return SFTP_OK

    def list_folder(self, path):
        try:
            names = os.listdir(self._real(path))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        found = []
        for name in names:
            with suppress(OSError):
                entry = paramiko.SFTPAttributes.from_stat(os.lstat(f"{self._real(path)}/{name}"))
                if "bare-listing" in self.manners:
                    entry = paramiko.SFTPAttributes()
                entry.filename = name
                found.append(entry)
        return found

    def stat(self, path):
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(self._real(path)))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path, flags, attr):
        if flags & os.O_EXCL and "no-excl" in self.manners:
            return SFTP_OP_UNSUPPORTED
        try:
            descriptor = os.open(self._real(path), flags, 0o600)
            file = os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        handle = _File(flags)
        handle.manners = self.manners
        handle.readfile = handle.writefile = file
        return handle

    def remove(self, path):
        return self._try(os.remove, self._real(path))

    def rename(self, oldpath, newpath):
        if "rename-lies" in self.manners:
            return SFTP_OK
        if "rename-cuts" in self.manners:
            os.truncate(self._real(oldpath), os.path.getsize(self._real(oldpath)) // 2)
        if self.replaces:
            return self._try(os.rename, self._real(oldpath), self._real(newpath))
        if self._try(os.link, self._real(oldpath), self._real(newpath)) != SFTP_OK:
            return SFTP_FAILURE
        return self._try(os.remove, self._real(oldpath))

    def mkdir(self, path, attr):
        return self._try(os.mkdir, self._real(path))


@contextmanager
def plain_sftp(
    root: Path, *, replaces: bool = False, manners: frozenset[str] = frozenset()
) -> Iterator[tuple[int, paramiko.PKey]]:
    """Give the port and the host key of a server of the files under `root`."""
    assert manners <= MANNERS
    key = paramiko.ECDSAKey.generate()
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                transport = paramiko.Transport(connection)
                transport.set_log_channel("vaultd.paramiko")
                transports.append(transport)
                transport.add_server_key(key)
                transport.set_subsystem_handler(
                    "sftp", _Speech, _Files, root=root, replaces=replaces, manners=manners
                )
                with suppress(paramiko.SSHException, EOFError):
                    transport.start_server(server=_Door())

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], key
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        for transport in transports:
            transport.close()
