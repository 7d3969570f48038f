"""Which bytes of an object an answer to a ranged GET has (RFC 9110 14), for all HTTP backends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from vaultd.backends.transport.http_headers import header
from vaultd.errors import PlaceError

_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_NOTHING: Final = re.compile(r"bytes \*/(\d{1,18})")


class Part(NamedTuple):
    """Throw away `skip` bytes of the body, then take `length` (to its end where None)."""

    skip: int
    length: int | None


def wanted_part(
    status: int, headers: Mapping[str, str], offset: int, length: int | None, where: str
) -> Part:
    """Return where in the body the bytes `offset … offset+length` lie (to the end if None).

    Content-Range counts, whatever the status: some servers send a part with 200. Raises PlaceError
    where status, Content-Range and Content-Length contradict each other, or it is another part:
    whatever was made of such a body would look like damage.
    """
    text = header(headers, "content-range")
    size = _number(header(headers, "content-length"))
    if not text:
        if status == 206:
            raise PlaceError(f"{where} gives a part of an object without saying which.")
        return Part(offset, _within(size, offset, length))
    found = _RANGE.fullmatch(text)
    if found is None:
        raise _contradiction(where)
    first, end = int(found[1]), int(found[2]) + 1
    total = None if found[3] == "*" else int(found[3])
    if first >= end or (total is not None and end > total):
        raise _contradiction(where)
    if size is not None and size != end - first:
        raise _contradiction(where)
    if not first <= offset < end:
        raise PlaceError(f"{where} gives another part of an object than asked for.")
    last = _within(end if total is None and length is None else total, offset, length)
    if last is None or offset + last > end:
        raise PlaceError(f"{where} gives less of an object than asked for, and not its end.")
    return Part(offset - first, last)


def size_beyond(headers: Mapping[str, str]) -> int | None:
    """Return how long an object is by an answer 416, None where it does not tell."""
    found = _NOTHING.fullmatch(header(headers, "content-range"))
    return int(found[1]) if found else None


def nothing_there(size: int | None, offset: int, where: str) -> bytes:
    """Return the bytes from `offset` on that a 416 says are none, of an object of `size` bytes.

    Raises PlaceError where there are some.
    """
    if size is not None and size > offset:
        raise PlaceError(f"{where} refuses a part of an object that it has (416).")
    return b""


def _within(total: int | None, offset: int, length: int | None) -> int | None:
    if total is None:
        return length
    end = total if length is None else min(total, offset + length)
    return max(0, end - offset)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 18 else None


def _contradiction(where: str) -> PlaceError:
    return PlaceError(
        f"{where} contradicts itself about which part of an object it sends.",
        hint="Is a proxy or a cache before it? `vaultd check` tries it.",
    )
