"""Catching up: a target that was away gets what it missed from a sibling, as ciphertext.

The vault is then at the sibling's point, with all its history, and the next archive is one
object for both. Where that does not work the account is packed for the target from the source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from vaultd.backends.base import Backend, ObjectInfo
from vaultd.backup.copying import copy_objects
from vaultd.backup.engine.context import RunContext
from vaultd.backup.engine.open_vaults import Standing
from vaultd.backup.report import unexpected
from vaultd.config import OWN
from vaultd.errors import PlaceError
from vaultd.state.store import Enrollment
from vaultd.state.vaults.points import NOTHING, VaultPoint
from vaultd.vault.layout import blob_name, parse_archive_name

_SEALED: Final = 16  # a vault has one sealed secret; whoever lists many makes others store them


@dataclass(frozen=True, slots=True)
class _Gap:
    """A vault that lags behind the same account's vault on another target."""

    enrollment: Enrollment
    ahead: str
    behind: str
    point: VaultPoint


def catch_up(
    context: RunContext,
    targets: Mapping[str, Backend],
    enrollments: Sequence[Enrollment],
    standing: Standing,
) -> dict[int, list[str]]:
    """Copy what vaults of these accounts lack; return notes for those that stand elsewhere now,
    by the id of the enrolment."""
    gaps = [gap for each in enrollments for gap in _gaps(each, targets, standing)]
    notes: dict[int, list[str]] = {}
    done = context.at_once(lambda gap: _close(context, targets, gap), gaps)
    for gap, note in zip(gaps, done, strict=True):
        if note:
            notes.setdefault(gap.enrollment.id, []).append(
                f"{gap.behind}: it lagged behind; {note}"
            )
    return notes


def _gaps(each: Enrollment, targets: Mapping[str, Backend], standing: Standing) -> list[_Gap]:
    points = {name: standing.points.get((each.id, name), NOTHING) for name in targets}
    # What a user's own server holds is not passed on to the pod's targets.
    whole = {
        name: p for name, p in points.items() if name != OWN and p.last is not None and not _bad(p)
    }
    if len(targets) < 2 or not whole:
        return []
    ahead = max(whole, key=lambda name: (whole[name].sequence, name))
    point = whole[ahead]
    names = {archive.name for archive in point.archives}
    return [
        _Gap(each, ahead, name, point)
        for name, other in points.items()
        if name != ahead
        and (each.id, name) not in standing.staged
        and (each.id, ahead) not in standing.staged
        and other.sequence < point.sequence
        # Only a vault that went the same way up to its point can go on the same way.
        and names.issuperset(archive.name for archive in other.archives)
    ]


def _bad(point: VaultPoint) -> bool:
    return any(a.bad for a in point.archives) or any(b.bad for b in point.blobs)


def _close(context: RunContext, targets: Mapping[str, Backend], gap: _Gap) -> str:
    """Return what was done, empty where nothing was."""
    vault = gap.enrollment.vault_id
    source, target = targets[gap.ahead], targets[gap.behind]
    wanted = [ObjectInfo(a.name, a.size) for a in gap.point.archives]
    wanted += [ObjectInfo(blob_name(vault, b.digest), b.size) for b in gap.point.blobs]
    known = {item.name for item in wanted}
    try:
        there = {item.name: item.size for item in target.list(f"{vault}/")}
        given_up = context.given_up(gap.enrollment.id, gap.behind)
        strangers = [
            name
            for name in there
            if parse_archive_name(name) is not None and name not in known | given_up
        ]
        if strangers:
            return ""  # another writer's: opening the vault tells
        if not any(parse_archive_name(name) for name in there):
            context.rooms.check_new(gap.behind, target)
        listed = islice(source.list(f"{vault}/escrow-"), _SEALED)
        sealed = [item for item in listed if item.name not in there]
        report = copy_objects(source, target, [*sealed, *wanted], there, pod=context.pod_key.public)
    except PlaceError:
        return ""  # the vault finds the same trouble, and tells
    except Exception as error:  # noqa: BLE001 - one target's trouble is its own
        return f"what it lacks could not be copied from {gap.ahead}. {unexpected(error)}"
    vaults = context.state.vaults
    if report.problems:
        if report.last_sequence:
            # What arrived is ours: the next archive goes beyond it, and stands on its own.
            vaults.restart(gap.enrollment.id, gap.behind, report.last_sequence)
        return f"what it lacks could not be copied from {gap.ahead} ({report.problems[0]})"
    vaults.adopt(gap.enrollment.id, gap.behind, gap.ahead)
    what = "1 object was" if report.objects == 1 else f"{report.objects} objects were"
    return f"{what} copied from {gap.ahead}."
