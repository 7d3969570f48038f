"""What an FTP server really honours, tried out under temporary names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from vaultd.backends.base import Finding
from vaultd.backends.ftp.folder import entries
from vaultd.backends.ftp.session import FolderMissing, FtpSession
from vaultd.backends.transport.folder_walk import Entry
from vaultd.backends.transport.session_pool import SessionPool
from vaultd.backends.transport.temporary_names import is_leftover, new_temporary
from vaultd.errors import ObjectExists, PlaceBusy, PlaceError

# Line ends of all kinds, to see whether a server changes them.
_CONTENT: Final = b"vaultd\r\nprobe\n\r\0\xff\x1a" * 10


def probe(session: FtpSession, where: str) -> Sequence[Finding]:
    """Store, list, read and rename two temporary files. Raises PlaceError."""
    first, second = new_temporary(), new_temporary()
    try:
        try:
            session.store(first, [_CONTENT])
            session.store(second, [b"second"])
        except FolderMissing as error:
            raise error.refusal from None
        return [
            _encryption(session),
            _content(session, first),
            _listing(entries(session, "", where) or (), first),
            _renaming(session, first, second),
        ]
    finally:
        for name in (first, second):
            if session.usable:
                with suppress(PlaceError):
                    session.remove(name)


def clean(temporaries: Iterable[str], sessions: SessionPool[FtpSession]) -> None:
    """Remove what killed uploads left more than a day ago. Raises PlaceError."""
    for name in temporaries:
        if is_leftover(name.rpartition("/")[2]):
            with sessions.session() as session:
                session.remove(name)


def _encryption(session: FtpSession) -> Finding:
    if session.tls:
        return Finding("encryption", True, f"commands and data go by {session.tls}")
    return Finding(
        "encryption",
        False,
        "password and data go in the clear; vaults stay encrypted, but whoever listens can "
        "log in and delete them",
        grave=False,
    )


def _content(session: FtpSession, name: str) -> Finding:
    what, size = "bytes", len(_CONTENT)
    if session.size(name) != size:
        return Finding(what, False, "the server does not tell the true size of a file")
    try:
        part = session.retrieve(name, 3, size - 5, size)
    except PlaceBusy:
        raise
    except PlaceError:
        return Finding(what, False, "a file cannot be read from its middle on (REST)")
    if session.retrieve(name, 0, size, size) != _CONTENT or part != _CONTENT[3:-2]:
        return Finding(what, False, "what is read is not what was stored")
    return Finding(what, True, "what was stored is read back the same, in part and in whole")


def _listing(listed: Sequence[Entry], name: str) -> Finding:
    found = [entry for entry in listed if entry.name == name]
    if len(found) == 1 and found[0].size == len(_CONTENT):
        return Finding("listing", True, "a new file is listed at once with its size")
    return Finding(
        "listing", False, "a new file is not listed, or not with its size; restores need that"
    )


def _renaming(session: FtpSession, first: str, second: str) -> Finding:
    what = "create without replacing"
    third = new_temporary()
    session.rename(second, third)
    if session.size(third) is None:
        said = "the server says that it renamed a file, and it has not: nothing can be stored"
        return Finding(what, False, said)
    session.rename(third, second)
    with suppress(ObjectExists):
        session.rename(second, first)
    if session.size(first) == len(_CONTENT):
        return Finding(what, True, "a rename never replaces what is there")
    return Finding(
        what,
        False,
        "a rename replaces what is there, as FTP servers do: vaultd asks before, but of two "
        "writers of one name at the same moment the later wins, with its whole object",
        grave=False,
    )
