"""PROPFIND (RFC 4918 9.1): the question, and the answer as a stream, bounded, without DTD."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urlsplit
from xml.parsers import expat

from vaultd.errors import PlaceError

LISTING_BODY: Final = 64 * 1024 * 1024
_MAX_DEPTH = 32
_MAX_TEXT = 16 * 1024
_MAX_TAG = 256 * 1024
_STEP = 64 * 1024
_ENTRIES: Final = 1_000_000
_STATUS: Final = re.compile(r"HTTP/\d(?:\.\d)? (\d{3})")
_NUMBER: Final = re.compile(r"-?\d{1,19}")

QUESTION: Final = (
    b'<?xml version="1.0" encoding="utf-8"?><d:propfind xmlns:d="DAV:"><d:prop>'
    b"<d:resourcetype/><d:getcontentlength/><d:getlastmodified/></d:prop></d:propfind>"
)
QUOTA_QUESTION: Final = (
    b'<?xml version="1.0" encoding="utf-8"?><d:propfind xmlns:d="DAV:"><d:prop>'
    b"<d:resourcetype/><d:quota-available-bytes/><d:quota-used-bytes/></d:prop></d:propfind>"
)


@dataclass(slots=True)
class Entry:
    """One resource of a 207 answer: its decoded path without the slash at its end, and what it is.

    `size`, `available` and `used` are bytes (negative ones have meanings of their own), `modified`
    seconds since 1970; None is: not told.
    """

    path: str = ""
    collection: bool = False
    size: int | None = None
    modified: float | None = None
    available: int | None = None
    used: int | None = None
    status: int = 200


class _Answer:
    """The handlers of the XML parser; `ready` holds the entries complete by now."""

    def __init__(self, where: str, base: str) -> None:
        self.where, self._base = where, base
        self.ready: list[Entry] = []
        self.moved = True  # whether the parser got anywhere since the last look
        self._path: list[str] = []
        self._text: list[str] = []
        self._text_size = 0
        self._entry = Entry()
        self._found: dict[str, str] = {}
        self._propstat_status = 200

    def refuse(self, why: str) -> PlaceError:
        return PlaceError(
            f"{self.where} gives a listing that cannot be read ({why}).",
            hint="Is this the address for WebDAV?",
        )

    def doctype(self, *_: object) -> None:
        raise self.refuse("it has a DOCTYPE")

    def start(self, name: str, _: dict[str, str]) -> None:
        self.moved = True
        self._path.append(name)
        if len(self._path) > _MAX_DEPTH:
            raise self.refuse("it is nested too deeply")
        self._text, self._text_size = [], 0
        if self._path == ["DAV: multistatus", "DAV: response"]:
            self._entry = Entry()
        elif name == "DAV: propstat":
            self._found, self._propstat_status = {}, 200
        elif name == "DAV: collection":
            self._found[name] = ""

    def text(self, data: str) -> None:
        self.moved = True
        self._text_size += len(data)
        if self._text_size > _MAX_TEXT:
            raise self.refuse("one of its texts is too long")
        self._text.append(data)

    def end(self, name: str) -> None:
        self.moved = True
        text, parent = "".join(self._text).strip(), self._path[-2] if len(self._path) > 1 else ""
        self._text, self._text_size = [], 0
        self._path.pop()
        if parent == "DAV: prop":
            self._found.setdefault(name, text)
        elif name == "DAV: href" and parent == "DAV: response":
            self._entry.path = decoded_path(text, self._base)
        elif name == "DAV: status" and (found := _STATUS.match(text)):
            if parent == "DAV: propstat":
                self._propstat_status = int(found[1])
            elif parent == "DAV: response":
                self._entry.status = int(found[1])
        elif name == "DAV: propstat" and self._propstat_status == 200:
            self._take(self._found)
        elif name == "DAV: response" and parent == "DAV: multistatus":
            self.ready.append(self._entry)

    def _take(self, found: dict[str, str]) -> None:
        entry = self._entry
        entry.collection = entry.collection or "DAV: collection" in found
        entry.size = _number(found.get("DAV: getcontentlength"), entry.size)
        entry.available = _number(found.get("DAV: quota-available-bytes"), entry.available)
        entry.used = _number(found.get("DAV: quota-used-bytes"), entry.used)
        entry.modified = http_date(found.get("DAV: getlastmodified", "")) or entry.modified


def _number(text: str | None, otherwise: int | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else otherwise


def http_date(text: str) -> float | None:
    """Return the seconds since 1970 of a date as HTTP writes it, None for anything else."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def decoded_path(href: str, base: str = "") -> str:
    """Return the path of an href, unescaped, without its last slash; empty for what is none.

    A whole URL (its host is a proxy's business), an absolute path, one relative to the decoded
    path `base` of a collection; doubled slashes are one, and dots are resolved (RFC 3986 5.2.4).
    A slash that is escaped belongs to a name and stays so: no name of ours has one.
    """
    try:
        parts = urlsplit(href)
    except ValueError:
        return ""
    # "//dav/v" is no host, but a server that joins its paths carelessly.
    raw = href.partition("?")[0].partition("#")[0] if not parts.scheme else parts.path
    if not raw:
        return ""
    found: list[str] = [] if raw.startswith("/") else [p for p in base.split("/") if p]
    for part in raw.split("/"):
        name = unquote(part, errors="replace").replace("/", "%2F")
        if name == "..":
            del found[-1:]
        elif name not in ("", "."):
            found.append(name)
    return "".join(f"/{name}" for name in found)


def parse(pieces: Iterable[bytes], where: str, base: str = "") -> Iterator[Entry]:
    """Yield the entries of a 207 answer as they come in; `base` is the path that was asked for.

    Memory is bounded by the caller's bound of `pieces` and 256 KiB a tag. Raises PlaceError for
    what is not such an answer, has a DTD, or is cut off.
    """
    answer = _Answer(where, base)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = answer.doctype
    parser.EntityDeclHandler = answer.doctype
    parser.StartElementHandler = answer.start
    parser.EndElementHandler = answer.end
    parser.CharacterDataHandler = answer.text
    waiting, count = 0, 0
    try:
        for piece in pieces:
            for start in range(0, len(piece), _STEP):
                part = piece[start : start + _STEP]
                parser.Parse(part, False)
                # A tag without end is read again with every piece: time grows with its square.
                waiting = 0 if answer.moved else waiting + len(part)
                answer.moved = False
                if waiting > _MAX_TAG:
                    raise answer.refuse("one of its tags is too long")
                count += len(answer.ready)
                if count > _ENTRIES:
                    raise answer.refuse(f"it has over {_ENTRIES} entries")
                yield from answer.ready
                answer.ready = []
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise answer.refuse("it is not whole XML") from error
    yield from answer.ready


def children(entries: Iterable[Entry], collection: str, where: str) -> dict[str, Entry] | None:
    """Return the members of the collection with this decoded path (no slash at its end) by name.

    None where that is a file; what lies deeper is left to its own listing. Raises PlaceError for a
    listing that is cut (an error for the collection or a member, RFC 4918 9.1) or that shows paths
    elsewhere: whoever ignored those would take a part of a listing for all of it.
    """
    found: dict[str, Entry] = {}
    itself = is_file = False
    for entry in entries:
        if entry.path == collection:
            if entry.status != 200:
                raise _cut(where, entry.status)
            if not itself:
                itself, is_file = True, not entry.collection
            continue
        if not entry.path.startswith(f"{collection}/"):
            raise elsewhere(where)
        name = entry.path[len(collection) + 1 :]
        if "/" in name or entry.status == 404:  # 404: it was removed meanwhile
            continue
        if entry.status != 200:
            raise _cut(where, entry.status)
        found.setdefault(name, entry)
    if not itself:
        raise elsewhere(where)
    return None if is_file else found


def _cut(where: str, status: int) -> PlaceError:
    return PlaceError(
        f"{where} gives only a part of a listing ({status}).",
        hint="Look into its log, or raise its limit for listings.",
    )


def elsewhere(where: str) -> PlaceError:
    """Return the error of an answer about other paths than the one asked for."""
    return PlaceError(
        f"{where} lists other paths than the one it was asked for.",
        hint="Does a proxy before it change paths? Use the address that the server has itself.",
    )
