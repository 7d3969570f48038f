"""What an account that gets another recipient, or none, leaves behind, and what is said of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from vaultd.clock import now, parse_rfc3339, rfc3339
from vaultd.config import OWN, Config, duration
from vaultd.errors import UsageError
from vaultd.state.store import Enrollment, State
from vaultd.state.vaults.old_vaults import OldVault


def left_behind(
    state: State,
    old: Enrollment,
    targets: Collection[str],
    *,
    erase: bool,
    replaced: bool,
) -> list[OldVault]:
    """Return what an account leaves on each target: those of the config and those it was on."""
    at = rfc3339(now())
    return [
        OldVault(
            old.vault_id,
            target,
            old.username,
            old.guid,
            old.handle,
            escrow=old.escrow is not None,
            due=erase,
            replaced=replaced,
            since=at,
        )
        for target in sorted({*targets, *state.targets_of(old)})
    ]


def unenroll(
    state: State, username: str, targets: Collection[str], *, erase: bool
) -> list[OldVault]:
    """Stop backing an account up; with `erase` all its vaults are to be erased.

    No policy enrols it again. It may be unenrolled already: then only the wish to erase is noted.
    Returns what is known of its vaults. Raises UsageError for an account that never was enrolled,
    and where another account shares the vault that is to be erased.
    """
    for each in state.enrollments([username]):
        others = [o.username for o in state.of_vault(each.vault_id) if o.guid != each.guid]
        if erase and others:
            raise UsageError(
                f"{username} shares its vault with {others[0]}, whose backup would be erased, too.",
                hint=f"Part them first: `vaultd enroll {others[0]} --recipient vault1…` with a "
                "second kit.",
            )
        _settle(state, each)
        left = left_behind(state, each, targets, erase=erase, replaced=False)
        if not erase:
            # Without its credentials nobody here can reach a user's own place any more.
            left = [old for old in left if old.target != OWN]
            state.own_targets.remove(each.guid, OWN)
        state.unenroll(each, left)
    known = state.old_vaults.of_account(username)
    if not known:
        raise UsageError(f"{username[:60]} is not enrolled, and has left no vault here.")
    if erase:
        state.old_vaults.save(
            [replace(each, due=True, replaced=False) for each in known if each.done_at is None]
        )
    return state.old_vaults.of_account(username)


def _settle(state: State, each: Enrollment) -> None:
    """An account that goes has no present vault any more for which its older ones could wait."""
    points = state.vaults.points([each.id])
    settled = []
    for old in state.old_vaults.of_account(each.username):
        if old.pending and old.replaced:
            point = points.get((each.id, old.target))
            whole = point is not None and point.last is not None
            settled.append(replace(old, replaced=False, due=whole))
    state.old_vaults.save(settled)


@dataclass(frozen=True, slots=True)
class Leaving:
    """An old vault as it is shown: `until` (RFC 3339) is when its lock ends at the latest."""

    old: OldVault
    until: str | None
    sentence: str

    def document(self) -> dict[str, object]:
        """Return it as the JSON documents have it (docs/operations.md)."""
        return {
            "username": self.old.username,
            "vault": self.old.vault_id,
            "target": self.old.target,
            "podmin_can_read": self.old.escrow and self.old.done_at is None,
            "since": self.old.since,
            "until": self.until,
            "objects": self.old.objects,
            "bytes": self.old.bytes,
            "erased_at": self.old.done_at,
            "reason": self.old.result,
            "sentence": self.sentence,
        }


def leaving(config: Config, olds: Sequence[OldVault]) -> list[Leaving]:
    """Say of old vaults what becomes of them, and how long the podmin's words open them."""
    return [_leaving(config, each) for each in olds]


def _leaving(config: Config, each: OldVault) -> Leaving:
    where = f"{each.username}, {each.target}: the vault {each.vault_id[:8]}…"
    if each.done_at is not None:
        what = f"was erased at {each.done_at} ({each.objects:,} objects, {each.bytes:,} bytes)"
        return Leaving(each, None, f"{where} {what}.")
    reads = "; the podmin's words open it until then" if each.escrow else ""
    if not each.due:
        reads = "; the podmin's words open it" if each.escrow else ""
        return Leaving(each, None, f"{where}, left at {each.since}, stays{reads}.")
    until = each.locked_until or _lock_ends(config, each)
    if each.replaced and not each.tried_at:
        when = "is erased when the new vault is whole there"
    else:
        when = "is to be erased"
    if until is not None:
        when += f", where objects are locked until {until} at the latest"
    why = f" It could not be yet: {each.result}" if each.result else ""
    return Leaving(each, until, f"{where} {when}{reads}.{why}")


def _lock_ends(config: Config, each: OldVault) -> str | None:
    """Whatever the vault holds was locked before it was left."""
    target = config.targets.get(each.target)
    if target is None or not target.lock:
        return None
    period = duration(target.lock_period, f"targets.{each.target}.lock_period")
    # A target locks whole days, and one of its clocks may be ahead.
    end = parse_rfc3339(each.since) + period + timedelta(days=1)
    return rfc3339(end) if end > now() else None
