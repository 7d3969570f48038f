"""What a run did, account by account: plain values for the command line, the daemon and tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from vaultd.backup.room import Room
from vaultd.backup.user_targets.failures import ALARM, OwnFailures
from vaultd.config import OWN
from vaultd.errors import AccountError, PlaceError, VaultdError, whereabouts
from vaultd.state.vaults.old_vaults import OldVault

Changes: TypeAlias = "dict[str, tuple[int, int, int]]"
_decoder: Final = msgspec.msgpack.Decoder(dict[str, tuple[int, int, int]])


class Status(Enum):
    """How an account, or its vault on one target, came out of a run."""

    WRITTEN = "written"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TargetResult:
    """One vault: the archive written, or why none was.

    `size` is the archive's, `blobs` that of the pictures stored with it, both in bytes;
    `packed` are the changes (`pack_changes`), small as a run may have tens of thousands; `code`
    is the error's stable word, `move` whose move it is (`alarm` for all but a place's trouble).
    """

    target: str
    status: Status
    archive: str = ""
    sequence: int = 0
    size: int = 0
    blobs: int = 0
    packed: bytes = b""
    reason: str = ""
    code: str = ""
    move: str = ""

    @property
    def changes(self) -> Changes:
        """`[added, changed, removed]` by kind."""
        return _decoder.decode(self.packed) if self.packed else {}

    @property
    def tolerable(self) -> bool:
        """Whether it failed and is not the pod's trouble: a user's own target is out of order."""
        return self.status is Status.FAILED and self.target == OWN and self.move != ALARM


def failed_at(target: str, error: VaultdError, blobs: int = 0) -> TargetResult:
    """Return the result of a vault that an error kept from its archive."""
    move = error.move if isinstance(error, PlaceError) else ALARM
    return TargetResult(
        target, Status.FAILED, blobs=blobs, reason=str(error), code=error.code, move=move
    )


def pack_changes(changes: Changes) -> bytes:
    """Return changes as a TargetResult keeps them."""
    return msgspec.msgpack.encode(changes)


@dataclass(frozen=True, slots=True)
class AccountReport:
    """One account; `reason` is a sentence when it failed, `notes` are for the podmin; `missing`
    counts picture files that could not be read."""

    username: str
    status: Status
    records: int = 0
    targets: tuple[TargetResult, ...] = ()
    reason: str = ""
    code: str = ""
    notes: tuple[str, ...] = ()
    missing: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_account: Final = msgspec.msgpack.Decoder(AccountReport)


@dataclass(slots=True)
class RunReport:
    """A whole run. `interrupted` means that it was asked to stop before the last account; `rooms`
    tells what is left on each target, where that is known; `own` which targets of users fail;
    `erased` and `not_erased` what became of old vaults.

    There may be tens of thousands of accounts: one about which there is nothing to say is kept as
    its bare name, one that was just written is kept packed. `written`, `bytes` and `archives` are
    counted along the way.
    """

    interrupted: bool = False
    seconds: float = 0.0
    rooms: list[Room] = field(default_factory=list)
    own: OwnFailures = field(default_factory=OwnFailures)
    written: int = 0
    bytes: int = 0
    archives: int = 0
    noted: bool = False
    erased: list[OldVault] = field(default_factory=list)
    not_erased: list[OldVault] = field(default_factory=list)
    _told: list[AccountReport | str | _Packed] = field(default_factory=list)

    def add(self, account: AccountReport) -> None:
        """Take the outcome of an account."""
        self.written += account.status is Status.WRITTEN
        self.bytes += sum(each.size + each.blobs for each in account.targets)
        self.archives += sum(1 for each in account.targets if each.archive)
        self.noted |= bool(account.notes)
        if account.status is Status.WRITTEN and not account.notes:
            self._told.append(_Packed(_encode(account)))
        elif account.status is Status.UNCHANGED and not (account.targets or account.notes):
            self._told.append(account.username)
        else:
            self._told.append(account)

    def pass_over(self, usernames: Iterable[str]) -> None:
        """Take accounts that were looked at and for which nothing was to be done."""
        self._told.extend(usernames)

    @property
    def accounts(self) -> list[AccountReport]:
        """All accounts in the order in which they were done."""
        return [unchanged(each) if isinstance(each, str) else _whole(each) for each in self._told]

    @property
    def remarkable(self) -> list[AccountReport]:
        """The accounts about which there is more to say than that all went well."""
        return [each for each in self._told if isinstance(each, AccountReport)]

    @property
    def changed(self) -> list[AccountReport]:
        """The accounts for which every target has a new archive or needed none, and one has."""
        told = (_whole(each) for each in self._told if not isinstance(each, str))
        return [account for account in told if account.status is Status.WRITTEN]

    @property
    def unchanged(self) -> list[AccountReport]:
        """The accounts for which nothing was written."""
        return [account for account in self.accounts if account.status is Status.UNCHANGED]

    @property
    def failed(self) -> list[AccountReport]:
        """The accounts that lack at least one target, a user's own beside others not counted."""
        return [account for account in self.remarkable if account.status is Status.FAILED]

    @property
    def looked_at(self) -> int:
        """How many accounts were asked for and are in this report."""
        return len(self._told)


class _Packed(bytes):
    """An AccountReport in little room."""


def _whole(each: AccountReport | _Packed) -> AccountReport:
    return each if isinstance(each, AccountReport) else _account.decode(each)


def unchanged(username: str) -> AccountReport:
    """Return the report of an account for which nothing was to be done."""
    return AccountReport(username, Status.UNCHANGED)


def account_report(
    username: str,
    error: VaultdError | None,
    targets: tuple[TargetResult, ...],
    records: int = 0,
    notes: tuple[str, ...] = (),
) -> AccountReport:
    """Put an account's outcome together: it failed if any of its targets did.

    A user's own one that is out of order is but a note, where another target has all.
    """
    if error is not None:
        return AccountReport(
            username, Status.FAILED, records, targets, str(error), error.code, notes
        )
    failed = [t for t in targets if t.status is Status.FAILED]
    if len(failed) < len(targets) and all(t.tolerable for t in failed):
        told = (f"{t.target}: {t.reason}" for t in failed)
        notes = (*notes, *(note for note in told if note not in notes))
    elif failed:
        reason = " ".join(f"{t.target}: {t.reason}" for t in failed)
        return AccountReport(
            username, Status.FAILED, records, targets, reason, failed[0].code, notes
        )
    written = any(t.status is Status.WRITTEN for t in targets)
    status = Status.WRITTEN if written else Status.UNCHANGED
    return AccountReport(username, status, records, targets, notes=notes)


def unexpected(error: Exception) -> AccountError:
    """Wrap a bug, or a lack of memory, so that it stays one account's trouble."""
    if isinstance(error, MemoryError):
        return AccountError(
            "There was not enough memory to read or pack the account.",
            hint="Give vaultd more (MemoryMax= of its unit), or lower limits.workers.",
        )
    return AccountError(
        f"Reading or packing the account failed unexpectedly ({whereabouts(error)}).",
        hint="This is a bug in vaultd, please report it; the other accounts are done.",
    )
