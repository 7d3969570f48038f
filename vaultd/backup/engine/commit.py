"""Committing archives: the one order that makes a kill harmless.

Look at the places, note all points as staged, create the archives, note the points as the
vaults'. Whether a staged archive arrived is asked of its place at the account's next turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from vaultd.backup.engine.context import Workbench
from vaultd.backup.engine.packer import Commit
from vaultd.backup.engine.vault_run import Lane, StartOverError
from vaultd.backup.report import unexpected
from vaultd.errors import ObjectExists, VaultdError


def commit(bench: Workbench, commits: Sequence[Commit]) -> list[tuple[Lane, str]]:
    """Make these archives the newest points of their vaults, several places at a time.

    Returns the lanes whose account must be read again, and why; a lane whose place fails has its
    `error`. Raises what the state raises.
    """
    if not commits:
        return []
    again: list[tuple[Lane, str]] = []
    lanes = [lane for each in commits for lane in each.lanes]
    for lane, found in zip(lanes, bench.at_once(_look, lanes), strict=True):
        if isinstance(found, StartOverError):
            again.append((lane, str(found)))
        elif found is not None:
            lane.fail(found)
    left_out = {id(lane) for lane, _ in again}
    open_lanes = [
        (each, tuple(x for x in each.lanes if x.error is None and id(x) not in left_out))
        for each in commits
    ]
    bench.state.vaults.stage([each.staged(lane) for each, some in open_lanes for lane in some])
    bench.at_once(_create, open_lanes)
    arrived = [(each, lane) for each, some in open_lanes for lane in some if lane.error is None]
    bench.state.vaults.promote([(lane.enrollment.id, lane.target) for _, lane in arrived])
    for each, lane in arrived:
        lane.photos.dirty = False
        lane.archive, lane.changes = each.archive, each.changes
    return again


def _look(lane: Lane) -> StartOverError | VaultdError | None:
    try:
        lane.check_place()
    except (StartOverError, VaultdError) as error:
        return error
    except Exception as error:  # noqa: BLE001 - one account's trouble is its own
        return unexpected(error)
    return None


def _create(item: tuple[Commit, tuple[Lane, ...]]) -> None:
    each, lanes = item
    bench = each.packer.bench
    for lane in lanes:
        try:
            # The name carries the content's hash: where it exists, an earlier try of ours arrived.
            with suppress(ObjectExists):
                data = bench.pace.stream(each.packed.open())
                lane.backend.create(each.packed.name, data, each.packed.size)
        except VaultdError as error:
            lane.fail(error)
        except Exception as error:  # noqa: BLE001 - one account's trouble is its own
            lane.fail(unexpected(error))
    each.packer.close()
