"""Forgetting: what retention lets go is noted, deleted, and only then out of mind.

Nothing is deleted from a vault unless the newest point and all that the kept points stand on are
seen to be there. A deletion that a target refuses (a lock) or that a kill cuts off is repeated
at a later turn. Runs and forgetting hold the same state lock, so they never race.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from vaultd.backends.base import Backend
from vaultd.backup.lane import Lane
from vaultd.backup.own_targets import OwnPlaces
from vaultd.backup.retention import Plan, plan
from vaultd.backup.workbench import Workbench
from vaultd.clock import now
from vaultd.errors import PlaceError
from vaultd.state.points import VaultPoint
from vaultd.state.store import Enrollment, State
from vaultd.state.vaults import VaultKey
from vaultd.vault.layout import vault_of


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One vault's retention: points gone (sequences), objects and bytes deleted or to be."""

    username: str
    target: str
    points: tuple[int, ...]
    objects: tuple[str, ...]
    bytes: int


@dataclass(slots=True)
class ForgetReport:
    """`vaults` lists only those where something goes; `problems` say what could not be done."""

    vaults: list[Forgotten] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def forget(
    bench: Workbench,
    targets: Mapping[str, Backend],
    usernames: Collection[str] | None = None,
    *,
    own: OwnPlaces | None = None,
    dry_run: bool = False,
) -> ForgetReport:
    """Apply retention to these enrolled accounts (or all); with `dry_run` only say what goes.

    The caller holds the state lock. One vault's trouble stops no other.
    """
    report = ForgetReport()
    enrollments = bench.state.enrollments(usernames)
    points = bench.state.vaults.points([each.id for each in enrollments])
    waiting = bench.state.doomed.pending([each.id for each in enrollments])
    for each in enrollments:
        with own.joined([each], targets, every=True) if own else nullcontext(targets) as places:
            for target, backend in places.items():
                point = points.get((each.id, target))
                if point is None or point.last is None:
                    continue
                pending = waiting.get((each.id, target), ())
                _forget(bench, (each, target, backend), (point, pending), report, dry_run=dry_run)
    return report


def _forget(
    bench: Workbench,
    vault: tuple[Enrollment, str, Backend],
    known: tuple[VaultPoint, Collection[str]],
    report: ForgetReport,
    *,
    dry_run: bool,
) -> None:
    (each, target, backend), (point, pending) = vault, known
    key = (each.id, target)
    found = plan(point, bench.retention, now())
    names = (*(name for name, _ in found.delete), *pending)
    if not names:
        return
    report.vaults.append(Forgotten(each.username, target, found.gone, names, found.bytes))
    if dry_run:
        return
    try:
        there = {item.name for item in backend.list(f"{each.vault_id}/0")}
        if strangers := there - {archive.name for archive in point.archives} - set(pending):
            report.problems.append(
                f"{each.username}, {target}: {min(strangers)} is not of this state (another "
                "machine wrote it, or the state is an old one); nothing is deleted. The next "
                "`vaultd backup` of the account takes note of it."
            )
            return
        _carry_out(bench.state, (key, backend), point, found, there)
        _bury(bench.state, key, backend)
    except PlaceError as error:
        report.problems.append(f"{each.username}, {target}: {error}")


def retire(bench: Workbench, targets: Mapping[str, Backend], lanes: Sequence[Lane]) -> None:
    """Apply retention to the vaults that these lanes wrote to; what fails waits for later."""
    if not bench.retention.enabled:
        return
    busy: list[tuple[VaultKey, Backend]] = []
    for lane in lanes:
        if lane.archive is None or lane.error is not None:
            continue
        key = (lane.enrollment.id, lane.target)
        point = lane.next_point(lane.archive, lane.point.records)
        found = plan(point, bench.retention, now())
        if found.delete:
            there = {*lane.seen, lane.archive.name}
            if _carry_out(bench.state, (key, lane.backend), point, found, there):
                busy.append((key, lane.backend))
        elif key in bench.doomed:
            busy.append((key, targets[lane.target]))
    bench.at_once(lambda item: _try_bury(bench.state, *item), busy)


def _carry_out(
    state: State,
    vault: tuple[VaultKey, Backend],
    point: VaultPoint,
    found: Plan,
    there: Collection[str],
) -> bool:
    """Note what goes; False where something that must stay is not seen to be there."""
    if any(a.name not in there for a in found.archives if not a.bad and _live(a.sequence, point)):
        return False
    state.doomed.doom(vault[0], found.archives, found.blobs, found.delete)
    return True


def _live(sequence: int, point: VaultPoint) -> bool:
    return any(archive.sequence == sequence for archive in point.live)


def _bury(state: State, key: VaultKey, backend: Backend) -> None:
    if key in state.vaults.staged([key[0]]):
        return  # an archive whose arrival is unknown may refer to anything
    names = state.doomed.pending([key[0]]).get(key, [])
    for name in safe_to_delete(names, state.vaults.point(*key)):
        backend.delete(name)
    state.doomed.buried(key, names)


def _try_bury(state: State, key: VaultKey, backend: Backend) -> PlaceError | None:
    try:
        _bury(state, key, backend)
    except PlaceError as error:
        return error  # the rows stay, and so does the wish
    return None


def safe_to_delete(names: Iterable[str], point: VaultPoint | None) -> list[str]:
    """Return the given-up objects that nothing came to need again meanwhile."""
    if point is None or point.last is None:
        return []
    needed = {archive.name for archive in point.archives}
    vault = vault_of(point.last.name)
    needed |= {f"{vault}/blob-{blob.digest.hex()}" for blob in point.blobs}
    return [name for name in names if name not in needed]
