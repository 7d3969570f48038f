"""What is in one folder of an FTP server, by the best listing that it gives."""

from __future__ import annotations

from collections.abc import Sequence

from vaultd.backends.ftp.listing import UnknownListing, from_list, from_mlsd, from_nlst
from vaultd.backends.ftp.session import FolderMissing, FtpSession
from vaultd.backends.transport.folder_walk import Entry
from vaultd.errors import PlaceError


def entries(session: FtpSession, folder: str, where: str) -> Sequence[Entry] | None:
    """Return the entries of a folder ("" is the place's own); None where it is not there.

    A listing with a line that cannot be read is not taken for whole: the next kind is asked for.
    Raises PlaceError.
    """
    try:
        if "MLST" in session.features or "MLSD" in session.features:
            try:
                return _by_mlsd(session, folder)
            except UnknownListing:
                if not session.usable:
                    raise
        try:
            found = from_list(list(session.lines("LIST", folder)))
        except UnknownListing:
            if not session.usable:
                raise
            names = from_nlst(list(session.lines("NLST", folder)))
            found = [Entry(name, session.size(_joined(folder, name))) for name in names]
    except UnknownListing:
        raise PlaceError(
            f"The FTP server {where} lists a folder in a form that cannot be read.",
            hint="Is this an FTP server, and the folder vaultd's own?",
        ) from None
    except FolderMissing:
        return None
    # Asked for a file, LIST and NLST give the file itself.
    its_own = [entry.name for entry in found] == [folder.rpartition("/")[2]]
    return None if its_own and session.size(folder) is not None else found


def _by_mlsd(session: FtpSession, folder: str) -> Sequence[Entry]:
    found, unsized = from_mlsd(list(session.lines("MLSD", folder)))
    asked = (Entry(name, session.size(_joined(folder, name))) for name in unsized)
    return [*found, *(entry for entry in asked if not entry.is_folder)]


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
