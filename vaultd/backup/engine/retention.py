"""Retention: which points in time stay, and which objects nothing refers to any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from vaultd.clock import parse_rfc3339
from vaultd.state.vaults.points import StoredArchive, StoredBlob, VaultPoint
from vaultd.vault.layout import blob_name, vault_of

if TYPE_CHECKING:
    from vaultd.config import Retention

_BUCKETS: Final[tuple[tuple[str, Callable[[datetime], object]], ...]] = (
    ("keep_daily", lambda t: t.date()),
    ("keep_weekly", lambda t: t.isocalendar()[:2]),
    ("keep_monthly", lambda t: (t.year, t.month)),
    ("keep_yearly", lambda t: t.year),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What retention does to one vault: `gone` points (sequences), objects to delete (name and
    bytes), and what the vault is known to hold afterwards."""

    gone: tuple[int, ...]
    delete: tuple[tuple[str, int], ...]
    archives: tuple[StoredArchive, ...]
    blobs: tuple[StoredBlob, ...]

    @property
    def bytes(self) -> int:
        """Bytes that become free."""
        return sum(size for _, size in self.delete)


def kept_points(
    archives: Sequence[StoredArchive], policy: Retention, at: datetime
) -> frozenset[int]:
    """Return the sequences of the points that the policy keeps.

    As restic does: the newest of each of the last n days, weeks (ISO), months and years that
    have a point, and the last n; younger than `min_age` stays. The newest point always stays.
    """
    ordered = sorted(archives, key=lambda archive: archive.sequence, reverse=True)
    times = {archive.sequence: _time(archive, at) for archive in ordered}
    kept = {archive.sequence for archive in ordered[: max(1, policy.keep_last)]}
    kept |= {a.sequence for a in ordered if at - times[a.sequence] < policy.age}
    for key, bucket in _BUCKETS:
        seen: list[object] = []
        for archive in ordered:
            found = bucket(times[archive.sequence])
            if found in seen[-1:]:
                continue
            if len(seen) == getattr(policy, key):
                break
            seen.append(found)
            kept.add(archive.sequence)
    return frozenset(kept)


def _time(archive: StoredArchive, at: datetime) -> datetime:
    # A time that nobody can read is taken as now: too long kept is better than too short.
    try:
        moment = parse_rfc3339(archive.time) if archive.time else at
    except ValueError:
        return at
    return min(moment, at + timedelta(days=1))


def plan(point: VaultPoint, policy: Retention, at: datetime) -> Plan:
    """Say what the policy lets go of a vault; nothing of the newest point ever goes.

    Pictures go when no kept point is older than the archive that first did without them. What is
    not known to be this account's is no point of it, and never goes.
    """
    if point.last is None:
        return Plan((), (), point.archives, point.blobs)
    complete = _points(point)
    kept = kept_points(complete, policy, at) | {point.last.sequence}
    foreign = {archive.sequence for archive in point.archives if archive.foreign}
    needed = {*kept, *foreign}
    for archive in point.archives:
        if archive.sequence in needed:
            needed.update(archive.needs)
    stays = tuple(a for a in point.archives if a.sequence in needed)
    oldest = min(kept)
    gone_blobs = [b for b in point.blobs if b.gone and b.gone <= oldest and not b.foreign]
    blobs = tuple(b for b in point.blobs if b not in gone_blobs)
    vault = vault_of(point.last.name) or ""
    delete = [(a.name, a.size) for a in point.archives if a.sequence not in needed]
    delete += [(blob_name(vault, b.digest), b.size) for b in gone_blobs]
    gone = tuple(a.sequence for a in complete if a.sequence not in kept)
    return Plan(gone, tuple(delete), stays, blobs)


def _points(point: VaultPoint) -> list[StoredArchive]:
    """Return the archives that are whole points: what they stand on is known to be there."""
    there = {archive.sequence for archive in point.archives}
    return [
        archive
        for archive in point.archives
        if not archive.foreign and there.issuperset(archive.needs)
    ]
