"""What an SFTP server really honours, tried out under temporary names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from vaultd.backends.base import Finding
from vaultd.backends.sftp_channel import HARD_LINK, SPACE, SftpChannel
from vaultd.backends.sftp_requests import StatusError
from vaultd.backends.sftp_upload import SYNC, SftpUpload
from vaultd.backends.temporary import new_temporary

_CONTENT: Final = bytes(range(256)) * 300  # three blocks


def probe(channel: SftpChannel, path: Callable[[str], str]) -> Sequence[Finding]:
    """Store, list, read and link two temporary files. Raises what SftpRequests raises."""
    first, second = new_temporary(), new_temporary()
    try:
        for name, content in ((first, _CONTENT), (second, b"second")):
            upload = SftpUpload(channel, path(name))
            upload.write(content)
            upload.finish()
        return [
            _content(channel, path(first)),
            _listing(channel, path(""), first),
            _sync(channel),
            _space(channel, path("")),
            _replacing(channel, path(first), path(second)),  # last: it may rename
        ]
    finally:
        for name in (first, second):
            if channel.usable:
                with suppress(StatusError):
                    channel.remove(path(name))


def _content(channel: SftpChannel, path: str) -> Finding:
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


def _listing(channel: SftpChannel, folder: str, name: str) -> Finding:
    found = [what for raw, what in channel.entries(folder) if raw == name.encode()]
    fine = len(found) == 1 and found[0].is_file and found[0].size == len(_CONTENT)
    said = "a new file is listed at once with its size"
    return Finding("listing", fine, said if fine else "a new file is not listed with its size")


def _sync(channel: SftpChannel) -> Finding:
    if SYNC in channel.extensions:
        return Finding("sync", True, "a stored object is on the disk before it counts as stored")
    return Finding(
        "sync", False, "there is no fsync: a power cut there may lose what was stored just before"
    )


def _space(channel: SftpChannel, folder: str) -> Finding:
    if SPACE in channel.extensions:
        channel.space(folder)
        return Finding("space", True, "the room left is known")
    return Finding("space", False, "the room left cannot be asked for: there is no statvfs")


def _replacing(channel: SftpChannel, first: str, second: str) -> Finding:
    what = "create without replacing"
    if HARD_LINK in channel.extensions:
        third = f"{second[:-16]}{new_temporary()[-16:]}"
        try:
            channel.hard_link(second, third)
        except StatusError:
            linked = False  # its file system has none
        else:
            linked = True
            channel.remove(third)
        if linked:
            try:
                channel.hard_link(second, first)
            except StatusError:
                return Finding(what, True, "an object that is there is never replaced (links)")
            return Finding(what, False, "a second link of one name replaced the first")
    try:
        channel.rename(second, first)
    except StatusError:
        return Finding(what, True, "an object that is there is never replaced (rename)")
    return Finding(
        what,
        False,
        "a rename replaces what is there, and there are no hard links: of two writers of one "
        "name at the same moment the later wins, with its whole object",
    )
