"""SFTP (`sftp://`): upload under a temporary name, then a hard link that never replaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, Final

from vaultd.backends.base import Finding, ObjectInfo, Space, check_name
from vaultd.backends.sftp.channel import SPACE, SftpChannel
from vaultd.backends.sftp.errors import sftp_errors
from vaultd.backends.sftp.listing import entries
from vaultd.backends.sftp.packets import Attributes, Code
from vaultd.backends.sftp.publish import SftpPublisher, another_size, exists, is_there
from vaultd.backends.sftp.requests import StatusError
from vaultd.backends.sftp.settings import SftpSettings
from vaultd.backends.sftp.upload import SftpUpload, refuses_to_sync
from vaultd.backends.transport.folder_walk import Entry, FolderWalk
from vaultd.backends.transport.promised_data import promised_pieces
from vaultd.backends.transport.session_pool import SessionPool
from vaultd.backends.transport.temporary_names import beside, is_leftover, new_temporary
from vaultd.errors import ObjectMissing, PlaceBusy, PlaceError, PlaceFull

if TYPE_CHECKING:
    from vaultd.backends.sftp.session import SshConnection

__all__ = ["SftpBackend", "SftpSettings"]

# Before an upload of this many bytes it is worth a request to ask whether the name is taken.
_ASK_FIRST: Final = 8 * 1024 * 1024
_FULL_BELOW: Final = 1024 * 1024


class SftpBackend:
    """Objects as files in the place's folder on an SSH server; each name part is a folder.

    A name is taken by a hard link (OpenSSH's extension), which fails where the name is there;
    without it by SFTP's own rename, which OpenSSH carries out without replacing. `probe()`
    tries both. What a server offers and then refuses is not asked for again.

    Only `create=True` makes the place's folder: a missing one is a disk that is not mounted.
    """

    def __init__(self, settings: SftpSettings, *, create: bool = False) -> None:
        self._settings = settings
        self._create = create
        self._connection: SshConnection | None = None
        self._connecting = Lock()
        self._publisher = SftpPublisher(settings.where)
        self._syncs: bool | None = None  # whether a sync was carried out
        self._channels: SessionPool[SftpChannel] = SessionPool(self._connect, settings.channels)

    def __repr__(self) -> str:
        return f"SftpBackend({self._settings.where}, {self._settings.path!r})"

    def close(self) -> None:
        """Hang up; a later use connects anew."""
        self._channels.close()
        if self._connection is not None:
            self._connection.close()

    def _connect(self) -> SftpChannel:
        # paramiko takes a while to load, which a command without a place need not wait for.
        from vaultd.backends.sftp.session import SshConnection

        with self._connecting:
            if self._connection is None:
                self._connection = SshConnection(self._settings, create=self._create)
        return self._connection.open_channel()

    @contextmanager
    def _channel(self) -> Iterator[SftpChannel]:
        with self._channels.session() as channel:
            try:
                yield channel
            except PlaceBusy as error:
                # A connection that died in silence would hold up every later channel as well.
                if isinstance(error.__cause__, TimeoutError) and self._connection is not None:
                    self._connection.close()
                raise

    @contextmanager
    def _doing(self, what: str, *, unknown: bool = False) -> Iterator[None]:
        settings = self._settings
        with sftp_errors(settings.where, what, unknown=unknown, secret=settings.password):
            yield

    def _path(self, name: str) -> str:
        path = self._settings.path
        if not name:
            return path or "."
        return f"{path.rstrip('/')}/{name}" if path else name

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create. What `data.read` raises is passed on."""
        path = self._path(check_name(name))
        temporary = beside(path, new_temporary())
        with self._channel() as channel:
            if size >= _ASK_FIRST and is_there(channel, path):
                raise exists(name, self._settings.where)
            try:
                self._upload(channel, temporary, name, data, size)
                with self._doing(f"take the name {name}", unknown=True):
                    self._publisher.publish(channel, temporary, path, name, size)
            finally:
                # What cannot be removed now is invisible, and removed by a later probe(): the
                # answer is not waited for.
                if channel.usable:
                    with suppress(PlaceError), self._doing("remove a temporary file"):
                        channel.forget_file(temporary)

    def _upload(
        self, channel: SftpChannel, temporary: str, name: str, data: BinaryIO, size: int
    ) -> None:
        what = f"store {name}"
        with self._doing(what):
            upload = self._begin(channel, temporary, name)
        stored: int | None = None
        try:
            for piece in promised_pieces(data, size):
                with self._doing(what):
                    upload.write(piece)
            with self._doing(what):
                stored = upload.finish(sync=self._syncs is not False).size
                self._judge_sync(channel, upload)
                if stored != size:  # some know it only by the path, once the file is closed
                    stored = channel.stat(temporary).size
        except BaseException as error:
            if channel.usable:
                with suppress(PlaceError), self._doing(what):
                    upload.give_up()
                if type(error) is PlaceError and self._is_full(channel):
                    raise PlaceFull(
                        f"The SFTP server {self._settings.where} has no room left for {name}.",
                        hint="Make room there or raise the quota, then run again.",
                    ) from error
            raise
        if stored != size:
            raise another_size(name, size, stored, self._settings.where)

    def _judge_sync(self, channel: SftpChannel, upload: SftpUpload) -> None:
        """Raise the refusal to sync one file, unless this server syncs no file at all."""
        if upload.refused is None:
            self._syncs = self._syncs is not False
        elif self._syncs or not refuses_to_sync(channel, self._path(new_temporary())):
            raise upload.refused
        else:
            self._syncs = False

    def _begin(self, channel: SftpChannel, temporary: str, name: str) -> SftpUpload:
        try:
            return SftpUpload(channel, temporary)
        except StatusError as error:
            if error.code != Code.NO_SUCH_FILE or "/" not in name:
                raise
        self._make_folders(channel, name.rpartition("/")[0])
        return SftpUpload(channel, temporary)

    def _is_full(self, channel: SftpChannel) -> bool:
        """Return whether a write failed for want of room, which version 3 has no status for."""
        if SPACE not in channel.extensions:
            return False
        with suppress(PlaceError, StatusError), self._doing("tell the room left"):
            return channel.space(self._path(""))[1] < _FULL_BELOW
        return False

    def _make_folders(self, channel: SftpChannel, folder: str) -> None:
        """Make a folder and what it is in; raises StatusError where that cannot be done."""
        path = self._path(folder)
        try:
            channel.make_folder(path)
        except StatusError as error:
            above = folder.rpartition("/")[0]
            if error.code == Code.NO_SUCH_FILE and above:
                self._make_folders(channel, above)
                self._make_folders(channel, folder)
            elif not channel.stat(path).is_folder:  # another thread may have made it
                raise

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        path = self._path(check_name(name))
        with self._channel() as channel, self._doing(f"send {name}"):
            try:
                handle = channel.open_to_read(path)
            except StatusError as error:
                if error.code != Code.NO_SUCH_FILE and is_there(channel, path):
                    raise
                raise self._missing(name) from None
            try:
                found = _open_file(channel, handle, path)
                if not found.is_file or found.size is None:
                    raise self._missing(name)
                left = max(0, found.size - offset)
                count = left if length is None else min(left, length)
                content = channel.read(handle, offset, count)
            finally:
                if channel.usable:
                    channel.forget(handle)
        if len(content) < count:
            raise PlaceBusy(
                f"The SFTP server {self._settings.where} ended {name} {count - len(content)} "
                "bytes too early.",
                unknown=False,
            )
        return content

    def _missing(self, name: str) -> ObjectMissing:
        return ObjectMissing(f"{name} is not on the SFTP server {self._settings.where}.")

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name; see Backend.list."""
        return self._walk().objects(prefix)

    def _walk(self) -> FolderWalk:
        return FolderWalk(self._entries, readers=self._settings.channels)

    def _entries(self, folder: str) -> Sequence[Entry] | None:
        with self._channel() as channel, self._doing("list a folder"):
            return entries(channel, self._path, folder, self._settings.where)

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        path = self._path(check_name(name))
        with self._channel() as channel, self._doing(f"remove {name}", unknown=True):
            try:
                channel.remove(path)
            except StatusError as error:
                if error.code != Code.NO_SUCH_FILE and is_there(channel, path):
                    raise

    def space(self) -> Space:
        """Return what statvfs says of the place's folder, where the server offers that."""
        with self._channel() as channel, self._doing("tell the room left"):
            if SPACE not in channel.extensions:
                return Space(None, None)
            try:
                total, free = channel.space(self._path(""))
            except StatusError:
                return Space(None, None)  # offered, and refused; probe() says so
        return Space(total, min(free, total))

    def probe(self) -> Sequence[Finding]:
        """Try out what the server honours; remove temporaries older than a day."""
        from vaultd.backends.sftp.probe import probe

        with self._channel() as channel, self._doing("be tried out"):
            findings = probe(channel, self._path, self._settings.where)
        for name in self._walk().temporaries():
            if is_leftover(name.rpartition("/")[2]):
                with self._channel() as channel, self._doing(f"remove {name}"):
                    try:
                        channel.remove(self._path(name))
                    except StatusError as error:
                        if error.code != Code.NO_SUCH_FILE:  # its writer was faster
                            raise
        return findings


def _open_file(channel: SftpChannel, handle: bytes, path: str) -> Attributes:
    """Return what an open file is: by its path where a server cannot tell, or says 0 bytes."""
    try:
        found = channel.attributes(handle)
    except StatusError:
        return channel.stat(path)
    return found if found.size else channel.stat(path)
