"""Forgetting: what retention lets go is noted, deleted, and only then out of mind.

Nothing is deleted from a vault unless the newest point and all that the kept points stand on are
seen to be there. A deletion that a target refuses (a lock) or that a kill cuts off is repeated
at a later turn. Runs and forgetting hold the same state lock, so they never race. In a vault of
several accounts nothing is deleted at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from vaultd.backends.base import Backend
from vaultd.backup.engine.context import RunContext
from vaultd.backup.engine.retention import Plan, plan
from vaultd.backup.engine.vault_run import VaultRun
from vaultd.backup.report import unexpected
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.clock import now
from vaultd.config import OWN
from vaultd.errors import VaultdError
from vaultd.state.store import Enrollment
from vaultd.state.vaults.pending_deletions import GivenUp
from vaultd.state.vaults.points import VaultPoint
from vaultd.state.vaults.vaults import VaultKey
from vaultd.vault.layout import vault_of


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One vault's retention: points let go (sequences), the objects that only they need, and of
    these the number that were `deleted`, with their `bytes` (with a dry run: would be).

    `waits` says why the others are still there; they are asked for again later.
    """

    username: str
    target: str
    points: tuple[int, ...]
    objects: tuple[str, ...]
    deleted: int
    bytes: int
    waits: str = ""


@dataclass(slots=True)
class ForgetReport:
    """`vaults` lists only those where something goes; `problems` say what could not be done,
    `notes` what at users' own targets."""

    vaults: list[Forgotten] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def forget(
    context: RunContext,
    targets: Mapping[str, Backend],
    usernames: Collection[str] | None = None,
    *,
    own: OwnPlaces | None = None,
    dry_run: bool = False,
) -> ForgetReport:
    """Apply retention to these enrolled accounts (or all); with `dry_run` only say what goes.

    The caller holds the state lock. One vault's trouble stops no other; users' own targets that
    fail are left to runs.
    """
    report = ForgetReport()
    enrollments = context.state.enrollments(usernames)
    points = context.state.vaults.points([each.id for each in enrollments])
    waiting = context.state.pending_deletions.pending([each.id for each in enrollments])
    for each in enrollments:
        with (
            own.joined([each], targets, every=True, rest=own.left_to_runs(each))
            if own
            else nullcontext(targets)
        ) as places:
            for target, backend in places.items():
                point = points.get((each.id, target))
                if point is None or point.last is None:
                    continue
                pending = waiting.get((each.id, target), ())
                try:
                    _forget(
                        context, (each, target, backend), (point, pending), report, dry_run=dry_run
                    )
                except VaultdError as error:
                    mild = target == OWN and own and own.tolerated(each, error)
                    told = report.notes if mild else report.problems
                    told.append(f"{each.username}, {target}: {error}")
    if own:
        own.save()
    return report


def _forget(
    context: RunContext,
    vault: tuple[Enrollment, str, Backend],
    known: tuple[VaultPoint, Collection[str]],
    report: ForgetReport,
    *,
    dry_run: bool,
) -> None:
    (each, target, backend), (point, pending) = vault, known
    key = (each.id, target)
    found = plan(point, context.retention, now())
    sizes = dict(found.delete)
    names = tuple(dict.fromkeys((*sizes, *pending)))
    if not names:
        return

    def told(deleted: Collection[str], waits: str = "") -> None:
        size = sum(sizes.get(name, 0) for name in deleted)
        report.vaults.append(
            Forgotten(each.username, target, found.gone, names, len(deleted), size, waits)
        )

    if dry_run:
        told(names)
        return
    there = {item.name for item in backend.list(f"{each.vault_id}/0")}
    if strangers := there - {archive.name for archive in point.archives} - set(pending):
        report.problems.append(
            f"{each.username}, {target}: {min(strangers)} is not of this state (another "
            "machine wrote it, or the state is an old one); nothing is deleted. The next "
            "`vaultd backup` of the account takes note of it."
        )
        told((), "the vault holds what is not of this state")
        return
    if given_up := _given_up(key, point, found, there):
        context.state.pending_deletions.add([given_up])
    buried = _bury(context, {key: backend}).get(key, _Buried(()))
    why = "" if len(buried.deleted) == len(names) else "something that must stay is not seen there"
    told(buried.deleted, str(buried.error) if buried.error is not None else why)
    if buried.error is not None:
        raise buried.error


def retire(context: RunContext, targets: Mapping[str, Backend], vaults: Sequence[VaultRun]) -> None:
    """Apply retention to the vaults that these vaults wrote to; what fails waits for later."""
    if not context.retention.enabled:
        return
    gone: list[GivenUp] = []
    busy: dict[VaultKey, Backend] = {}
    for vault in vaults:
        if vault.archive is None or vault.error is not None:
            continue
        if vault.enrollment.vault_id in context.shared:
            continue
        key = (vault.enrollment.id, vault.target)
        point = vault.next_point(vault.archive, vault.point.records)
        found = plan(point, context.retention, now())
        if found.delete:
            given_up = _given_up(key, point, found, {*vault.seen, vault.archive.name})
            if given_up is not None:
                gone.append(given_up)
                busy[key] = vault.backend
        elif key in context.pending_deletions:
            busy[key] = targets[vault.target]
    if gone:
        context.state.pending_deletions.add(gone)
    _bury(context, busy)


def _given_up(
    key: VaultKey, point: VaultPoint, found: Plan, there: Collection[str]
) -> GivenUp | None:
    """Return what goes; None where something that must stay is not seen to be there."""
    if any(a.name not in there for a in found.archives if not a.bad and _live(a.sequence, point)):
        return None
    return GivenUp(key, found.delete, found.archives, found.blobs)


def _live(sequence: int, point: VaultPoint) -> bool:
    return any(archive.sequence == sequence for archive in point.live)


@dataclass(frozen=True, slots=True)
class _Buried:
    """What was deleted of a vault, and what stopped it."""

    deleted: Sequence[str]
    error: VaultdError | None = None


def _bury(context: RunContext, vaults: Mapping[VaultKey, Backend]) -> dict[VaultKey, _Buried]:
    """Delete what these vaults gave up; what a place refuses stays a wish, and its error is told.

    A vault with an archive whose arrival is unknown waits: that one may refer to anything.
    """
    state, accounts = context.state, {account for account, _ in vaults}
    staged, pending = state.vaults.staged(accounts), state.pending_deletions.pending(accounts)
    names = {key: pending[key] for key in vaults if key in pending and key not in staged}
    points = state.vaults.points({account for account, _ in names})

    def delete(key: VaultKey) -> _Buried:
        deleted: list[str] = []
        try:
            for name in safe_to_delete(names[key], points.get(key)):
                vaults[key].delete(name)
                deleted.append(name)
        except VaultdError as error:
            return _Buried(deleted, error)
        except Exception as error:  # noqa: BLE001 - one target's trouble is its own
            return _Buried(deleted, unexpected(error))
        return _Buried(deleted)

    found = dict(zip(names, context.at_once(delete, names), strict=True))
    state.pending_deletions.done(
        {key: some for key, some in names.items() if found[key].error is None}
    )
    return found


def safe_to_delete(names: Iterable[str], point: VaultPoint | None) -> list[str]:
    """Return the given-up objects that nothing came to need again meanwhile."""
    if point is None or point.last is None:
        return []
    needed = {archive.name for archive in point.archives}
    vault = vault_of(point.last.name)
    needed |= {f"{vault}/blob-{blob.digest.hex()}" for blob in point.blobs}
    return [name for name in names if name not in needed]
