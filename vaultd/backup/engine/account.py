"""One account in a run: its records are looked at once and fed to all its vaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from vaultd.backends.base import Backend
from vaultd.backup.engine.context import RunContext
from vaultd.backup.engine.diff import RecordDiff
from vaultd.backup.engine.open_vaults import Standing, open_vault_run
from vaultd.backup.engine.packer import Commit, Packer
from vaultd.backup.engine.pictures import Pictures
from vaultd.backup.engine.vault_run import StartOverError, VaultRun
from vaultd.backup.report import (
    AccountReport,
    Changes,
    TargetResult,
    account_report,
    failed_at,
    unexpected,
)
from vaultd.clock import now, rfc3339
from vaultd.errors import VaultdError
from vaultd.keys import Recipient
from vaultd.records import (
    Record,
    Records,
    encode_record,
)
from vaultd.selection import EVERYTHING, Selection
from vaultd.sources.base import Source, SourceAccount, Trouble
from vaultd.state.index.vault_index import VaultIndex
from vaultd.state.store import Enrollment
from vaultd.vault.manifest import Manifest


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
        context: RunContext,
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
        self.vaults: list[VaultRun] = []
        self._context = context
        self._pod = pod
        self._selection = selection
        self._part = selection.part
        self._time = rfc3339(now())
        self._recipient = Recipient.parse(enrollment.recipient)
        self._packers: list[Packer] = []
        self._results: list[TargetResult] = []
        pictures = Pictures(source, context, self._recipient, enrollment.blob_key)
        self._diff = RecordDiff(
            context, pictures, selection, self.vaults, self._packers, self.notes, merge=merge
        )

    @property
    def merge(self) -> bool:
        """Whether the archives take earlier ones over."""
        return self._diff.merge

    @property
    def complete(self) -> bool:
        """Whether nothing was left out that a later run could find readable."""
        return self._diff.complete

    @property
    def up_to_date(self) -> bool:
        """Whether every vault of the account holds what the source has."""
        failed = bool(self._results) or any(vault.error is not None for vault in self.vaults)
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
                vault, index = open_vault_run(
                    self._context, self.enrollment, target, backend, standing
                )
                if look:
                    vault, index = self._looked_at(vault, index)
            except VaultdError as error:
                self._results.append(failed_at(target, error))
                continue
            except Exception as error:  # noqa: BLE001 - one target's trouble is its own
                self._results.append(failed_at(target, unexpected(error)))
                continue
            self.vaults.append(vault)
            if self._part:
                index = VaultIndex(self._context.state.digests)
            key = (index.mark, vault.sequence, vault.previous, vault.point.live)
            packer = groups.get(key)
            if packer is None:
                groups[key] = Packer(
                    self._context,
                    self._recipient,
                    index,
                    [vault],
                    merge=self.merge,
                    part=self._part,
                )
            else:
                packer.vaults.append(vault)
        self._packers += groups.values()
        for packer in self._packers:
            packer.begin(self._time)

    def _looked_at(self, vault: VaultRun, index: VaultIndex) -> tuple[VaultRun, VaultIndex]:
        try:
            vault.check_place()
        except StartOverError as error:
            self.notes.append(str(error))
            return open_vault_run(self._context, self.enrollment, vault.target, vault.backend)
        return vault, index

    def take(self, item: Record | Records | Trouble) -> None:
        """Look at what the stream brings next."""
        if self.error is None and self._packers:
            self._diff.take(item)

    def put_off(self) -> Iterator[Record]:
        """Hand out the photos that wait for the end of the reading, for `look`."""
        return self._diff.put_off()

    def sign(self) -> None:
        """Make the signatures that wait for the end of the reading; raises DatabaseError."""
        if self.error is None and not self.again:
            self._diff.sign()

    def look(self, record: Record) -> None:
        """Look at a photo that was put off."""
        if self.error is None and not self.again:
            self._diff.look(record)

    @property
    def flying(self) -> bool:
        """Whether a picture of the account is still on its way."""
        return self._diff.flying

    def land(self) -> None:
        """Wait for the pictures on their way; an archive must not come before they are there."""
        self._diff.land()

    def read_again(self) -> None:
        """Have the account read once more for all its targets, without taking archives over."""
        self._diff.merge = False
        self.again.extend(vault.target for vault in self.vaults if vault.target not in self.again)

    def finish(self) -> list[Commit]:
        """End the archives: one for each point at which something that matters changed."""
        self._diff.end()
        commits = [self._finish(packer) for packer in self._packers]
        return [commit for commit in commits if commit is not None]

    def _finish(self, packer: Packer) -> Commit | None:
        index = packer.index
        self._diff.keep_unread(index)
        for gone in index.missing():
            if not gone.moved:
                packer.count(gone.kind, 2)
                packer.real |= not gone.passive
            if gone.written and not packer.alone:
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
            sequence=packer.vaults[0].sequence,
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
        for vault in self.vaults:
            vault.close()

    def report(self) -> AccountReport:
        """What became of the account in this pass; targets to do again are left out."""
        done = [vault.result() for vault in self.vaults if vault.target not in self.again]
        targets = tuple(sorted([*self._results, *done], key=lambda result: result.target))
        report = account_report(
            self.account.username,
            self.error,
            targets,
            self._records(),
            (*self.notes, *(vault.note for vault in self.vaults if vault.note)),
        )
        return replace(report, missing=self._diff.missing_pictures)

    def _records(self) -> int:
        return sum(self._packers[0].index.counts().values()) if self._packers else 0
