"""What an SFTP server really honours, tried out under temporary names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from vaultd.backends.base import Finding
from vaultd.backends.sftp.channel import HARD_LINK, SPACE, SftpChannel
from vaultd.backends.sftp.listing import entries
from vaultd.backends.sftp.publish import is_there, makes_links
from vaultd.backends.sftp.requests import StatusError
from vaultd.backends.sftp.upload import SYNC, SftpUpload
from vaultd.backends.transport.folder_walk import Entry
from vaultd.backends.transport.temporary_names import beside, new_temporary

_CONTENT: Final = bytes(range(256)) * 300  # three blocks


def probe(channel: SftpChannel, path: Callable[[str], str], where: str) -> Sequence[Finding]:
    """Store, list, read and link two temporary files. Raises what a channel raises."""
    first, second = new_temporary(), new_temporary()
    try:
        refused: StatusError | None = None
        for name, content in ((first, _CONTENT), (second, b"second")):
            upload = SftpUpload(channel, path(name))
            upload.write(content)
            upload.finish()
            refused = refused or upload.refused
        return [
            _content(channel, path(first)),
            _listing(entries(channel, path, "", where) or (), first),
            _sync(channel, refused),
            _space(channel, path("")),
            _replacing(channel, path(first), path(second)),  # last: it may rename
        ]
    finally:
        for name in (first, second):
            if channel.usable:
                with suppress(StatusError):
                    channel.remove(path(name))


def _content(channel: SftpChannel, path: str) -> Finding:
    if channel.stat(path).size != len(_CONTENT):
        return Finding("bytes", False, "the server does not tell the true size of a file")
    handle = channel.open_to_read(path)
    try:
        whole = channel.read(handle, 0, len(_CONTENT) + 1)
        part = channel.read(handle, 3, 40_000)
    finally:
        if channel.usable:
            channel.forget(handle)
    fine = whole == _CONTENT and part == _CONTENT[3:40_003]
    said = "what was stored is read back the same, in part and in whole"
    return Finding("bytes", fine, said if fine else "what is read is not what was stored")


def _listing(listed: Sequence[Entry], name: str) -> Finding:
    found = [entry.size for entry in listed if entry.name == name]
    fine = found == [len(_CONTENT)]
    said = "a new file is listed at once with its size"
    return Finding("listing", fine, said if fine else "a new file is not listed with its size")


def _sync(channel: SftpChannel, refused: StatusError | None) -> Finding:
    if SYNC in channel.extensions and refused is None:
        return Finding("sync", True, "a stored object is on the disk before it counts as stored")
    why = "there is no fsync" if refused is None else "fsync is offered and then refused"
    lost = "a power cut there may lose what was stored just before"
    return Finding("sync", False, f"{why}: {lost}", grave=False)


def _space(channel: SftpChannel, folder: str) -> Finding:
    why = "there is no statvfs"
    if SPACE in channel.extensions:
        try:
            channel.space(folder)
        except StatusError:
            why = "statvfs is offered and then refused"
        else:
            return Finding("space", True, "the room left is known")
    return Finding("space", False, f"the room left cannot be asked for: {why}", grave=False)


def _replacing(channel: SftpChannel, first: str, second: str) -> Finding:
    what = "create without replacing"
    linked = HARD_LINK in channel.extensions and makes_links(channel, second)
    if linked:
        with suppress(StatusError):
            channel.hard_link(second, first)
        if channel.stat(first).size != len(_CONTENT):
            return Finding(what, False, "a second link of one name replaced the first")
        return Finding(what, True, "an object that is there is never replaced (links)")
    third = beside(second, new_temporary())
    channel.rename(second, third)
    if not is_there(channel, third):
        said = "the server says that it renamed a file, and it has not: nothing can be stored"
        return Finding(what, False, said)
    channel.rename(third, second)
    with suppress(StatusError):
        channel.rename(second, first)
    if channel.stat(first).size == len(_CONTENT):
        return Finding(what, True, "an object that is there is never replaced (rename)")
    return Finding(
        what,
        False,
        "a rename replaces what is there, and there are no hard links: of two writers of one "
        "name at the same moment the later wins, with its whole object",
        grave=False,
    )
