"""The listing of one folder over SFTP: whole, or an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vaultd.backends.ftp.listing import MAX_NAMES, is_ours
from vaultd.backends.sftp.channel import SftpChannel
from vaultd.backends.sftp.packets import Attributes, Code
from vaultd.backends.sftp.requests import StatusError
from vaultd.backends.transport.folder_walk import Entry
from vaultd.errors import PlaceError


def entries(
    channel: SftpChannel, path: Callable[[str], str], folder: str, where: str
) -> Sequence[Entry] | None:
    """Return what is in `folder` and may be ours; None where it is not there.

    Only opening the folder can find it missing: a refusal in the midst of a listing is an error,
    as what came until then is not all. Raises PlaceError, and what a channel raises.
    """
    try:
        handle = channel.open_folder(path(folder))
    except StatusError:
        described = _described(channel, path(folder)) if folder else None
        if not folder or (described is not None and described.is_folder):
            raise
        return None
    found: list[Entry] = []
    seen = 0
    for raw, attributes in channel.entries(handle):
        seen += 1
        if seen > MAX_NAMES:
            channel.close()
            raise PlaceError(
                f"The SFTP server {where} lists more than {MAX_NAMES} names in one folder.",
                hint="Give the vaults a folder of their own.",
            )
        name = raw.decode("ascii", "replace")
        if not is_ours(name):
            continue
        told: Attributes | None = attributes
        if attributes.permissions is None or attributes.size is None:
            told = _described(channel, path(f"{folder}/{name}" if folder else name))
        if told is not None and (told.is_file or told.is_folder):
            found.append(Entry(name, told.size if told.is_file else None))
    return found


def _described(channel: SftpChannel, path: str) -> Attributes | None:
    """Return what a path is, None where there is nothing (any more)."""
    try:
        return channel.stat(path, follow=False)
    except StatusError as error:
        if error.code != Code.NO_SUCH_FILE:
            raise
        return None
