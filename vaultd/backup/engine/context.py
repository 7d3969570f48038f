"""What all accounts of a run share: state, keys, spool, bounds, and the pool of uploads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, TypeVar, cast

from vaultd.backup.engine.upload_limit import Uploads
from vaultd.backup.pace import Pace
from vaultd.backup.room import Rooms
from vaultd.config import Backup, Config, Retention
from vaultd.errors import ConfigError, PlaceFull
from vaultd.keys import PodKey
from vaultd.state.store import Enrollment, State
from vaultd.state.vaults.vaults import VaultKey

_IN_MEMORY: Final = 256 * 1024
_A = TypeVar("_A")
_B = TypeVar("_B")


@dataclass(slots=True, kw_only=True)
class RunContext:
    """`spool` is a folder that sees only ciphertext; small archives never touch it. `shared` are
    the vaults (ids) of several accounts: nothing is deleted in them.

    A task on `pool` never waits for another one there.
    """

    state: State
    pod_key: PodKey
    spool: Path
    what: Backup = field(default_factory=Backup)
    retention: Retention = field(default_factory=Retention)
    pool: ThreadPoolExecutor
    uploads: Uploads
    pace: Pace = field(default_factory=lambda: Pace(0))
    pending_deletions: dict[VaultKey, list[str]] = field(default_factory=dict)
    rooms: Rooms = field(default_factory=lambda: Rooms({}))
    shared: frozenset[str] = frozenset()

    def temporary(self) -> BinaryIO:
        """Return a nameless file, in the spool folder once it is large; raises PlaceFull."""
        try:
            return cast(
                BinaryIO, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(self.spool))
            )
        except OSError as error:
            raise spool_error(self.spool, error) from error

    def given_up(self, account: int, target: str) -> frozenset[str]:
        """Return the names of a vault's objects that retention gave up and may still be there."""
        return frozenset(self.pending_deletions.get((account, target), ()))

    def owner_tag(self, enrollment: Enrollment) -> bytes:
        """Return what marks an account's archives in its vault as its own (16 bytes)."""
        return self.pod_key.owner_tag(enrollment.vault_id, enrollment.guid)

    def at_once(self, step: Callable[[_A], _B], items: Iterable[_A]) -> list[_B]:
        """Do a step for each item, several at a time; results in the order of the items."""
        return list(self.pool.map(step, items))


def open_context(config: Config, state: State, pod_key: PodKey) -> RunContext:
    """Return what a run works with; raises ConfigError for an unusable spool folder."""
    spool = state.directory / "spool"
    try:
        spool.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"state.path: {spool} cannot be made ({error.strerror}).") from error
    pool = ThreadPoolExecutor(config.limits.uploads, thread_name_prefix="upload")
    return RunContext(
        state=state,
        pod_key=pod_key,
        spool=spool,
        what=config.backup,
        retention=config.retention,
        pace=Pace(config.limits.bytes_per_second),
        pool=pool,
        uploads=Uploads(pool, config.limits.uploads),
        pending_deletions=state.pending_deletions.pending(),
        rooms=Rooms(config.targets),
        shared=frozenset(state.shared_vaults()),
    )


def spool_error(spool: Path, error: OSError) -> PlaceFull:
    """Say that the spool folder is the trouble, not the target."""
    return PlaceFull(
        f"The spool folder {spool} cannot be written ({error.strerror}).",
        hint="Packing needs room for the largest archive in the state folder.",
    )
