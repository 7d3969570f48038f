"""FTP and FTPS (`ftp://`, `ftps://`): upload under a temporary name, check its size, rename."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from vaultd.backends.base import Finding, ObjectInfo, Space, check_name
from vaultd.backends.ftp.settings import FtpSettings
from vaultd.backends.transport.folder_walk import Entry, FolderWalk
from vaultd.backends.transport.promised_data import promised_pieces
from vaultd.backends.transport.session_pool import SessionPool
from vaultd.backends.transport.temporary_names import beside, new_temporary
from vaultd.errors import ObjectExists, ObjectMissing, PlaceError

if TYPE_CHECKING:
    import ssl

    from vaultd.backends.ftp.session import FtpSession

__all__ = ["FtpBackend", "FtpSettings"]

# Before an upload of this many bytes it is worth a request to ask whether the name is taken.
_ASK_FIRST: Final = 8 * 1024 * 1024
# ProFTPD's mod_quotatab: `Uploaded Kb: 12.00/1000.00`.
_QUOTA: Final = re.compile(
    r"Uploaded\s+(bytes|Kb|Mb|Gb):\s+(\d{1,15}(?:\.\d+)?)/(\d{1,15}(?:\.\d+)?)", re.IGNORECASE
)
_UNITS: Final = {"bytes": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}


class FtpBackend:
    """Objects as files in the place's folder on an FTP server; each name part is a folder.

    FTP knows no "create if absent": before the rename the name is asked for, but of two
    creators at the same moment both may succeed, and the later one's whole object stays. As
    object names are unique that does not happen; `probe()` says it all the same.

    Only `create=True` makes the place's folder: a missing one is a disk that is not mounted.
    """

    def __init__(self, settings: FtpSettings, *, create: bool = False) -> None:
        self._settings = settings
        self._create = create
        self._context: ssl.SSLContext | None = None
        self._folders: set[str] = set()
        self._left: deque[str] = deque()
        self._sessions: SessionPool[FtpSession] = SessionPool(self._connect, settings.connections)

    def __repr__(self) -> str:
        return f"FtpBackend({self._settings.where}, {self._settings.path!r})"

    def close(self) -> None:
        """Hang up; a later use connects anew."""
        self._sessions.close()

    def _connect(self) -> FtpSession:
        # ftplib and ssl take a while to load, which a command without a place need not wait for.
        from vaultd.backends.ftp.session import FtpSession

        if self._context is None and not self._settings.insecure:
            self._context = _trusting(self._settings.ca_file)
        return FtpSession(self._settings, self._context, self._create)

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create. What `data.read` raises is passed on."""
        temporary = beside(check_name(name), new_temporary())
        with self._sessions.session() as session:
            self._clear_up(session)
            if size >= _ASK_FIRST:
                self._check_free(session, name)
            try:
                self._upload(session, temporary, data, size)
                if (stored := session.size(temporary)) != size:
                    raise self._not_stored(name, size, stored)
                self._check_free(session, name)
                session.rename(temporary, name)
                # An OK is not believed: what has the name now is looked at.
                if (stored := session.size(name)) != size:
                    if stored is not None:
                        session.remove(name)
                    raise self._not_stored(name, size, stored)
            except BaseException:
                if session.usable:
                    with suppress(PlaceError):
                        session.remove(temporary)
                else:
                    self._left.append(temporary)
                raise

    def _not_stored(self, name: str, size: int, stored: int | None) -> PlaceError:
        where = self._settings.where
        if stored is None:
            return PlaceError(
                f"The FTP server {where} said that it stored {name}, and it is not there.",
                hint="Choose another server, or another program for it.",
            )
        return PlaceError(
            f"The FTP server {where} stored {stored} of {size} bytes of {name}.",
            hint="Is its disk full or broken? Run again.",
        )

    def _clear_up(self, session: FtpSession) -> None:
        """Remove what broken sessions left half done: a full disk has no room for it.

        What cannot be removed is invisible, and removed by a later probe().
        """
        for _ in range(len(self._left)):
            with suppress(PlaceError, IndexError):  # another thread may have taken the last
                session.remove(self._left.popleft())

    def _check_free(self, session: FtpSession, name: str) -> None:
        if session.size(name) is not None:
            raise ObjectExists(f"{name} is already on the FTP server {self._settings.where}.")

    def _upload(self, session: FtpSession, temporary: str, data: BinaryIO, size: int) -> None:
        from vaultd.backends.ftp.session import FolderMissing

        folder = temporary.rpartition("/")[0]
        pieces = promised_pieces(data, size)
        remembered = folder in self._folders
        self._make_folders(session, folder)
        try:
            session.store(temporary, pieces)
        except FolderMissing as first:
            self._folders.clear()  # somebody removed it, and perhaps others
            if not remembered:
                raise first.refusal from None
            self._make_folders(session, folder)
            try:
                session.store(temporary, pieces)
            except FolderMissing as second:
                raise second.refusal from None

    def _make_folders(self, session: FtpSession, folder: str) -> None:
        if not folder or folder in self._folders:
            return
        self._make_folders(session, folder.rpartition("/")[0])
        session.make_folder(folder)
        self._folders.add(folder)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        check_name(name)
        with self._sessions.session() as session:
            size = session.size(name)
            if size is None:
                raise ObjectMissing(f"{name} is not on the FTP server {self._settings.where}.")
            left = max(0, size - offset)
            count = left if length is None else min(left, length)
            return session.retrieve(name, offset, count, size) if count else b""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name; see Backend.list."""
        return self._walk().objects(prefix)

    def _walk(self) -> FolderWalk:
        return FolderWalk(self._entries, readers=self._settings.connections)

    def _entries(self, folder: str) -> Sequence[Entry] | None:
        from vaultd.backends.ftp.folder import entries

        with self._sessions.session() as session:
            return entries(session, folder, self._settings.where)

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        check_name(name)
        with self._sessions.session() as session:
            session.remove(name)

    def space(self) -> Space:
        """Return what the server says by AVBL or SITE QUOTA, which few offer."""
        with self._sessions.session() as session:
            free = session.free_bytes()
            if free is not None:
                return Space(None, free)
            found = _QUOTA.search(session.quota())
        if found is None:
            return Space(None, None)
        used, total = (int(float(found[number]) * _UNITS[found[1].lower()]) for number in (2, 3))
        return Space(total, max(0, total - used))

    def probe(self) -> Sequence[Finding]:
        """Try out what the server honours; remove temporaries older than a day."""
        from vaultd.backends.ftp.probe import clean, probe

        with self._sessions.session() as session:
            findings = probe(session, self._settings.where)
        clean(self._walk().temporaries(), self._sessions)
        return findings


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks certificates and host names, by `ca_file` alone if given."""
    import ssl

    from vaultd.backends.transport.tls import trust

    context = trust(ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
