"""Folder listings as FTP servers write them: MLSD facts, `ls -l` and DOS lines, bare names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sized
from typing import Final

from vaultd.backends.base import NAME_PATTERN
from vaultd.backends.transport.folder_walk import Entry
from vaultd.backends.transport.temporary_names import is_temporary
from vaultd.errors import PlaceError

MAX_LINE: Final = 4096
MAX_NAMES: Final = 1_000_000
# `-rw-r--r-- 1 owner group 12 Nov 24 03:22 name`; owner and group may be missing or hold spaces.
_UNIX: Final = re.compile(
    r"(?P<kind>[-dlbcpsD])[-rwxsStTlL]{9}[.+@]?\s(?:.{0,400}?\s)?(?P<size>\d{1,19})\s+"
    r"(?:[A-Za-z]{3}\s+\d{1,2}|\d{1,2}\s+[A-Za-z]{3}|\d{4}-\d\d-\d\d)\s+"
    r"(?:\d{1,2}:\d\d|\d{4})\s(?P<name>.+)",
    re.DOTALL,  # a name may hold a line feed
)
# `02-23-05  09:24AM       <DIR>          name`, as IIS writes it.
_DOS: Final = re.compile(
    r"\d\d-\d\d-\d{2,4}\s+\d\d:\d\d(?:[AP]M)?\s+(?P<size><DIR>|\d{1,19})\s+(?P<name>.+)"
)
_TOTAL: Final = re.compile(r"total\s+\d+", re.IGNORECASE)
_SIZE: Final = re.compile(r"\d{1,19}")


# Pure-FTPd ends what is longer than its LimitRecursion with `226 Output truncated to 50 matches`.
_CUT: Final = re.compile(
    r"truncat|incomplete|\bpartial|too many|limit (?:was |is )?(?:reached|exceeded)", re.IGNORECASE
)
_COUNTED: Final = re.compile(r"\b(\d{1,10}) matches total", re.IGNORECASE)


class UnknownListing(ValueError):
    """A listing with a line of no known form: what stands there may be an object."""


def is_cut(reply: str, lines: int) -> bool:
    """Return whether the reply after a listing of so many lines says that this was not all."""
    counted = _COUNTED.search(reply)
    return _CUT.search(reply) is not None or (counted is not None and int(counted[1]) > lines)


class Lines:
    """Splits bytes into lines; `count` is their number so far.

    Raises UnknownListing for one beyond MAX_LINE, which is none of any listing.

    Lines end as the first one does: by CRLF, as RFC 959 has it, or by a line feed alone. So a
    line feed within a name makes no second line where lines end by CRLF.
    """

    def __init__(self) -> None:
        self.count = 0
        self._rest = b""
        self._end = b""

    def feed(self, piece: bytes) -> Iterator[str]:
        """Yield the lines that `piece` completes, without their ends."""
        piece = self._rest + piece
        if not self._end and b"\n" in piece:
            self._end = b"\r\n" if piece.partition(b"\n")[0].endswith(b"\r") else b"\n"
        *whole, rest = piece.split(self._end) if self._end else [piece]
        for line in whole:
            yield self._line(line)
        if len(rest) > MAX_LINE:
            raise UnknownListing
        self._rest = rest

    def end(self) -> Iterator[str]:
        """Yield the last line where it had no end."""
        if self._rest:
            yield self._line(self._rest)

    def _line(self, line: bytes) -> str:
        if len(line) > MAX_LINE:
            raise UnknownListing
        self.count += 1
        return line.decode("utf-8", "replace")


def from_mlsd(lines: Iterable[str]) -> tuple[list[Entry], list[str]]:
    """Return the entries of an MLSD listing (RFC 3659 §7), and the files without a size.

    Raises UnknownListing.
    """
    entries: list[Entry] = []
    unsized: list[str] = []
    for line in lines:
        facts, _, name = line.partition(" ")
        if line.strip() and ("=" not in facts or not name):
            raise UnknownListing
        if not is_ours(name):
            continue
        _check_count(entries, unsized)
        kind, size = read_facts(facts)
        if kind == "dir":
            entries.append(Entry(name, None))
        elif kind == "file" and size is not None:
            entries.append(Entry(name, size))
        elif kind == "file":
            unsized.append(name)
        elif not kind:
            raise UnknownListing
    return entries, unsized


def read_facts(facts: str) -> tuple[str, int | None]:
    """Return the type and size of `type=file;size=12;modify=…;` ("" and None where not said)."""
    kind, size = "", None
    for fact in facts.strip().split(";"):
        key, _, value = fact.partition("=")
        if key.lower() == "type":
            kind = value.lower()
        elif key.lower() == "size" and _SIZE.fullmatch(value):
            size = int(value)
    return kind, size


def from_list(lines: Iterable[str]) -> list[Entry]:
    """Return the entries of a LIST; raises UnknownListing for a line that cannot be read."""
    entries: list[Entry] = []
    for line in lines:
        if not line.strip() or _TOTAL.fullmatch(line.strip()):
            continue
        if found := _UNIX.fullmatch(line):
            folder, file = found["kind"] == "d", found["kind"] == "-"
        elif found := _DOS.fullmatch(line):
            folder, file = found["size"] == "<DIR>", found["size"] != "<DIR>"
        else:
            raise UnknownListing
        if is_ours(found["name"]) and (folder or file):
            _check_count(entries)
            entries.append(Entry(found["name"], None if folder else int(found["size"])))
    return entries


def from_nlst(lines: Iterable[str]) -> list[str]:
    """Return the last parts of the names in an NLST, without what cannot be ours."""
    names: list[str] = []
    for line in lines:
        name = line.rstrip("/").rpartition("/")[2]
        if is_ours(name):
            _check_count(names)
            names.append(name)
    return names


def _check_count(*found: Sized) -> None:
    if sum(map(len, found)) >= MAX_NAMES:
        raise PlaceError(
            f"The FTP server lists more than {MAX_NAMES} names in one folder.",
            hint="Give the vaults a folder of their own.",
        )


def is_ours(name: str) -> bool:
    """Return whether one part of a name is legal, or is that of an unfinished upload."""
    if len(name) > 255 or "/" in name:
        return False
    return NAME_PATTERN.fullmatch(name) is not None or is_temporary(name)
