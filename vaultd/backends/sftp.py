"""SFTP (`sftp://`): upload under a temporary name, then a hard link that never replaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, Final

from vaultd.backends.base import Finding, ObjectInfo, Space, check_name
from vaultd.backends.folder_walk import Entry, FolderWalk
from vaultd.backends.ftp_listing import MAX_NAMES, is_ours
from vaultd.backends.promised_data import promised_pieces
from vaultd.backends.session_pool import SessionPool
from vaultd.backends.sftp_channel import HARD_LINK, SPACE, SftpChannel
from vaultd.backends.sftp_errors import sftp_errors
from vaultd.backends.sftp_packets import Code
from vaultd.backends.sftp_requests import StatusError
from vaultd.backends.sftp_settings import SftpSettings
from vaultd.backends.sftp_upload import SftpUpload
from vaultd.backends.temporary import beside, is_leftover, new_temporary
from vaultd.errors import ObjectExists, ObjectMissing, PlaceBusy, PlaceError, PlaceFull

if TYPE_CHECKING:
    from vaultd.backends.sftp_session import SshConnection

__all__ = ["SftpBackend", "SftpSettings"]

# Before an upload of this many bytes it is worth a request to ask whether the name is taken.
_ASK_FIRST: Final = 8 * 1024 * 1024
_FULL_BELOW: Final = 1024 * 1024


class SftpBackend:
    """Objects as files in the place's folder on an SSH server; each name part is a folder.

    A name is taken by a hard link (OpenSSH's extension), which fails where the name is there;
    without it by SFTP's own rename, which OpenSSH carries out without replacing. `probe()`
    tries both. Only `create=True` makes the place's folder: a missing one is a disk that is
    not mounted.
    """

    def __init__(self, settings: SftpSettings, *, create: bool = False) -> None:
        self._settings = settings
        self._create = create
        self._connection: SshConnection | None = None
        self._connecting = Lock()
        self._links = True
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
        from vaultd.backends.sftp_session import SshConnection

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
            if size >= _ASK_FIRST and self._is_there(channel, path):
                raise self._exists(name)
            try:
                self._upload(channel, temporary, name, data, size)
                self._publish(channel, temporary, path, name)
            finally:
                # What cannot be removed now is invisible, and removed by a later probe().
                if channel.usable:
                    with suppress(PlaceError), self._doing("remove a temporary file"):
                        channel.remove(temporary)

    def _exists(self, name: str) -> ObjectExists:
        return ObjectExists(f"{name} is already on the SFTP server {self._settings.where}.")

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
                stored = upload.finish().size
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
            raise PlaceError(
                f"The SFTP server {self._settings.where} stored {stored} of {size} bytes of "
                f"{name}.",
                hint="Is its disk full or broken? Run again.",
            )

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
        with suppress(PlaceError), self._doing("tell the room left"):
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

    def _publish(self, channel: SftpChannel, temporary: str, path: str, name: str) -> None:
        """Give an uploaded file its final name; raises ObjectExists."""
        what = f"take the name {name}"
        if self._links and HARD_LINK in channel.extensions:
            with self._doing(what, unknown=True):
                try:
                    channel.hard_link(temporary, path)
                except StatusError:
                    if self._is_there(channel, path):
                        raise self._exists(name) from None
                else:
                    return
        with self._doing(what, unknown=True):
            if self._is_there(channel, path):  # some servers' rename would replace it
                raise self._exists(name)
            try:
                channel.rename(temporary, path)
            except StatusError:
                if self._is_there(channel, path):
                    raise self._exists(name) from None
                raise
        self._links = False  # there is no such extension, or its file system has no links

    def _is_there(self, channel: SftpChannel, path: str) -> bool:
        """Return whether there is a file; raises StatusError where that cannot be told."""
        try:
            return channel.stat(path).is_file
        except StatusError as error:
            if error.code != Code.NO_SUCH_FILE:
                raise
            return False

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        path = self._path(check_name(name))
        with self._channel() as channel, self._doing(f"send {name}"):
            try:
                handle = channel.open_to_read(path)
            except StatusError as error:
                if error.code != Code.NO_SUCH_FILE and self._is_there(channel, path):
                    raise
                raise self._missing(name) from None
            try:
                found = channel.attributes(handle)
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

    def _entries(self, folder: str) -> Sequence[Entry]:
        found, seen = [], 0
        with self._channel() as channel, self._doing("list a folder"):
            try:
                for raw, attributes in channel.entries(self._path(folder)):
                    seen += 1
                    if seen > MAX_NAMES:
                        channel.close()
                        raise PlaceError(
                            f"The SFTP server {self._settings.where} lists more than {MAX_NAMES} "
                            "names in one folder.",
                            hint="Give the vaults a folder of their own.",
                        )
                    name = raw.decode("ascii", "replace")
                    if not is_ours(name):
                        continue
                    if attributes.permissions is None or attributes.size is None:
                        attributes = channel.stat(self._path(_joined(folder, name)), follow=False)
                    if attributes.is_file or attributes.is_folder:
                        size = attributes.size if attributes.is_file else None
                        found.append(Entry(name, size))
            except StatusError as error:
                if error.code != Code.NO_SUCH_FILE and (
                    not folder or channel.stat(self._path(folder)).is_folder
                ):
                    raise
        return found

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        path = self._path(check_name(name))
        with self._channel() as channel, self._doing(f"remove {name}", unknown=True):
            try:
                channel.remove(path)
            except StatusError as error:
                if error.code != Code.NO_SUCH_FILE and self._is_there(channel, path):
                    raise

    def space(self) -> Space:
        """Return what statvfs says of the place's folder, where the server offers that."""
        with self._channel() as channel, self._doing("tell the room left"):
            if SPACE not in channel.extensions:
                return Space(None, None)
            total, free = channel.space(self._path(""))
        return Space(total, min(free, total))

    def probe(self) -> Sequence[Finding]:
        """Try out what the server honours; remove temporaries older than a day."""
        from vaultd.backends.sftp_probe import probe

        with self._channel() as channel, self._doing("be tried out"):
            findings = probe(channel, self._path)
        for name in self._walk().temporaries():
            if is_leftover(name.rpartition("/")[2]):
                with self._channel() as channel, self._doing(f"remove {name}"):
                    try:
                        channel.remove(self._path(name))
                    except StatusError as error:
                        if error.code != Code.NO_SUCH_FILE:  # its writer was faster
                            raise
        return findings


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
