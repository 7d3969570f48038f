"""One account in a run: its records are looked at once and fed to all its vaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vaultd.backends.base import Backend
from vaultd.backup.lane import Lane, StartOverError, Workbench, open_lane
from vaultd.backup.pictures import Pictures
from vaultd.backup.report import AccountReport, Changes, Status, TargetResult, account_report
from vaultd.backup.unread import KINDS_OF_TABLE
from vaultd.clock import now, rfc3339
from vaultd.errors import DamageError, PlaceError, VaultdError
from vaultd.keys import Recipient
from vaultd.records import MAX_RECORD_BYTES, Body, Record, check_stored, encode_body
from vaultd.sources.base import Source, SourceAccount, Trouble
from vaultd.state.index import AccountIndex, Change
from vaultd.state.store import Enrollment
from vaultd.vault.manifest import Manifest

# A picture's upload must not stretch the source's read transaction; past this many it does.
_LATER: Final = 500
_TROUBLES: Final = 20


@dataclass(frozen=True, slots=True)
class Pod:
    """What goes into every manifest."""

    url: str
    software: str


@dataclass(slots=True)
class _Group:
    """Lanes whose vaults hold the same records, so that one index serves them all."""

    index: AccountIndex
    lanes: list[Lane]
    real: bool = False
    tally: dict[str, list[int]] = field(default_factory=dict)

    def live(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.error is None]

    def count(self, kind: str, column: int) -> None:
        self.tally.setdefault(kind, [0, 0, 0])[column] += 1

    def changes(self) -> Changes:
        return {kind: (n[0], n[1], n[2]) for kind, n in self.tally.items()}


class AccountRun:
    """Takes the records of one account from the batch's stream, then writes its archives."""

    def __init__(
        self,
        bench: Workbench,
        source: Source,
        pod: Pod,
        account: SourceAccount,
        enrollment: Enrollment,
    ) -> None:
        self.account = account
        self.enrollment = enrollment
        self.error: VaultdError | None = None
        self.again: list[str] = []
        self.notes: list[str] = []
        self._bench = bench
        self._pod = pod
        self._recipient = Recipient.parse(enrollment.recipient)
        self._groups: list[_Group] = []
        self._lanes: list[Lane] = []
        self._results: list[TargetResult] = []
        self._pictures = Pictures(source, bench, self._recipient, enrollment.blob_key)
        self._later: list[Record] = []
        self._troubles = 0
        self._unread: set[str] = set()
        self._all_unread = False

    def open(self, targets: Mapping[str, Backend]) -> None:
        """Find out where each vault stands; a target that cannot be asked fails alone."""
        groups: dict[bytes, _Group] = {}
        for target, backend in targets.items():
            try:
                lane, index = open_lane(
                    self._bench, self.enrollment, self._recipient, target, backend
                )
            except PlaceError as error:
                self._results.append(_failed(target, error))
                continue
            if lane.note:
                self.notes.append(lane.note)
            self._lanes.append(lane)
            groups.setdefault(index.mark, _Group(index, [])).lanes.append(lane)
        self._groups = list(groups.values())

    def _live(self) -> list[Lane]:
        return [lane for lane in self._lanes if lane.error is None]

    def take(self, item: Record | Trouble) -> None:
        """Look at one record of the stream."""
        if self.error is not None:
            return
        if isinstance(item, Trouble):
            self._trouble(f"{item.table} {item.row}: {item.reason}")
            kinds = KINDS_OF_TABLE.get(item.table)
            self._unread.update(kinds or ())
            self._all_unread |= kinds is None
        elif item.file is not None and len(self._later) < _LATER:
            self._later.append(item)
        else:
            self._look(item)

    def _look(self, record: Record) -> None:
        lanes = self._live()
        if not lanes:
            return
        body = record.body
        if record.file is not None:
            body = {**body, **self._pictures.attach(record, record.file, lanes)}
        try:
            encoded = encode_body(body)
            check_stored([record.kind, record.id, body])
            if len(encoded) > MAX_RECORD_BYTES - 4096:
                raise DamageError(f"A body of {len(encoded)} bytes is too large.")
            digest = self._bench.state.digests.body(encoded)
            found = [
                group.index.observe(record.kind, record.id, digest, record.passive)
                for group in self._groups
            ]
        except (
            DamageError,
            UnicodeEncodeError,
            OverflowError,
            RecursionError,
            TypeError,
        ) as error:
            self._skip(record, _told(error))
            return
        if found[0] is Change.REPEATED:
            self._trouble(f"There are two {record.kind} records {record.id}; the first is stored.")
            return
        if all(change is Change.SAME for change in found):
            return
        complete = self._complete(record, body)
        for group, change in zip(self._groups, found, strict=True):
            if change is Change.SAME:
                continue
            group.count(record.kind, 0 if change is Change.ADDED else 1)
            group.real |= not record.passive
            for lane in group.live():
                lane.add(record.kind, record.id, complete)

    def _complete(self, record: Record, body: Body) -> Body:
        """Add what is expensive to compute."""
        if record.finish is None:
            return body
        try:
            return _merged(body, record.finish())
        except (VaultdError, ValueError) as error:
            self._trouble(f"{record.kind} {record.id}: {_told(error)}")
            return body

    def _skip(self, record: Record, reason: str) -> None:
        self._trouble(f"A {record.kind} record cannot be stored ({reason}); it is left out.")
        try:
            for group in self._groups:
                group.index.keep(record.kind, record.id)
        except UnicodeEncodeError:
            self._unread.add(record.kind)

    def _trouble(self, sentence: str) -> None:
        self._troubles += 1
        if self._troubles <= _TROUBLES:
            self.notes.append(sentence)

    def finish(self) -> None:
        """Write the archives: one for each vault in which something that matters changed."""
        if self.error is None:
            for record in self._later:
                self._look(record)
            self._later.clear()
            self.notes.extend(self._pictures.notes())
            if self._troubles > _TROUBLES:
                self.notes.append(f"{self._troubles - _TROUBLES} more rows like these.")
        for group in self._groups:
            if self.error is None:
                self._finish_group(group)
        for lane in self._lanes:
            lane.discard()

    def _finish_group(self, group: _Group) -> None:
        index = group.index
        for kind in list(index.counts()) if self._all_unread else self._unread:
            index.keep_kind(kind)
        for gone in index.missing():
            group.count(gone.kind, 2)
            group.real |= not gone.passive
            for lane in group.live():
                lane.add(gone.kind, gone.id, None)
        if not group.real:
            return
        counts, changes = index.counts(), group.changes()
        for lane in group.live():
            try:
                lane.commit(self._manifest(lane, counts, changes), index.dump())
            except StartOverError as again:
                self.again.append(lane.target)
                self.notes.append(str(again))
            except VaultdError as error:
                lane.fail(error)

    def _manifest(self, lane: Lane, counts: dict[str, int], changes: Changes) -> Manifest:
        return Manifest(
            account=self.account.handle,
            guid=self.account.guid,
            username=self.account.username,
            public_key=self.account.public_key,
            time=rfc3339(now()),
            sequence=lane.sequence,
            archives=lane.refs(),
            counts=counts,
            changes=changes,
            blob_key=self.enrollment.blob_key,
            pod_url=self._pod.url,
            software=self._pod.software,
        )

    def fail(self, error: VaultdError) -> None:
        """Give the account up for this run; nothing of it is committed any more."""
        if self.error is None:
            self.error = error

    def close(self) -> None:
        """Drop what is packed (after a failure, or when the run is asked to stop)."""
        for lane in self._lanes:
            lane.discard()

    def report(self) -> AccountReport:
        """What became of the account in this pass; targets to do again are left out."""
        done = [lane.result() for lane in self._lanes if lane.target not in self.again]
        targets = tuple(sorted([*self._results, *done], key=lambda result: result.target))
        return account_report(
            self.account.username,
            self.error,
            targets,
            self._records(),
            tuple(self.notes),
        )

    def _records(self) -> int:
        return sum(self._groups[0].index.counts().values()) if self._groups else 0


def _failed(target: str, error: VaultdError) -> TargetResult:
    return TargetResult(target, Status.FAILED, reason=str(error), code=error.code)


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
