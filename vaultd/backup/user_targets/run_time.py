"""Targets of users in a run: opened from their seal, guarded, bounded, each for one account."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

import msgspec

from vaultd.backends.base import Backend
from vaultd.backends.guard.own_addresses import pod_addresses
from vaultd.backends.opening import Guard, open_place
from vaultd.backends.wrappers.bounded import Allowance, BoundedBackend
from vaultd.backends.wrappers.failing import FailingBackend
from vaultd.backends.wrappers.retrying import begin_run
from vaultd.backup.counting import counted
from vaultd.backup.report import AccountReport, Status, TargetResult, account_report, failed_at
from vaultd.backup.user_targets.failures import ALARM, failure, rests
from vaultd.clock import now
from vaultd.config import OWN, Config, Target
from vaultd.errors import DamageError, VaultdError
from vaultd.keys import SealingKey
from vaultd.state.own_targets import Outcome, SealedTarget
from vaultd.state.store import Enrollment, State
from vaultd.state.tallies import Counters

_KIND: Final = 8
_CONNECT, _READ, _TRIES = 10.0, 30.0, 3
_decoder: Final = msgspec.msgpack.Decoder(Target)


@runtime_checkable
class _Closable(Protocol):
    def close(self) -> None: ...


def belongs(guid: str, shown: str) -> tuple[str, ...]:
    """Return what a seal is bound to: the account, the target's name, and where it leads."""
    return (guid, OWN, shown)


def unsealed(key: SealingKey, row: SealedTarget) -> Target:
    """Return the target that a user gave; raises WrongKeyError or DamageError."""
    plain = key.open(row.sealed, belongs(row.guid, row.shown), row.key_id)
    try:
        return _decoder.decode(plain)
    except (msgspec.DecodeError, ValueError) as error:
        raise DamageError(
            "These credentials are not of this version of vaultd.", hint="Set the target again."
        ) from error


def open_own_place(
    config: Config, target: Target, *, create: bool = False, seconds: float | None = None
) -> Backend:
    """Open a target as a user gave it: it leads to checked addresses only, within bounds.

    `seconds` of work in all are given to it, by default what it may cost a run.
    Raises UsageError, ConfigError and PlaceError.
    """
    bounded = msgspec.structs.replace(
        target,
        connect_timeout=min(target.connect_timeout, _CONNECT),
        read_timeout=min(target.read_timeout, _READ),
        tries=min(target.tries or _TRIES, _TRIES),
    )
    section = config.user_targets
    allowance = Allowance("this target", section.seconds if seconds is None else seconds)
    pod = pod_addresses(urlsplit(config.pod.url).hostname or "")
    guard = Guard(section.networks, pod, allowance.check)
    place = open_place(target.url, bounded, name=OWN, create=create, guard=guard)
    return BoundedBackend(place, allowance)


class OwnPlaces:
    """The targets of those accounts whose users gave one; costs nothing for the others.

    One that fails is left alone for a while (`rests`), unless `insist`.
    """

    def __init__(
        self,
        config: Config,
        state: State,
        *,
        insist: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Raises nothing for keys and seals: what cannot be opened fails as its account's."""
        self._config = config
        self._should_stop = should_stop
        self._section = config.user_targets
        self._state = state
        self.counters = Counters()
        self._outcomes: list[Outcome] = []
        rows = state.own_targets.all() if config.user_targets.enabled else []
        self._rows = {row.guid: row for row in rows}
        at = now()
        self._resting = frozenset(r.guid for r in rows if not insist and rests(r, at))
        self._targets: dict[str, Target | VaultdError] = {}
        if rows:
            self._unseal(rows)

    def _unseal(self, rows: Sequence[SealedTarget]) -> None:
        try:
            key = SealingKey(self._section.sealing_key())
        except VaultdError as error:
            self._targets = dict.fromkeys(self._rows, error)
            return
        for row in rows:
            try:
                self._targets[row.guid] = unsealed(key, row)
            except VaultdError as error:
                self._targets[row.guid] = error

    def __contains__(self, enrollment: Enrollment) -> bool:
        return enrollment.guid in self._rows

    def of(self, guid: str) -> bool:
        """Tell whether the account of this person has a target of its own."""
        return guid in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def rests(self, enrollment: Enrollment) -> bool:
        """Tell whether an account's target fails and is left alone for now."""
        return enrollment.guid in self._resting

    def failing(self, enrollment: Enrollment) -> bool:
        """Tell whether an account's target failed when it was last tried."""
        row = self._rows.get(enrollment.guid)
        return row is not None and row.failing_since is not None

    def left_to_runs(self, enrollment: Enrollment) -> bool:
        """Tell whether nothing but a run tries an account's target: it fails, without alarm."""
        return self.failing(enrollment) and self._rows[enrollment.guid].move != ALARM

    def nowhere(self, enrollment: Enrollment) -> AccountReport | None:
        """Return the report of an account whose only target is left alone for now."""
        row = self._rows.get(enrollment.guid)
        if row is None or not row.only or not self.rests(enrollment):
            return None
        told = failure(row)
        reason = "" if told is None else told.sentence
        result = TargetResult(OWN, Status.FAILED, reason=reason, code="resting", move=row.move)
        return account_report(enrollment.username, None, (result,))

    def kind(self, enrollment: Enrollment, kind: bytes) -> bytes:
        """Return `kind` for an account without a target of its own, else one that tells its."""
        row = self._rows.get(enrollment.guid)
        return kind if row is None else _digest(kind, *self._seen(row))

    def all_kinds(self, kind: bytes) -> bytes:
        """Return `kind`, or one that tells all these targets."""
        seen = [part for _, row in sorted(self._rows.items()) for part in self._seen(row)]
        return _digest(kind, *seen) if seen else kind

    def _seen(self, row: SealedTarget) -> tuple[bytes, ...]:
        target = self._targets[row.guid]
        # While it cannot be opened it differs from what any mark says, so that it is reported.
        told = b"" if isinstance(target, VaultdError) else msgspec.msgpack.encode(target)
        rests = (b"rests",) if row.guid in self._resting else ()
        return (row.guid.encode(), told, b"only" if row.only else b"too", *rests)

    @contextmanager
    def joined(
        self,
        enrollments: Sequence[Enrollment],
        targets: Mapping[str, Backend],
        *,
        every: bool = False,
        rest: bool = False,
    ) -> Iterator[Mapping[str, Backend]]:
        """Give the targets to write to for these accounts: the pod's, and one account's own.

        With `every` the pod's are among them also where they are not written to any more; with
        `rest` the account's own is not.
        """
        own = [each for each in enrollments if each in self]
        if not own or rest:
            yield targets
            return
        if len(enrollments) != 1:
            raise ValueError("an account with a target of its own is a batch of its own")
        row = self._rows[own[0].guid]
        place = self._open(self._targets[row.guid])
        begin_run(place, self._should_stop)
        try:
            # Last, so that the pod's targets never wait for a user's.
            yield {OWN: place} if row.only and not every else {**targets, OWN: place}
        finally:
            self.counters.add(counted(place))
            _close(place)

    def _open(self, target: Target | VaultdError) -> Backend:
        if isinstance(target, VaultdError):
            return FailingBackend(target)
        try:
            return open_own_place(self._config, target)
        except VaultdError as error:
            return FailingBackend(error)

    def note(self, enrollment: Enrollment, report: AccountReport) -> None:
        """Remember how an account's run ended at its own target; nothing to do is well, too."""
        told = [each for each in report.targets if each.target == OWN]
        if told and not self.rests(enrollment):
            self._note(enrollment, told[0])
        elif not told and report.status is Status.UNCHANGED:
            self.note_well([enrollment])

    def tolerated(self, enrollment: Enrollment, error: VaultdError) -> bool:
        """Remember that an account's own target failed; tell whether that is its user's affair."""
        result = failed_at(OWN, error)
        if enrollment in self:
            self._note(enrollment, result)
        return result.tolerable

    def _note(self, enrollment: Enrollment, result: TargetResult) -> None:
        row = self._rows.get(enrollment.guid)
        if row is not None:
            progress = bool(result.blobs)
            self._outcomes.append(Outcome(row, result.reason, result.move, progress))

    def note_well(self, enrollments: Iterable[Enrollment]) -> None:
        """Remember that nothing was to be done for these."""
        self._well(each.guid for each in enrollments)

    def note_all_well(self) -> None:
        """Remember that nothing was to be done for anybody."""
        self._well(self._rows)

    def _well(self, guids: Iterable[str]) -> None:
        asked = [guid for guid in guids if guid in self._rows and guid not in self._resting]
        self._outcomes += [Outcome(self._rows[guid]) for guid in asked]

    def save(self) -> None:
        """Write what was remembered."""
        outcomes, self._outcomes = self._outcomes, []
        if outcomes:
            self._state.own_targets.note(outcomes)


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=_KIND)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.digest()


def _close(place: object) -> None:
    """Hang up where a place has connections; it may lie beneath what wraps it."""
    while place is not None:
        if isinstance(place, _Closable):
            place.close()
        place = getattr(place, "inner", None)
