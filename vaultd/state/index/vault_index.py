"""The index of one vault: which records its archives hold, in some tens of bytes a record.

It answers what changed and what is missing without trusting any timestamp of the source. Per
record it keeps a digest, the kind, the id (a tombstone needs it), its home: the archive that holds
its newest version, and its birth: no older archive of the point holds one. Tombstones have both,
too, and stay only as long as an archive between the two holds a version that they must hide.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import msgspec
import zstandard

from vaultd.errors import DamageError
from vaultd.state.index.digests import Digests
from vaultd.state.index.packed_ids import id_end, pack_id, pack_ids, unpack_id, unpack_ids
from vaultd.state.index.pieces import STEP, Pieces, Rows, packed
from vaultd.state.index.table import KeyTable

_VERSION: Final = 5
_WITHOUT_BIRTHS: Final = 4
_PASSIVE: Final = 0x80
_GONE: Final = 0x40  # the newest version is a tombstone
_KIND: Final = 0x3F
MAX_HOMES: Final = 250
_MOST: Final = 20_000_000
_BITS: Final = (1 << 64) - 1

_head: Final = msgspec.msgpack.Decoder(tuple[int, str, list[str], int, int, list[int]])


class Change(Enum):
    """What `observe` found."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "same"
    MOVED = "moved"
    REPEATED = "repeated"


@dataclass(slots=True)
class Changes:
    """What `observe_all` found: positions in what it was given, without those that are the same."""

    added: Sequence[int] = ()
    changed: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Missing:
    """A record that the vault holds and the source no longer has; `moved` since earlier.

    `written`: an archive that stays holds a version of it, so that its tombstone is needed.
    """

    kind: str
    id: str
    passive: bool
    moved: bool = False
    written: bool = True


class VaultIndex:
    """Load, `begin` an archive, observe every record of a run, ask what is missing, then dump.

    `mark` is equal for indexes that were loaded from the same bytes, empty for a new one.
    """

    def __init__(self, digests: Digests) -> None:
        self.mark = b""
        self._digests = digests
        # An empty index needs no table: all is added, and a set tells what comes twice.
        self._table: KeyTable | None = None
        self._fresh: dict[str, set[str]] = {}
        self._bodies: array[int] = array("Q")
        self._kinds = bytearray()
        self._homes = bytearray()
        self._births = bytearray()
        self._seen = bytearray()
        self._ids = bytearray()
        self._names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._sequences: list[int] = []
        self._home = 0
        self._merged = b""
        self._alone = True

    @classmethod
    def load(cls, digests: Digests, pieces: Iterable[bytes]) -> VaultIndex:
        """Read what `dump` yielded (no pieces: an empty index); raises DamageError."""
        index = cls(digests)
        joined = Pieces(pieces, digests.seal)
        rows = Rows(joined, digests.checksum())
        try:
            size = rows.exactly(4) if joined.begun() else b""
            if not size:
                return index
            head = rows.exactly(int.from_bytes(size, "little"))
            version, order, names, count, ids, sequences = _head.decode(head)
            if version not in (_VERSION, _WITHOUT_BIRTHS) or order != sys.byteorder:
                raise ValueError("another version")
            if not 0 <= count <= _MOST or not 0 <= ids <= _MOST * 64:
                raise ValueError("impossible sizes")
            index._bodies.frombytes(rows.column(count * index._bodies.itemsize))
            index._kinds, index._homes = rows.column(count), rows.column(count)
            # Without births any archive of the point may hold a version, from the oldest on.
            index._births = rows.column(count) if version == _VERSION else bytearray(count)
            index._ids = rows.column(ids)
            rows.end()
            keys = array("Q", map(_key, index._kinds, unpack_ids(index._ids)))
            if len(keys) != count:
                raise ValueError("impossible sizes")
        except (zstandard.ZstdError, msgspec.DecodeError, ValueError) as error:
            raise DamageError(
                f"An index in the state database is damaged ({error}); no vault is affected.",
                hint="The account's next archive will hold everything again.",
            ) from error
        index._table = KeyTable(keys)
        index._seen = bytearray(count)
        index._names = list(names)
        index._numbers = {name: number for number, name in enumerate(names)}
        index._sequences = sequences
        index.mark = joined.digest()
        return index

    def __len__(self) -> int:
        return len(self._kinds)

    def sizes(self) -> dict[int, int]:
        """Return how many newest versions (tombstones included) each archive holds."""
        return {
            sequence: self._homes.count(number) for number, sequence in enumerate(self._sequences)
        }

    def begin(self, sequence: int, merged: Collection[int], *, alone: bool) -> None:
        """Say what is being written: the archive `sequence`, which takes over what `merged` hold.

        `alone` tells that it stands on no other archive, so that tombstones have no use in it.
        """
        self._merged = bytes(
            number for number, each in enumerate(self._sequences) if each in merged
        )
        self._home = len(self._sequences)
        self._sequences.append(sequence)
        self._alone = alone

    def observe(self, kind: str, record_id: str, body: int, passive: bool = False) -> Change:
        """Note a record that the source has, with its body digest; say how it differs.

        MOVED is an unchanged record that must be written again, as its archive is merged.
        Raises UnicodeEncodeError when the id is no valid text.
        """
        number = self._numbered(kind, passive)
        if self._table is None:
            known = self._fresh.setdefault(kind, set())
            if record_id in known:
                return Change.REPEATED
            self._append(record_id, number, body)
            known.add(record_id)
            return Change.ADDED
        key = _key(number, record_id)
        position = self._table.find(key)
        if position < 0:
            self._append(record_id, number, body)
            self._table.add(key)
            return Change.ADDED
        return self._seen_again(position, number, body)

    def _append(self, record_id: str, number: int, body: int) -> None:
        self._ids += pack_id(record_id)
        self._bodies.append(body)
        self._kinds.append(number)
        self._homes.append(self._home)
        self._births.append(self._home)
        self._seen.append(1)

    def _seen_again(self, position: int, number: int, body: int) -> Change:
        if self._seen[position]:
            return Change.REPEATED
        self._seen[position] = 1
        gone = self._kinds[position] & _GONE
        self._kinds[position] = number
        if self._bodies[position] == body and not gone:
            if self._homes[position] not in self._merged:
                return Change.SAME
            self._homes[position] = self._home
            return Change.MOVED
        self._bodies[position] = body
        self._homes[position] = self._home
        return Change.ADDED if gone else Change.CHANGED

    def observe_all(
        self, kind: str, ids: Sequence[str], bodies: Sequence[int], passive: bool = False
    ) -> Changes:
        """Do `observe` for many records of a kind; raises UnicodeEncodeError before noting any."""
        packed = pack_ids(ids)
        if self._table is None:
            known = self._fresh.setdefault(kind, set())
            new = set(ids)
            if len(new) == len(ids) and known.isdisjoint(new):
                known |= new
                self._ids += packed
                self._bodies.extend(bodies)
                self._kinds += bytes([self._numbered(kind, passive)]) * len(ids)
                self._homes += bytes([self._home]) * len(ids)
                self._births += bytes([self._home]) * len(ids)
                self._seen += b"\1" * len(ids)
                return Changes(range(len(ids)))
        added: list[int] = []
        found = Changes(added)
        columns = {
            Change.ADDED: added,
            Change.CHANGED: found.changed,
            Change.MOVED: found.moved,
            Change.REPEATED: found.repeated,
        }
        for position, (record_id, body) in enumerate(zip(ids, bodies, strict=True)):
            change = self.observe(kind, record_id, body, passive)
            if change is not Change.SAME:
                columns[change].append(position)
        return found

    def keep(self, kind: str, record_id: str) -> bool:
        """Take a record that could not be read as still there, as the vault has it.

        Tells whether its newest version stays where it is; if not, it lies in a merged archive.
        Raises UnicodeEncodeError when the id is no valid text.
        """
        number = self._numbers.get(kind)
        if self._table is None or number is None:
            record_id.encode()
            return True
        position = self._table.find(_key(number, record_id))
        if position < 0 or self._kinds[position] & _GONE:
            return True
        self._seen[position] = 1
        return self._homes[position] not in self._merged

    def keep_kind(self, kind: str) -> bool:
        """Take all records of a kind as still there: the source could not read them all.

        Tells whether all of them stay where they are, as `keep`.
        """
        number = self._numbers.get(kind)
        stays = True
        if number is not None:
            for position, each in enumerate(self._kinds):
                if each & ~_PASSIVE == number and not self._seen[position]:
                    self._seen[position] = 1
                    stays = stays and self._homes[position] not in self._merged
        return stays

    def missing(self) -> Iterator[Missing]:
        """Yield the records that need a tombstone in this archive.

        `moved` ones are old tombstones of a merged archive; the others were neither observed
        nor kept, and count as gone from here on.
        """
        if 0 not in self._seen:
            return
        stay = [n for n in range(self._home) if n not in self._merged]
        offset = 0
        for position, seen in enumerate(self._seen):
            end = id_end(self._ids, offset)
            if not seen:
                number = self._kinds[position]
                moved = bool(number & _GONE)
                written = _between(stay, self._births[position], self._homes[position], moved)
                if not moved or (written and self._homes[position] in self._merged):
                    self._kinds[position] = number | _GONE
                    self._homes[position] = self._home
                    yield Missing(
                        self._names[number & _KIND],
                        unpack_id(self._ids[offset:end]),
                        bool(number & _PASSIVE),
                        moved,
                        written,
                    )
            offset = end

    def counts(self) -> dict[str, int]:
        """Return the number of records by kind, without the missing ones."""
        tally = [0] * len(self._names)
        for number, seen in zip(self._kinds, self._seen, strict=True):
            if seen:
                tally[number & _KIND] += 1
        return {name: n for name, n in zip(self._names, tally, strict=True) if n}

    def dump(self) -> Iterator[bytes]:
        """Yield the index after `missing`, compressed, in pieces of 256 KiB."""
        return packed(self._plain(), self._digests.checksum(), self._digests.seal)

    def _plain(self) -> Iterator[bytes | memoryview]:
        stays = self._staying()
        count = stays.count(1)
        whole = count == len(stays)
        ids = sum(len(piece) for piece in self._live_ids(stays))
        used = sorted(set(self._homes if whole else _live(self._homes, stays)))
        numbers = bytes(used.index(n) if n in used else 0 for n in range(len(self._sequences)))
        head = msgspec.msgpack.encode(
            (_VERSION, sys.byteorder, self._names, count, ids, [self._sequences[n] for n in used])
        )
        yield len(head).to_bytes(4, "little") + head
        live = self._bodies if whole else array("Q", _live(self._bodies, stays))
        yield from _slices(memoryview(live).cast("B"))
        yield bytes(self._kinds if whole else _live(self._kinds, stays))
        homes = bytes(self._homes if whole else _live(self._homes, stays))
        yield homes.translate(numbers + bytes(256 - len(numbers)))
        first = bytes(min(bisect_left(used, n), 255) for n in range(len(self._sequences)))
        births = bytes(self._births if whole else _live(self._births, stays))
        yield births.translate(first + bytes(256 - len(first)))
        yield from self._live_ids(stays)

    def _staying(self) -> bytearray:
        """Flag what is kept: all records, and the tombstones that a later archive may need."""
        if self._alone or 0 not in self._seen:
            return self._seen
        gone = [
            position
            for position, seen in enumerate(self._seen)
            if not seen and self._kinds[position] & _GONE
        ]
        homes = set(self._homes)
        homes.difference_update(self._merged)
        used = sorted(homes)
        stays = bytearray(b"\1") * len(self._seen)
        for position in gone:
            home = self._homes[position]
            if home in self._merged or not _between(used, self._births[position], home, True):
                stays[position] = 0
        return stays

    def _live_ids(self, stays: bytearray) -> Iterator[bytes | memoryview]:
        """Yield the ids that stay, in pieces of about 64 KiB."""
        if 0 not in stays:
            yield from _slices(memoryview(self._ids))
            return
        piece, offset = bytearray(), 0
        for seen in stays:
            end = id_end(self._ids, offset)
            if seen:
                piece += self._ids[offset:end]
            offset = end
            if len(piece) >= STEP:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece)

    def _numbered(self, kind: str, passive: bool) -> int:
        number = self._numbers.get(kind)
        if number is None:
            if len(self._names) >= _KIND:
                raise OverflowError("too many kinds of records")
            number = self._numbers[kind] = len(self._names)
            self._names.append(kind)
        return number | _PASSIVE if passive else number


def _between(archives: Sequence[int], birth: int, home: int, gone: bool) -> bool:
    """Tell whether one of these archives (rising) may hold a version that a tombstone must hide:
    from the record's birth up to its home, or to that of its tombstone (`gone`) exclusively."""
    place = bisect_left(archives, birth)
    return place < len(archives) and archives[place] < home + (not gone)


def _key(number: int, record_id: str) -> int:
    """Return what the table knows a record by; Python's hash is keyed anew in each process."""
    return hash((number & _KIND, record_id)) & _BITS


def _slices(data: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(data), STEP):
        yield data[start : start + STEP]


def _live(column: array[int] | bytearray, seen: bytearray) -> Iterator[int]:
    return (value for value, flag in zip(column, seen, strict=True) if flag)
