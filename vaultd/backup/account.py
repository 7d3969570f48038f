"""One account in a run: its records are looked at once and fed to all its vaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vaultd.backends.base import Backend
from vaultd.backup.lane import Lane, StartOverError
from vaultd.backup.opening import Standing, open_lane
from vaultd.backup.packer import Commit, Packer
from vaultd.backup.pictures import Pictures
from vaultd.backup.report import (
    AccountReport,
    Changes,
    TargetResult,
    account_report,
    failed_at,
    unexpected,
)
from vaultd.backup.unread import KINDS_OF_TABLE
from vaultd.backup.workbench import Workbench
from vaultd.clock import now, rfc3339
from vaultd.errors import AccountError, DamageError, VaultdError
from vaultd.keys import Recipient
from vaultd.records import (
    MAX_RECORD_BYTES,
    Body,
    Finish,
    Record,
    Records,
    check_body,
    decode_record,
    encode_record,
)
from vaultd.selection import EVERYTHING, Selection
from vaultd.sources.base import Source, SourceAccount, Trouble
from vaultd.state.index import AccountIndex, Change
from vaultd.state.store import Enrollment
from vaultd.vault.manifest import Manifest

# A picture's upload must not stretch the source's read transaction; past this many it does.
_LATER: Final = 500
_TROUBLES: Final = 20
_UNSTORABLE: Final = (
    DamageError,
    UnicodeEncodeError,
    OverflowError,
    RecursionError,
    TypeError,
)


@dataclass(frozen=True, slots=True)
class Pod:
    """What goes into every manifest."""

    url: str
    software: str


class AccountRun:
    """Takes the records of one account from the batch's stream, then packs its archives.

    `complete` tells that everything was read as it should, `again` names the targets for which
    the account must be read once more.
    """

    def __init__(
        self,
        bench: Workbench,
        source: Source,
        pod: Pod,
        account: SourceAccount,
        enrollment: Enrollment,
        *,
        merge: bool = True,
        selection: Selection = EVERYTHING,
    ) -> None:
        self.account = account
        self.enrollment = enrollment
        self.error: VaultdError | None = None
        self.again: list[str] = []
        self.notes: list[str] = []
        self.lanes: list[Lane] = []
        self._bench = bench
        self._pod = pod
        self.merge = merge
        self._selection = selection
        self._part = selection.part
        self._time = rfc3339(now())
        self._recipient = Recipient.parse(enrollment.recipient)
        self._packers: list[Packer] = []
        self._results: list[TargetResult] = []
        self._pictures = Pictures(source, bench, self._recipient, enrollment.blob_key)
        self._later: list[Record] = []
        self._troubles = 0
        self._unread: set[str] = set()
        self._all_unread = False

    @property
    def complete(self) -> bool:
        """Whether nothing was left out that a later run could find readable."""
        return not (self._unread or self._all_unread or self._pictures.missing)

    @property
    def up_to_date(self) -> bool:
        """Whether every vault of the account holds what the source has."""
        failed = bool(self._results) or any(lane.error is not None for lane in self.lanes)
        return self.error is None and not failed and not self.again and not self._part

    def open(
        self,
        targets: Mapping[str, Backend],
        *,
        look: bool = False,
        standing: Standing | None = None,
    ) -> None:
        """Find out where each vault stands; a target that cannot be asked fails alone.

        With `look` the place is asked whether it still holds what the state says; `standing`
        is what the state says of the whole batch.
        """
        groups: dict[object, Packer] = {}
        for target, backend in targets.items():
            try:
                lane, index = open_lane(self._bench, self.enrollment, target, backend, standing)
                if look:
                    lane, index = self._looked_at(lane, index)
            except VaultdError as error:
                self._results.append(failed_at(target, error))
                continue
            except Exception as error:  # noqa: BLE001 - one target's trouble is its own
                self._results.append(failed_at(target, unexpected(error)))
                continue
            self.lanes.append(lane)
            if self._part:
                index = AccountIndex(self._bench.state.digests)
            key = (index.mark, lane.sequence, lane.previous, lane.point.live)
            packer = groups.get(key)
            if packer is None:
                groups[key] = Packer(
                    self._bench,
                    self._recipient,
                    index,
                    [lane],
                    merge=self.merge,
                    part=self._part,
                )
            else:
                packer.lanes.append(lane)
        self._packers = list(groups.values())
        for packer in self._packers:
            packer.begin(self._time)

    def _looked_at(self, lane: Lane, index: AccountIndex) -> tuple[Lane, AccountIndex]:
        try:
            lane.check_place()
        except StartOverError as error:
            self.notes.append(str(error))
            return open_lane(self._bench, self.enrollment, lane.target, lane.backend)
        return lane, index

    def take(self, item: Record | Records | Trouble) -> None:
        """Look at what the stream brings next."""
        if self.error is not None or not self._packers:
            return
        if isinstance(item, Trouble):
            self._trouble(f"{item.table} {item.row}: {item.reason}")
            kinds = KINDS_OF_TABLE.get(item.table)
            self._unread.update(kinds or ())
            self._all_unread |= kinds is None
        elif isinstance(item, Records):
            self._look_at_all(self._selected(item) if self._part else item)
        elif self._part and not self._selection.takes(item.kind, item.id, item.body):
            return
        elif item.file is not None and len(self._later) < _LATER:
            self._later.append(item)
        else:
            self._look(item)

    def put_off(self) -> list[Record]:
        """Hand out the photos that wait for the end of the reading, for `look`."""
        later, self._later = self._later, []
        return later

    def look(self, record: Record) -> None:
        """Look at a photo that was put off."""
        if self.error is None and not self.again:
            self._look(record)

    def land(self) -> None:
        """Wait for the pictures on their way; an archive must not come before they are there."""
        self._pictures.land()

    def _look(self, record: Record) -> None:
        body = record.body
        if record.file is not None:
            lanes = [lane for lane in self.lanes if lane.error is None]
            if not lanes:
                return
            body = {**body, **self._pictures.attach(record, record.file, lanes)}
        try:
            encoded = encode_record(record.kind, record.id, body)
            check_body(body)
            if len(encoded) > MAX_RECORD_BYTES:
                raise DamageError(f"A record of {len(encoded)} bytes is too large.")
            digest = self._bench.state.digests.body(encoded)
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
        written = b""
        for packer, change in zip(self._packers, found, strict=True):
            if change is Change.SAME:
                continue
            if not written:
                written = self._finished(encoded, record.finish)
            if change is not Change.MOVED:
                packer.count(record.kind, 0 if change is Change.ADDED else 1)
                packer.real |= not record.passive
            packer.add(written)
        if written and self._bench.what.account_bytes:
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
        if max(map(len, wires), default=0) > MAX_RECORD_BYTES:
            # One by one, so that only what is too large is left out.
            for record in records.singly():
                self._look(record)
            return
        digests = self._bench.state.digests.bodies(wires, shared=records.passive)
        finished: dict[int, bytes] = {}
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
            packer.add(*self._stored(records, chosen, finished))
            written |= bool(chosen)
        if written and self._bench.what.account_bytes:
            self._check_size()

    def _stored(
        self, records: Records, chosen: Sequence[int], finished: dict[int, bytes]
    ) -> list[bytes]:
        """Return some of the records as they are stored; `finished` is what was asked before."""
        if records.finishes is None:
            return [records.wires[i] for i in chosen]
        for i in chosen:
            if i not in finished:
                finished[i] = self._finished(records.wires[i], records.finishes[i])
        return [finished[i] for i in chosen]

    def _repeated(self, kind: str, record_id: str) -> None:
        self._trouble(f"There are two {kind} records {record_id}; the first is stored.")

    def _finished(self, encoded: bytes, finish: Finish | None) -> bytes:
        """Return the record as it is stored, with what is expensive to compute."""
        if finish is None:
            return encoded
        kind, record_id, body = decode_record(encoded)
        try:
            return encode_record(kind, record_id, _merged(body, finish()))
        except (VaultdError, ValueError) as error:
            self._trouble(f"{kind} {record_id}: {_told(error)}")
        return encoded

    def _check_size(self) -> None:
        most = self._bench.what.account_bytes
        if self._stored_bytes() + self._pictures.flying > most:
            self.land()  # what is there already costs nothing
        if self._stored_bytes() > most:
            raise AccountError(
                f"This run would store more than {most:,} bytes for the account.",
                hint="Raise backup.account_bytes, or lower backup.photo_bytes.",
            )

    def _stored_bytes(self) -> int:
        packed = max(packer.size for packer in self._packers)
        return packed + max(lane.blob_bytes for lane in self.lanes)

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
        for lane in self.lanes:
            lane.photos.keep_all()

    def _unmerge(self) -> None:
        """A record lies in an archive that is taken over and cannot be read now: let it lie."""
        if self.merge:
            raise ReadAgainError

    def _trouble(self, sentence: str) -> None:
        self._troubles += 1
        if self._troubles <= _TROUBLES:
            self.notes.append(sentence)

    def finish(self) -> list[Commit]:
        """End the archives: one for each point at which something that matters changed."""
        self.land()
        self.notes.extend(self._pictures.notes())
        if self._troubles > _TROUBLES:
            self.notes.append(f"{self._troubles - _TROUBLES} more rows like these.")
        commits = [self._finish(packer) for packer in self._packers]
        return [commit for commit in commits if commit is not None]

    def _finish(self, packer: Packer) -> Commit | None:
        index = packer.index
        for kind in list(index.counts()) if self._all_unread else self._unread:
            if not index.keep_kind(kind):
                self._unmerge()
            if kind == "photo":
                self._keep_pictures()
        for gone in index.missing():
            if not gone.moved:
                packer.count(gone.kind, 2)
                packer.real |= not gone.passive
            if not packer.alone:
                packer.add(encode_record(gone.kind, gone.id, None))
        if not packer.real:
            packer.close()
            return None
        return packer.finish(self._manifest(packer, index.counts(), packer.changes()))

    def _manifest(self, packer: Packer, counts: dict[str, int], changes: Changes) -> Manifest:
        return Manifest(
            account=self.account.handle,
            guid=self.account.guid,
            username=self.account.username,
            public_key=self.account.public_key if packer.alone else "",
            time=self._time,
            sequence=packer.lanes[0].sequence,
            archives=packer.refs(),
            counts=counts,
            changes=changes,
            blob_key=self.enrollment.blob_key,
            pod_url=self._pod.url,
            software=self._pod.software,
            selection=self._selection.sentence,
        )

    def fail(self, error: VaultdError) -> None:
        """Give the account up for this run; nothing of it is committed any more."""
        if self.error is None:
            self.error = error

    def close(self) -> None:
        """Drop what is packed; pictures that arrived are remembered."""
        self.land()
        for packer in self._packers:
            packer.close()
        for lane in self.lanes:
            lane.close()

    def report(self) -> AccountReport:
        """What became of the account in this pass; targets to do again are left out."""
        done = [lane.result() for lane in self.lanes if lane.target not in self.again]
        targets = tuple(sorted([*self._results, *done], key=lambda result: result.target))
        return account_report(
            self.account.username,
            self.error,
            targets,
            self._records(),
            (*self.notes, *(lane.note for lane in self.lanes if lane.note)),
        )

    def _records(self) -> int:
        return sum(self._packers[0].index.counts().values()) if self._packers else 0


class ReadAgainError(Exception):
    """The account must be read again without taking earlier archives over."""


def _told(error: Exception) -> str:
    """Name an error without what it may quote from the record."""
    return str(error) if isinstance(error, VaultdError) else type(error).__name__


def _merged(body: Body, more: Body) -> Body:
    """Return `body` with `more` added; maps inside are merged, not replaced."""
    result = dict(body)
    for key, value in more.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = _merged(old, value)
        else:
            result[key] = value
    return result
