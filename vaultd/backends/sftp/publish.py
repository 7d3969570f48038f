"""Giving an uploaded file its final name over SFTP, and looking whether it has it."""

from __future__ import annotations

from vaultd.backends.sftp.channel import HARD_LINK, SftpChannel
from vaultd.backends.sftp.packets import Code
from vaultd.backends.sftp.requests import StatusError
from vaultd.backends.transport.temporary_names import beside, new_temporary
from vaultd.errors import ObjectExists, PlaceError


class SftpPublisher:
    """Publishes by hard links where they work, else by renames, for the server `where`.

    An OK is not believed: what the name leads to is looked at before the temporary goes, as there
    are servers that say OK to a hard link and make none.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._links: bool | None = None  # not tried yet

    def publish(
        self, channel: SftpChannel, temporary: str, path: str, name: str, size: int
    ) -> None:
        """Have `temporary` at `path`; raises ObjectExists, PlaceError, or as a channel does."""
        if not self._link(channel, temporary, path, name):
            self._rename(channel, temporary, path, name)
        try:
            stored = channel.stat(path)
        except StatusError as error:
            if error.code != Code.NO_SUCH_FILE:
                raise
            stored = None
        if stored is None or not stored.is_file:
            raise PlaceError(
                f"The SFTP server {self._where} said that it stored {name}, and it is not there.",
                hint="Choose another server, or another program for it.",
            )
        if stored.size != size:
            channel.remove(path)
            raise another_size(name, size, stored.size, self._where)

    def _link(self, channel: SftpChannel, temporary: str, path: str, name: str) -> bool:
        if self._links is False or HARD_LINK not in channel.extensions:
            return False
        if self._links is None:
            self._links = makes_links(channel, temporary)
            if not self._links:
                return False
        try:
            channel.hard_link(temporary, path)
        except StatusError:
            if is_there(channel, path):
                raise exists(name, self._where) from None
            self._links = False
        return self._links

    def _rename(self, channel: SftpChannel, temporary: str, path: str, name: str) -> None:
        if is_there(channel, path):  # some servers' rename would replace it
            raise exists(name, self._where)
        try:
            channel.rename(temporary, path)
        except StatusError:
            if is_there(channel, path):
                raise exists(name, self._where) from None
            raise


def makes_links(channel: SftpChannel, temporary: str) -> bool:
    """Return whether a hard link really appears, tried with a name that nobody else takes."""
    other = beside(temporary, new_temporary())
    try:
        channel.hard_link(temporary, other)
    except StatusError:
        return False  # its file system has none
    if not is_there(channel, other):
        return False
    channel.remove(other)
    return True


def is_there(channel: SftpChannel, path: str) -> bool:
    """Return whether there is a file; raises StatusError where that cannot be told."""
    try:
        return channel.stat(path).is_file
    except StatusError as error:
        if error.code != Code.NO_SUCH_FILE:
            raise
        return False


def exists(name: str, where: str) -> ObjectExists:
    """Return the error for a name that is taken."""
    return ObjectExists(f"{name} is already on the SFTP server {where}.")


def another_size(name: str, size: int, stored: int | None, where: str) -> PlaceError:
    """Return the error for an object that is not whole there."""
    return PlaceError(
        f"The SFTP server {where} stored {stored} of {size} bytes of {name}.",
        hint="Is its disk full or broken? Run again.",
    )
