"""Committing archives: the one order that makes a kill harmless.

Look at the places, note all points as staged, create the archives, note the points as the
vaults'. Whether a staged archive arrived is asked of its place at the account's next turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from vaultd.backup.engine.context import RunContext
from vaultd.backup.engine.packer import Commit
from vaultd.backup.engine.vault_run import StartOverError, VaultRun
from vaultd.backup.report import unexpected
from vaultd.errors import ObjectExists, VaultdError


def commit(context: RunContext, commits: Sequence[Commit]) -> list[tuple[VaultRun, str]]:
    """Make these archives the newest points of their vaults, several places at a time.

    Returns the vaults whose account must be read again, and why; a vault whose place fails has its
    `error`. Raises what the state raises.
    """
    if not commits:
        return []
    again: list[tuple[VaultRun, str]] = []
    vaults = [vault for each in commits for vault in each.vaults]
    for vault, found in zip(vaults, context.at_once(_look, vaults), strict=True):
        if isinstance(found, StartOverError):
            again.append((vault, str(found)))
        elif found is not None:
            vault.fail(found)
    left_out = {id(vault) for vault, _ in again}
    open_runs = [
        (each, tuple(x for x in each.vaults if x.error is None and id(x) not in left_out))
        for each in commits
    ]
    context.state.vaults.stage([each.staged(vault) for each, some in open_runs for vault in some])
    context.at_once(_create, open_runs)
    arrived = [(each, vault) for each, some in open_runs for vault in some if vault.error is None]
    context.state.vaults.promote([(vault.enrollment.id, vault.target) for _, vault in arrived])
    for each, vault in arrived:
        vault.photos.dirty = False
        vault.archive, vault.changes = each.archive, each.changes
    return again


def _look(vault: VaultRun) -> StartOverError | VaultdError | None:
    try:
        vault.check_place()
    except (StartOverError, VaultdError) as error:
        return error
    except Exception as error:  # noqa: BLE001 - one account's trouble is its own
        return unexpected(error)
    return None


def _create(item: tuple[Commit, tuple[VaultRun, ...]]) -> None:
    each, vaults = item
    context = each.packer.context
    for vault in vaults:
        try:
            # The name carries the content's hash: where it exists, an earlier try of ours arrived.
            with suppress(ObjectExists):
                data = context.pace.stream(each.packed.open())
                vault.backend.create(each.packed.name, data, each.packed.size)
        except VaultdError as error:
            vault.fail(error)
        except Exception as error:  # noqa: BLE001 - one account's trouble is its own
            vault.fail(unexpected(error))
    each.packer.close()
