"""Records: the smallest things backed up, and their one encoding.

On the wire a record is the msgpack array `[kind, id, body]`; a body of nil is a tombstone
(the record was deleted at the source). Map keys are sorted, so equal records are equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

import msgpack
import msgspec

from vaultd.errors import DamageError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Body: TypeAlias = "dict[str, Json]"
Finish: TypeAlias = "Callable[[Body], Body]"
_AROUND: Final = 16  # the array that a body stands in
_Held = TypeVar("_Held", list[Any], dict[Any, Any])

KINDS: Final = (
    "account",
    "profile",
    "aspect",
    "contact",
    "post",
    "photo",
    "comment",
    "like",
    "poll_vote",
    "subscription",
    "followed_tag",
    "block",
    "preference",
    "role",
    "conversation",
    "message",
    "received_comment",
    "received_like",
    "received_poll_vote",
    "received_reshare",
    "subscriber",
    "shared_post",
    "shared_photo",
    "shared_comment",
    "shared_like",
    "shared_poll_vote",
    "person",
    "audience",
    "known_pods",
)

MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 32
MAX_MAP: Final = 100_000
MAX_VALUES: Final = 1_000_000  # in one record: each takes up to 75 times its bytes in memory


class Oversized:  # no dataclass, which would be encoded as a map
    """Stands in a body for a value of `size` bytes that was not read: no record can hold it."""

    __slots__ = ("size",)

    def __init__(self, size: int) -> None:
        self.size = size


def _refused(value: object) -> object:
    if isinstance(value, Oversized):
        raise DamageError(f"A value of {value.size:,} bytes is too large.")
    raise TypeError


_encoder: Final = msgspec.msgpack.Encoder(order="deterministic", enc_hook=_refused)

_decoder: Final = msgspec.msgpack.Decoder(tuple[str, str, dict[str, Any]])

_TEXT: Final = frozenset((str,))
_NESTED: Final = frozenset((dict, list))


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a source reads it.

    `id` is unique within (account, kind) and stable over time: a guid, a handle, a name, or
    `row:<local id>` where the row has nothing better.
    `passive` records (other people's names, known pods) are written along with an archive
    but never cause one.
    `file` is the bare name of the picture file that belongs to a `photo` record.
    `finish`, where given, takes the body and returns what is expensive to compute (a signature)
    and is added only when the record is really written, after the reading, perhaps in another
    thread; it must be a pure function of the row.
    """

    kind: str
    id: str
    body: Body
    passive: bool = False
    file: str | None = None
    finish: Finish | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one kind and account that are encoded already: cheap where there are many.

    `wires` are what `encode_record` returns for each of `ids`; their bodies are nested a few
    levels only and have keys of text, which the source vouches for. `finishes`, where given, has
    a `Record.finish` or None for each. `shared` ones are the same for many accounts.
    """

    kind: str
    ids: Sequence[str]
    wires: Sequence[bytes]
    passive: bool = False
    finishes: Sequence[Finish | None] | None = None
    shared: bool = False

    def singly(self) -> Iterator[Record]:
        """Yield the records one by one, decoded."""
        for position, wire in enumerate(self.wires):
            kind, record_id, body = decode_record(wire)
            finish = self.finishes[position] if self.finishes else None
            yield Record(kind, record_id, body, self.passive, finish=finish)


class StoredRecord(msgspec.Struct, frozen=True, gc=False):  # what is decoded has no cycles
    """A record as an archive holds it; `body` is None for a tombstone."""

    kind: str
    id: str
    body: Body | None


def encode_body(body: Body) -> bytes:
    """Return the deterministic msgpack bytes of a body (for digests)."""
    return _encoder.encode(body)


def encode_record(kind: str, record_id: str, body: Body | None) -> bytes:
    """Return the deterministic msgpack bytes of `[kind, id, body]`."""
    return _encoder.encode((kind, record_id, body))


def decode_record(wire: bytes) -> tuple[str, str, Body]:
    """Return kind, id and body of a record that this process encoded; no tombstone."""
    return _decoder.decode(wire)


def merged(body: Body, more: Body) -> Body:
    """Return `body` with what a `finish` gave added; maps inside are merged, not replaced."""
    result = dict(body)
    for key, value in more.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def check_body(body: Body) -> None:
    """Raise DamageError for a body that no reader would take: nested too deeply, with a key that
    is not text, or of too many values."""
    _check_depth(body)


def is_readable(wire: bytes) -> bool:
    """Whether a reader takes a record that this process encoded, for its size and its values."""
    if len(wire) <= MAX_MAP:
        return True  # each value takes a byte at least
    if len(wire) > MAX_RECORD_BYTES:
        return False
    try:
        check_body(decode_record(wire)[2])
    except DamageError:
        return False
    return True


def check_stored(value: object) -> StoredRecord:
    """Turn an unpacked msgpack value from an archive into a record.

    Raises DamageError when it is not a `[kind, id, body]` of bounded depth.
    """
    if not isinstance(value, list) or len(value) != 3:
        raise DamageError("A record in the archive is not an array of three.")
    kind, record_id, body = value
    if not isinstance(kind, str) or not isinstance(record_id, str):
        raise DamageError("A record in the archive has no readable kind or id.")
    if body is not None and not isinstance(body, dict):
        raise DamageError(f"The {kind} record {record_id[:64]!r} has a body that is not a map.")
    _check_depth(body)
    return StoredRecord(kind, record_id, body)


def _check_depth(value: object) -> None:
    level, held = [value], 0
    for _ in range(MAX_DEPTH):
        deeper: list[object] = []
        held += sum(len(item) + 1 for item in level if isinstance(item, dict | list))
        if held > MAX_VALUES:
            raise DamageError(f"A record in the archive holds more than {MAX_VALUES:,} values.")
        for item in level:
            values: Iterable[object] = ()
            if isinstance(item, dict):
                if len(item) > MAX_MAP:
                    raise DamageError(f"A record in the archive has a map of {len(item):,} keys.")
                if not (_TEXT.issuperset(map(type, item)) or _all_text(item)):
                    raise DamageError("A record in the archive has a map key that is not text.")
                values = item.values()
            elif isinstance(item, list):
                values = item
            deeper += [each for each in values if type(each) in _NESTED]
        if not deeper:
            return
        level = deeper
    raise DamageError(f"A record in the archive is nested deeper than {MAX_DEPTH} levels.")


def _all_text(keys: Iterable[object]) -> bool:
    # Column names of SQLAlchemy are a subclass of str.
    return all(isinstance(key, str) for key in keys)


def record_unpacker() -> msgpack.Unpacker:
    """Return a streaming unpacker bounded to one record's size and number of values, for
    untrusted bytes; it raises ValueError beyond them."""
    held = 0

    def counted(value: _Held) -> _Held:
        nonlocal held
        held += len(value) + 1
        if held > MAX_VALUES + _AROUND:
            raise ValueError("too many values")
        return value

    return msgpack.Unpacker(
        raw=False,
        strict_map_key=True,
        list_hook=counted,
        object_hook=counted,
        max_buffer_size=MAX_RECORD_BYTES,
        max_str_len=MAX_RECORD_BYTES,
        max_bin_len=0,
        max_ext_len=0,
        max_array_len=MAX_VALUES,
        max_map_len=MAX_MAP,
    )
