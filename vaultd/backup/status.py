"""Where every enrolled account stands, target by target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from vaultd.backup.accounts.sharing import shared_sentence
from vaultd.backup.counting import rooms
from vaultd.backup.user_targets.failures import OwnFailure, failure
from vaultd.clock import now, parse_rfc3339
from vaultd.config import OWN, Config
from vaultd.state.store import State


@dataclass(slots=True)
class AccountStatus:
    """One account: its newest point (RFC 3339) per target, None where there is none, and the
    reason of the last failure, empty when the last run went well; `own` where its own target
    fails."""

    username: str
    handle: str
    vault: str
    newest: dict[str, str | None]
    records: int = 0
    reason: str = ""
    sequences: dict[str, int] = field(default_factory=dict)
    own: OwnFailure | None = None

    def document(self) -> dict[str, object]:
        """Return the account as `vaultd status --json` prints it."""
        return {
            "username": self.username,
            "handle": self.handle,
            "vault": self.vault,
            "records": self.records,
            "newest": self.newest,
            "age_seconds": {target: _age(at) for target, at in self.newest.items()},
            "sequences": self.sequences,
            "reason": self.reason,
            "own": None if self.own is None else asdict(self.own),
        }


def _age(at: str | None) -> int | None:
    return None if at is None else int((now() - parse_rfc3339(at)).total_seconds())


def account_statuses(state: State, targets: Sequence[str]) -> list[AccountStatus]:
    """Return every enrolled account's status, by name.

    An account with a target of its own has that among its targets, or alone.
    """
    rows = {row.guid: row for row in state.own_targets.all()}
    found: dict[str, AccountStatus] = {}
    for e in state.enrollments():
        row = rows.get(e.guid)
        names = dict.fromkeys(_targets(targets, None if row is None else row.only))
        trouble = None if row is None else failure(row)
        found[e.username] = AccountStatus(e.username, e.handle, e.vault_id, names, own=trouble)
    for vault in state.vaults.summaries():
        status = found[vault.username]
        status.newest[vault.target] = vault.last_at
        status.sequences[vault.target] = vault.last_sequence
        status.records = max(status.records, vault.records)
    for result in state.journal.results():
        if result.username in found and result.status == "failed":
            found[result.username].reason = result.reason
    for usernames in state.shared_vaults().values():
        for username in usernames:
            found[username].reason = found[username].reason or shared_sentence(usernames)
    return list(found.values())


def _targets(pods: Sequence[str], only: bool | None) -> Sequence[str]:
    if only is None:
        return pods
    return (OWN,) if only else (*pods, OWN)


def target_statuses(config: Config, state: State) -> list[dict[str, object]]:
    """Return what is known of each target's room, as `vaultd status --json` prints it."""
    return [
        {
            "target": room.target,
            "free": room.space.free,
            "total": room.space.total,
            "asked_at": room.asked_at,
            "low": room.low,
            "new_vaults": not room.tight,
            "sentence": room.sentence,
        }
        for room in rooms(config, state.tallies.all())
    ]
