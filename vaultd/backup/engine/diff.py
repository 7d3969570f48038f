"""What the source tells of an account: compared with what its vaults hold, and packed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from vaultd.backup.engine.context import RunContext
from vaultd.backup.engine.packer import Packer
from vaultd.backup.engine.pictures import Pictures
from vaultd.backup.engine.unread import KINDS_OF_TABLE
from vaultd.backup.engine.vault_run import VaultRun
from vaultd.errors import AccountError, DamageError, DatabaseError, VaultdError
from vaultd.records import (
    MAX_RECORD_BYTES,
    Finish,
    Record,
    Records,
    check_body,
    decode_record,
    encode_record,
    is_readable,
    merged,
)
from vaultd.selection import Selection
from vaultd.sources.base import Trouble
from vaultd.state.index.vault_index import Change, VaultIndex

# Records whose signatures wait for the end of the reading; past these bytes some are made at once.
_WAITING: Final = 16 * 1024 * 1024
_WORTH_THREADS: Final = 64
_TROUBLES: Final = 20
_UNSTORABLE: Final = (
    DamageError,
    UnicodeEncodeError,
    OverflowError,
    RecursionError,
    TypeError,
)


class ReadAgainError(Exception):
    """The account must be read again without taking earlier archives over."""


@dataclass(frozen=True, slots=True)
class _Unsigned:
    """An encoded record, what makes its signature, and where it is to be written."""

    wire: bytes
    finish: Finish
    packers: Sequence[Packer]


class RecordDiff:
    """Feeds the records of one account to the packers of its vaults.

    With `merge` the archives being packed take others over: a record that lies there and cannot
    be read now raises ReadAgainError. `vaults` and `packers` are filled before the first record
    comes; `notes` gets sentences for the report.
    """

    def __init__(
        self,
        context: RunContext,
        pictures: Pictures,
        selection: Selection,
        vaults: Sequence[VaultRun],
        packers: Sequence[Packer],
        notes: list[str],
        *,
        merge: bool,
    ) -> None:
        self.merge = merge
        self._vaults = vaults
        self._packers = packers
        self._context = context
        self._pictures = pictures
        self._selection = selection
        self._notes = notes
        self._later: list[Record | tuple[bytes, str]] = []
        self._unsigned: list[_Unsigned] = []
        self._waiting = 0
        self._troubles = 0
        self._unread: set[str] = set()
        self._all_unread = False

    @property
    def complete(self) -> bool:
        """Whether nothing was left out that a later run could find readable."""
        return not (self._unread or self._all_unread or self._pictures.missing)

    @property
    def missing_pictures(self) -> int:
        """How many picture files could not be read, also where the vault has copies of them."""
        return self._pictures.missing + self._pictures.kept

    def take(self, item: Record | Records | Trouble) -> None:
        """Look at what the stream brings next."""
        if isinstance(item, Trouble):
            self._trouble(f"{item.table} {item.row}: {item.reason}")
            kinds = KINDS_OF_TABLE.get(item.table)
            self._unread.update(kinds or ())
            self._all_unread |= kinds is None
        elif isinstance(item, Records):
            self._look_at_all(self._selected(item) if self._selection.part else item)
        elif self._selection.part and not self._selection.takes(item.kind, item.id, item.body):
            return
        elif item.file is not None:
            # No upload while the source's transaction is open.
            self._later.append(_small(item, item.file))
        else:
            self.look(item)

    def put_off(self) -> Iterator[Record]:
        """Hand out the photos that wait for the end of the reading, for `look`."""
        later, self._later = self._later, []
        for item in later:
            if isinstance(item, Record):
                yield item
            else:
                wire, file = item
                yield Record(*decode_record(wire), file=file)

    def sign(self) -> None:
        """Compute what was left for the end of the reading; raises PlaceFull.

        After a DatabaseError nothing is written yet, and it may be tried again.
        """
        unsigned = self._unsigned
        if len(unsigned) < _WORTH_THREADS:
            finished = list(map(_finished, unsigned))
        else:
            # RSA lets go of Python's lock.
            with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="sign") as pool:
                finished = list(pool.map(_finished, unsigned))
        self._unsigned, self._waiting = [], 0
        for each, result in zip(unsigned, finished, strict=True):
            if isinstance(result, str):
                self._trouble(result)
            for packer in each.packers:
                packer.add(each.wire if isinstance(result, str) else result)

    @property
    def flying(self) -> bool:
        """Whether a picture is still on its way."""
        return not self._pictures.landed

    def land(self) -> None:
        """Wait for the pictures on their way; an archive must not come before they are there."""
        self._pictures.land()

    def look(self, record: Record) -> None:
        """Look at one record; a photo's picture goes on its way."""
        body = record.body
        if record.file is not None:
            vaults = [vault for vault in self._vaults if vault.error is None]
            if not vaults:
                return
            body = {**body, **self._pictures.attach(record, record.file, vaults)}
        try:
            encoded = encode_record(record.kind, record.id, body)
            check_body(body)
            if len(encoded) > MAX_RECORD_BYTES:
                raise DamageError(f"A record of {len(encoded)} bytes is too large.")
            digest = self._context.state.digests.body(encoded)
            found = [
                packer.index.observe(record.kind, record.id, digest, record.passive)
                for packer in self._packers
            ]
        except _UNSTORABLE as error:
            self._skip(record, _told(error))
            return
        if found[0] is Change.REPEATED:
            self._repeated(record.kind, record.id)
            return
        writing = []
        for packer, change in zip(self._packers, found, strict=True):
            if change is Change.SAME:
                continue
            if change is not Change.MOVED:
                packer.count(record.kind, 0 if change is Change.ADDED else 1)
                packer.real |= not record.passive
            writing.append(packer)
        self._write(encoded, record.finish, writing)
        if writing and self._context.what.account_bytes:
            self._check_size()

    def _selected(self, records: Records) -> Records:
        takes = self._selection.takes
        chosen = [i for i, w in enumerate(records.wires) if takes(*decode_record(w))]
        finishes = records.finishes
        return Records(
            records.kind,
            [records.ids[i] for i in chosen],
            [records.wires[i] for i in chosen],
            records.passive,
            finishes and [finishes[i] for i in chosen],
        )

    def _look_at_all(self, records: Records) -> None:
        kind, wires = records.kind, records.wires
        if not all(map(is_readable, wires)):
            # One by one, so that only what no reader would take is left out.
            for record in records.singly():
                self.look(record)
            return
        digests = self._context.state.digests.bodies(wires, shared=records.shared)
        unsigned: dict[int, list[Packer]] = {}
        written = False
        for number, packer in enumerate(self._packers):
            found = packer.index.observe_all(kind, records.ids, digests, records.passive)
            for position in found.repeated if number == 0 else ():
                self._repeated(kind, records.ids[position])
            if found.added:
                packer.count(kind, 0, len(found.added))
            if found.changed:
                packer.count(kind, 1, len(found.changed))
            packer.real |= not records.passive and bool(found.added or found.changed)
            chosen = [*found.added, *found.changed, *found.moved]
            if records.shared and len(chosen) == len(wires):
                packer.add_shared(wires)
            elif records.finishes is None:
                packer.add(*(wires[i] for i in chosen))
            else:
                for i in chosen:
                    unsigned.setdefault(i, []).append(packer)
            written |= bool(chosen)
        for i, packers in unsigned.items():
            self._write(wires[i], records.finishes[i] if records.finishes else None, packers)
        if written and self._context.what.account_bytes:
            self._check_size()

    def _repeated(self, kind: str, record_id: str) -> None:
        self._trouble(f"There are two {kind} records {record_id}; the first is stored.")

    def _write(self, wire: bytes, finish: Finish | None, packers: Sequence[Packer]) -> None:
        """Write an encoded record; one that lacks its signature waits for `sign`."""
        if finish is None:
            for packer in packers:
                packer.add(wire)
        elif packers:
            self._unsigned.append(_Unsigned(wire, finish, packers))
            self._waiting += len(wire)
            if self._waiting > _WAITING:
                self.sign()

    def _check_size(self) -> None:
        most = self._context.what.account_bytes
        if self._stored_bytes() + self._pictures.flying > most:
            self.land()  # what is there already costs nothing
        if self._stored_bytes() > most:
            raise AccountError(
                f"This run would store more than {most:,} bytes for the account.",
                hint="Raise backup.account_bytes, or lower backup.photo_bytes.",
            )

    def _stored_bytes(self) -> int:
        packed = max(packer.size for packer in self._packers)
        return packed + max(vault.blob_bytes for vault in self._vaults)

    def _skip(self, record: Record, reason: str) -> None:
        self._trouble(f"A {record.kind} record cannot be stored ({reason}); it is left out.")
        try:
            stays = [packer.index.keep(record.kind, record.id) for packer in self._packers]
        except UnicodeEncodeError:
            self._unread.add(record.kind)
            return
        if record.file is not None:
            self._keep_pictures()
        if not all(stays):
            self._unmerge()

    def _keep_pictures(self) -> None:
        for vault in self._vaults:
            vault.photos.keep_all()

    def _unmerge(self) -> None:
        """A record lies in an archive that is taken over and cannot be read now: let it lie."""
        if self.merge:
            raise ReadAgainError

    def _trouble(self, sentence: str) -> None:
        self._troubles += 1
        if self._troubles <= _TROUBLES:
            self._notes.append(sentence)

    def end(self) -> None:
        """The stream is over: wait for the pictures, and sum up what was amiss."""
        self.sign()
        self.land()
        self._notes.extend(self._pictures.notes())
        if self._troubles > _TROUBLES:
            self._notes.append(f"{self._troubles - _TROUBLES} more rows like these.")

    def keep_unread(self, index: VaultIndex) -> None:
        """Have an index keep what could not be read: it is not gone."""
        for kind in list(index.counts()) if self._all_unread else self._unread:
            if not index.keep_kind(kind):
                self._unmerge()
            if kind == "photo":
                self._keep_pictures()


def _small(record: Record, file: str) -> Record | tuple[bytes, str]:
    """Return a photo's record encoded, which is small, where it can be."""
    try:
        return encode_record(record.kind, record.id, record.body), file
    except _UNSTORABLE:
        return record


def _finished(unsigned: _Unsigned) -> bytes | str:
    """Return a record as it is stored, or why it stays as it is; raises DatabaseError."""
    kind, record_id, body = decode_record(unsigned.wire)
    try:
        return encode_record(kind, record_id, merged(body, unsigned.finish(body)))
    except DatabaseError:
        raise  # that is not this record's trouble: the account must be read again
    except (VaultdError, ValueError) as error:
        return f"{kind} {record_id}: {_told(error)}"


def _told(error: Exception) -> str:
    """Name an error without what it may quote from the record."""
    return str(error) if isinstance(error, VaultdError) else type(error).__name__
