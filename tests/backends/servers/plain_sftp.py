"""An SFTP server from paramiko: a password, and none of OpenSSH's extensions.

Its rename refuses to replace, as version 3 says, unless it is started as disobedient.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
from paramiko.sftp import SFTP_FAILURE, SFTP_OK

USER, PASSWORD = "anna", "correct horse"


class _Door(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        right = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if right else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class _File(paramiko.SFTPHandle):
    def stat(self):
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server, root: Path, replaces: bool) -> None:
        self.root, self.replaces = root, replaces

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
        try:
            descriptor = os.open(self._real(path), flags, 0o600)
            file = os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        handle = _File(flags)
        handle.readfile = handle.writefile = file
        return handle

    def remove(self, path):
        return self._try(os.remove, self._real(path))

    def rename(self, oldpath, newpath):
        if self.replaces:
            return self._try(os.rename, self._real(oldpath), self._real(newpath))
        if self._try(os.link, self._real(oldpath), self._real(newpath)) != SFTP_OK:
            return SFTP_FAILURE
        return self._try(os.remove, self._real(oldpath))

    def mkdir(self, path, attr):
        return self._try(os.mkdir, self._real(path))


@contextmanager
def plain_sftp(root: Path, *, replaces: bool = False) -> Iterator[tuple[int, paramiko.PKey]]:
    """Give the port and the host key of a server of the files under `root`."""
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
                    "sftp", paramiko.SFTPServer, _Files, root=root, replaces=replaces
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
