"""Packing: vaults that stand at the same point share one index and one archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from vaultd.backup.engine.context import RunContext, spool_error
from vaultd.backup.engine.levels import merged
from vaultd.backup.engine.vault_run import VaultRun
from vaultd.backup.report import Changes
from vaultd.errors import AccountError
from vaultd.keys import Recipient
from vaultd.state.index.vault_index import MAX_HOMES, VaultIndex
from vaultd.state.vaults.points import StoredArchive
from vaultd.state.vaults.vaults import Staged
from vaultd.vault.manifest import ArchiveRef, Manifest
from vaultd.vault.writer import ArchiveWriter, PackedObject


@dataclass(frozen=True, slots=True)
class Commit:
    """One archive, ready to be created in some vaults of an account."""

    vaults: tuple[VaultRun, ...]
    packed: PackedObject
    archive: StoredArchive
    records: int
    index: tuple[bytes, ...]
    changes: Changes
    packer: Packer

    def staged(self, vault: VaultRun) -> Staged:
        """Return what the state notes before the archive is created in this vault."""
        account, target = vault.enrollment.id, vault.target
        if self.packer.part:
            pieces = vault.context.state.vaults.index_pieces(account, target, vault.point.sequence)
            return Staged(account, target, vault.beside(self.archive), tuple(pieces))
        point = vault.next_point(self.archive, self.records)
        return Staged(account, target, point, self.index)


@dataclass(slots=True)
class Packer:
    """The next archive of vaults that stand at the same point; `real` once it is worth writing.

    `part` is an archive beside the chain, which holds a selection and changes no newest point.
    """

    context: RunContext
    recipient: Recipient
    index: VaultIndex
    vaults: list[VaultRun]
    merge: bool = True
    part: bool = False
    real: bool = False
    tally: dict[str, list[int]] = field(default_factory=dict)
    needs: tuple[StoredArchive, ...] = ()
    taken: frozenset[int] = frozenset()
    _writer: ArchiveWriter | None = None
    _spool: BinaryIO | None = None

    def begin(self, time: str) -> None:
        """Decide what the archive stands on and what it takes over, and start it (RFC 3339)."""
        first = self.vaults[0]
        if self.merge and not self.part:
            self._take_over(first)
        elif not self.part:
            self.needs = first.point.live
        if len(self.needs) >= MAX_HOMES:
            raise AccountError(
                f"The vault's newest point stands on {len(self.needs)} archives, and rows that "
                "cannot be read keep them from being taken over.",
                hint="Mend the rows that the notes of this account name.",
            )
        self.index.begin(first.sequence, self.taken, alone=not self.needs)
        self._spool = self.context.temporary()
        self._writer = ArchiveWriter(
            self._spool,
            self.recipient,
            self.context.pod_key,
            sequence=first.sequence,
            previous=first.previous,
            needs=[archive.sequence for archive in self.needs],
            time=time,
            owner=self.context.owner_tag(first.enrollment),
        )

    def _take_over(self, first: VaultRun) -> None:
        live, sizes = first.point.live, self.index.sizes()
        self.taken = merged(live, sizes)
        # What was found bad is written again even where nothing changed.
        self.real = any(a.bad for a in live)
        self.needs = tuple(
            a for a in live if a.sequence not in self.taken and sizes.get(a.sequence, 0)
        )

    @property
    def alone(self) -> bool:
        """Whether the archive stands on no other."""
        return not self.needs

    @property
    def size(self) -> int:
        """Bytes packed so far."""
        return 0 if self._writer is None else self._writer.size

    def live(self) -> list[VaultRun]:
        """Return the vaults that did not fail."""
        return [vault for vault in self.vaults if vault.error is None]

    def add(self, *records: bytes) -> None:
        """Write encoded records; raises PlaceFull when the spool cannot be written."""
        if self._writer is not None:
            with self._spooling():
                self._writer.add_encoded(*records)

    def add_shared(self, records: Sequence[bytes]) -> None:
        """Write encoded records that other accounts have as well; raises PlaceFull."""
        if self._writer is not None:
            with self._spooling():
                self._writer.add_shared(tuple(records))

    @contextmanager
    def _spooling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise spool_error(self.context.spool, error) from error

    def count(self, kind: str, column: int, records: int = 1) -> None:
        """Count records as added, changed or removed (0, 1, 2)."""
        self.tally.setdefault(kind, [0, 0, 0])[column] += records

    def changes(self) -> Changes:
        """Return the counts as the manifest has them."""
        return {kind: (n[0], n[1], n[2]) for kind, n in self.tally.items()}

    def refs(self) -> tuple[ArchiveRef, ...]:
        """Return the earlier archives that this one stands on, as the manifest has them."""
        return tuple(ArchiveRef(a.sequence, a.name, a.size, a.hash) for a in self.needs)

    def finish(self, manifest: Manifest) -> Commit | None:
        """End the archive; None where no vault is left. Raises PlaceFull."""
        vaults = self.live()
        if self._writer is None or not vaults:
            return None
        written = self._writer.records
        with self._spooling():
            packed = self._writer.finish(manifest)
        archive = StoredArchive(
            manifest.sequence,
            packed.name,
            packed.size,
            packed.hash,
            manifest.time,
            written,
            tuple(a.sequence for a in self.needs),
        )
        return Commit(
            tuple(vaults),
            packed,
            archive,
            sum(manifest.counts.values()),
            tuple(self.index.dump()),
            manifest.changes,
            self,
        )

    def close(self) -> None:
        """Drop what was packed."""
        if self._spool is not None:
            self._spool.close()
        self._spool = self._writer = None
