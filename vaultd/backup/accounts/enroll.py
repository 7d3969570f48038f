"""Enrolment: which accounts are backed up, and to whom each is sealed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vaultd.backends.base import Backend
from vaultd.backup.accounts.escrow import store_escrow
from vaultd.backup.accounts.leaving import left_behind
from vaultd.errors import AccountError, ConfigError, PlaceError, UsageError
from vaultd.keys import Recipient, Secrets, generate_secret
from vaultd.sources.base import Source, SourceAccount
from vaultd.state.store import Enrollment, State
from vaultd.state.vaults.old_vaults import OldVault
from vaultd.vault.escrow import seal_secret

RECOVERY_FILE: Final = "recovery.recipient"


@dataclass(slots=True)
class EnrollReport:
    """What `enroll_all` did: new enrolments, accounts that were enrolled before, accounts left
    out and why (by username), those that were unenrolled, how many are closed, and notes on
    targets."""

    enrolled: list[Enrollment] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    opted_out: list[str] = field(default_factory=list)
    closed: int = 0
    notes: list[str] = field(default_factory=list)


def enroll(
    state: State,
    source: Source,
    username: str,
    recipient: Recipient,
    *,
    targets: Collection[str] = (),
    erase_old: bool = False,
) -> Enrollment:
    """Enrol one account to a recipient whose kit the user holds.

    The same recipient again changes nothing; another one starts a fresh vault at the next run.
    An old vault that the podmin's words open is erased on each target (`targets` are the
    config's) once the new one is whole there, one of a user's own kit only with `erase_old`.
    Raises UsageError for an account that is not there, and for a recipient that another account
    has: two in one vault would be each other's loss.
    """
    found = source.accounts([username])
    if not found:
        raise UsageError(
            f"There is no account {username!r} on this pod.",
            hint="Names are case-sensitive.",
        )
    account = found[0]
    if account.state == "incomplete":
        raise AccountError(incomplete_sentence(username))
    for old in state.enrollments([username]):
        if old.recipient == str(recipient) and old.guid == account.guid:
            return old
    vault = recipient.vault_id
    users = {each.guid: each.username for each in state.old_vaults.of_vault(vault)}
    users |= {each.guid: each.username for each in state.of_vault(vault)}
    users.pop(account.guid, None)
    if users:
        raise UsageError(
            f"{next(iter(users.values()))} is, or was, enrolled with this recipient, and each "
            "account needs its own.",
            hint=f"Make a second kit for {username} with `vaultd keygen --out FILE`.",
        )
    left: list[OldVault] = []
    before = state.of_person(account.guid, username)
    for old in before:
        if old.username == username and old.guid != account.guid:
            # Another person had this name: whose vault stays.
            left += left_behind(state, old, targets, erase=False, replaced=False)
        elif old.guid == account.guid and old.vault_id != recipient.vault_id:
            gone = erase_old or old.escrow is not None
            left += left_behind(state, old, targets, erase=gone, replaced=True)
    return state.enroll(
        username=username,
        guid=account.guid,
        handle=account.handle,
        recipient=str(recipient),
        vault_id=recipient.vault_id,
        left=left,
        replaces=[old.id for old in before],
    )


def enroll_all(
    state: State,
    source: Source,
    targets: Mapping[str, Backend],
    recovery: Recipient,
    *,
    only: Sequence[str] | None = None,
) -> EnrollReport:
    """Enrol every account (or `only` these) that is not enrolled yet, each with a secret in escrow.

    An account is enrolled once its sealed secret is on at least one target; the others get it
    with the account's first archive there. Closed accounts, and those that were unenrolled, are
    left out.
    """
    report = EnrollReport()
    known = {enrollment.username: enrollment for enrollment in state.enrollments(only)}
    accounts = source.accounts(only)
    out = state.opted_out([account.guid for account in accounts])
    for account in accounts:
        old = known.get(account.username)
        if old is not None and old.guid == account.guid:
            report.already.append(account.username)
        elif account.guid in out:
            report.opted_out.append(account.username)
        elif account.state == "closed":
            report.closed += 1
        elif account.state == "incomplete":
            report.failed[account.username] = incomplete_sentence(account.username)
        else:
            _enroll_one(state, account, targets, recovery, report)
    return report


def _enroll_one(
    state: State,
    account: SourceAccount,
    targets: Mapping[str, Backend],
    recovery: Recipient,
    report: EnrollReport,
) -> None:
    secret = generate_secret()
    recipient = Secrets.from_secret(secret).recipient
    sealed = seal_secret(recovery, account.handle, account.guid, secret)
    problems: list[str] = []
    for target, backend in targets.items():
        try:
            store_escrow(backend, recipient.vault_id, sealed)
        except PlaceError as error:
            problems.append(f"{target}: {error}")
    if len(problems) == len(targets):
        report.failed[account.username] = (
            f"{account.username} was not enrolled: its sealed secret is on no target. "
            + " ".join(problems)
        ).strip()
        return
    report.notes.extend(note for note in problems if note not in report.notes)
    old = [each for each in state.enrollments([account.username]) if each.guid != account.guid]
    report.enrolled.append(
        state.enroll(
            username=account.username,
            guid=account.guid,
            handle=account.handle,
            recipient=str(recipient),
            vault_id=recipient.vault_id,
            escrow=sealed,
            # Another person had this name: whose vault stays.
            left=[
                left
                for each in old
                for left in left_behind(state, each, targets, erase=False, replaced=False)
            ],
        )
    )


def incomplete_sentence(username: str) -> str:
    """Say why a half-registered account cannot be backed up."""
    return (
        f"{username} is half-registered (a user without person or profile); there is nothing to "
        "back up until the registration is completed or removed."
    )


def load_recovery(directory: Path) -> Recipient:
    """Read the podmin's recovery recipient that `vaultd init` left in the state folder."""
    path = directory / RECOVERY_FILE
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The podmin's recovery recipient {path} cannot be read.",
            hint="`vaultd init` makes it; without it no account can be enrolled by policy.",
        ) from error
    return Recipient.parse(text)
