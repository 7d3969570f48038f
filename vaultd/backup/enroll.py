"""Enrolment: which accounts are backed up, and to whom each is sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vaultd.backends.base import Backend
from vaultd.backup.escrow import store_escrow
from vaultd.errors import AccountError, ConfigError, PlaceError, UsageError
from vaultd.keys import Recipient, Secrets, generate_secret
from vaultd.sources.base import Source, SourceAccount
from vaultd.state.store import Enrollment, State
from vaultd.vault.escrow import seal_secret

RECOVERY_FILE: Final = "recovery.recipient"


@dataclass(slots=True)
class EnrollReport:
    """What `enroll_all` did: new enrolments, accounts that were enrolled before, accounts left
    out and why (by username), and notes on targets."""

    enrolled: list[Enrollment] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def enroll(state: State, source: Source, username: str, recipient: Recipient) -> Enrollment:
    """Enrol one account to a recipient whose kit the user holds.

    The same recipient again changes nothing; another one starts a fresh vault at the next run
    (and the old vault stays as it is). Raises UsageError for an account that is not there, and for
    a recipient that another account has: two in one vault would be each other's loss.
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
    others = [each for each in state.of_vault(recipient.vault_id) if each.guid != account.guid]
    if others:
        raise UsageError(
            f"{others[0].username} is enrolled with this recipient already, and each account needs "
            "its own.",
            hint=f"Make a second kit for {username} with `vaultd keygen --out FILE`.",
        )
    return state.enroll(
        username=username,
        guid=account.guid,
        handle=account.handle,
        recipient=str(recipient),
        vault_id=recipient.vault_id,
    )


def enroll_all(
    state: State, source: Source, targets: Mapping[str, Backend], recovery: Recipient
) -> EnrollReport:
    """Enrol every account that is not enrolled yet, each with a secret in escrow.

    An account is enrolled once its sealed secret is on at least one target; the others get it
    with the account's first archive there.
    """
    report = EnrollReport()
    known = {enrollment.username: enrollment for enrollment in state.enrollments()}
    for account in source.accounts():
        old = known.get(account.username)
        if old is not None and old.guid == account.guid:
            report.already.append(account.username)
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
    report.enrolled.append(
        state.enroll(
            username=account.username,
            guid=account.guid,
            handle=account.handle,
            recipient=str(recipient),
            vault_id=recipient.vault_id,
            escrow=sealed,
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
