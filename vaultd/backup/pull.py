"""Pulling an export into a vault of one's own: for users of a pod that has no vaultd."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from vaultd.backends.base import Backend
from vaultd.backup.accounts.enroll import enroll
from vaultd.backup.report import RunReport
from vaultd.backup.run.run import run_backup
from vaultd.config import build
from vaultd.keys import PodKey, Secrets, owner_signing_seed
from vaultd.sources.export.source import ExportFileSource
from vaultd.state.lock import StateLock
from vaultd.state.store import State

PLACE: Final = "place"


def pull(
    source: ExportFileSource,
    secret: bytes,
    place: Backend,
    place_url: str,
    state_path: Path,
) -> RunReport:
    """Back the export's one account up into the vault of a kit's secret; what is there already is
    not stored again.

    The archives are signed by a key of the same secret. `state_path` remembers what the vault
    holds; when it is lost, the next archive is a whole one.
    Raises LockedError, PlaceError, and what enrolment raises.
    """
    (account,) = source.accounts()
    config = build(
        {
            "pod": {
                "url": f"https://{account.handle.partition('@')[2]}/",
                "database": "sqlite://",  # there is none: the export is the source
                "uploads": str(state_path),
            },
            "state": {"path": str(state_path)},
            "targets": {PLACE: {"url": place_url}},
        },
        {},
    )
    key = PodKey(owner_signing_seed(secret))
    recipient = Secrets.from_secret(secret).recipient
    state_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with StateLock(state_path):
        state = State(state_path)
        enroll(state, source, account.username, recipient, targets=(PLACE,))
        return run_backup(config, state, source, {PLACE: place}, key)
