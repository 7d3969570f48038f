"""Erasing vaults that accounts left behind: noted first, looked at, deleted, looked at again.

A user who claims a kit leaves a vault that the podmin's words open: it goes, target by target, once
the new vault is whole there. What a target refuses (away, locked) or a kill cuts off is done at a
later run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from vaultd.backends.base import Backend
from vaultd.backup.report import unexpected
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.clock import now, parse_rfc3339, rfc3339
from vaultd.config import OWN
from vaultd.errors import ObjectLocked, PlaceBusy, PlaceError, VaultdError
from vaultd.state.store import Enrollment, State
from vaultd.state.vaults.old_vaults import OldVault

RECEIPTS: Final = timedelta(days=30)  # so long it can be asked what was erased
_MANY: Final = 100  # deletions that fail, after which the target is in trouble, not its objects


@dataclass(slots=True)
class Erased:
    """What one pass did: old vaults erased now, and those that are still there and why."""

    done: list[OldVault] = field(default_factory=list)
    failed: list[OldVault] = field(default_factory=list)


def erase_old_vaults(
    state: State,
    targets: Mapping[str, Backend],
    own: OwnPlaces,
    *,
    guid: str | None = None,
    again_after: timedelta = timedelta(),
    should_stop: Callable[[], bool] = lambda: False,
) -> Erased:
    """Erase what is due and can go now, of all accounts or one; the caller holds the state lock.

    One vault's trouble stops no other; a target that is away is not asked again. What was tried
    less than `again_after` ago waits.
    """
    report = Erased()
    state.old_vaults.forget_erased(now() - RECEIPTS)
    pending = [each for each in state.old_vaults.pending() if guid in (None, each.guid)]
    if not pending:
        return report
    enrolled = {each.guid: each for each in state.enrollments()}
    in_use = {each.vault_id: each.username for each in enrolled.values()}
    everything = state.old_vaults.all()
    away: dict[str, str] = {}
    for each in pending:
        if should_stop():
            break
        if _waits(each, again_after):
            continue
        why = _kept(each, in_use, everything) or away.get(each.target, "")
        after = each
        if not why:
            try:
                with _place(each, targets, own) as backend:
                    if each.replaced and not _is_whole(
                        state, enrolled.get(each.guid), each, backend
                    ):
                        continue
                    after = _erase(each, backend)
            except PlaceBusy as error:
                why = str(error)
                if each.target != OWN:
                    away[each.target] = why
            except VaultdError as error:
                why = str(error)
            except Exception as error:  # noqa: BLE001 - one vault's trouble is its own
                why = str(unexpected(error))
        after = replace(after, result=why or after.result, tried_at=rfc3339(now()))
        state.old_vaults.save([after])
        (report.failed if after.done_at is None else report.done).append(after)
        if after.done_at and after.target == OWN and after.guid not in enrolled:
            state.own_targets.remove(after.guid, OWN)
    return report


def _waits(each: OldVault, again_after: timedelta) -> bool:
    at = now()
    if each.locked_until is not None and parse_rfc3339(each.locked_until) > at:
        return True
    return (
        each.tried_at is not None and timedelta() <= at - parse_rfc3339(each.tried_at) < again_after
    )


def _kept(each: OldVault, in_use: Mapping[str, str], everything: Collection[OldVault]) -> str:
    """Say why a vault may not be erased at all; empty when it may."""
    if each.vault_id in in_use:
        return f"{in_use[each.vault_id]} is enrolled to this vault."
    for other in everything:
        if other.vault_id == each.vault_id and other.guid != each.guid and not other.due:
            return (
                f"It holds archives of {other.username}, too, who was enrolled with the same "
                f"recipient: `vaultd unenroll {other.username} --erase` agrees to it."
            )
    return ""


@contextmanager
def _place(each: OldVault, targets: Mapping[str, Backend], own: OwnPlaces) -> Iterator[Backend]:
    """Give the target that a vault lies on: a user's own also after the user was unenrolled."""
    if each.target != OWN:
        if each.target not in targets:
            raise PlaceError(
                f"{each.target} is not among the targets of the config any more.",
                hint="Put it back until this vault is erased.",
            )
        yield targets[each.target]
        return
    owner = Enrollment(
        0, each.username, each.guid, each.handle, "", each.vault_id, b"", None, each.since
    )
    if owner not in own:
        raise PlaceError(
            f"{each.username}'s own target is not known any more.",
            hint="Only its owner can delete what lies there.",
        )
    with own.joined([owner], targets, every=True) as places:
        yield places[OWN]


def _is_whole(
    state: State, enrollment: Enrollment | None, each: OldVault, backend: Backend
) -> bool:
    """Tell whether the account's present vault is whole on this target: the place is asked."""
    if enrollment is None:
        return False
    key = (enrollment.id, each.target)
    point = state.vaults.point(*key)
    if point is None or point.last is None or key in state.vaults.staged([enrollment.id]):
        return False
    there = {item.name: item.size for item in backend.list(f"{enrollment.vault_id}/")}
    blobs = {f"{enrollment.vault_id}/blob-{b.digest.hex()}": b for b in point.blobs if not b.gone}
    return all(not a.bad and there.get(a.name) == a.size for a in point.live) and all(
        not blob.bad and there.get(name) == blob.size for name, blob in blobs.items()
    )


def _erase(each: OldVault, backend: Backend) -> OldVault:
    """Delete all of a vault, the sealed secret first; return what is to be noted of it.

    Raises PlaceError when the place cannot be asked, or shows objects that it said it deleted.
    """
    objects, size, left = 0, 0, 0
    first: PlaceError | None = None
    until: datetime | None = None
    for name, length in sorted(
        ((item.name, item.size) for item in backend.list(f"{each.vault_id}/")),
        key=lambda item: ("/escrow-" not in item[0], item[0]),
    ):
        try:
            backend.delete(name)
        except PlaceBusy:
            raise
        except PlaceError as error:
            left += 1
            first = first or error
            if isinstance(error, ObjectLocked):
                until = max(until or error.until, error.until)
            elif left > _MANY:
                raise
            continue
        objects, size = objects + 1, size + length
    after = replace(each, objects=each.objects + objects, bytes=each.bytes + size, result="")
    if first is not None:
        locked = None if until is None else rfc3339(until)
        return replace(after, result=str(first), locked_until=locked)
    rest = sorted(item.name for item in backend.list(f"{each.vault_id}/"))
    if rest:
        return replace(after, result=f"{rest[0]} is still there, although its deletion went well.")
    return replace(after, done_at=rfc3339(now()), locked_until=None)
