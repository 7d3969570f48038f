"""A user's own target: set after it was tried, removed, listed without its secrets, sealed anew."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from vaultd.backends.base import Backend, Finding
from vaultd.backends.trial import measure
from vaultd.backup.user_targets.failures import OwnFailure, failure
from vaultd.backup.user_targets.run_time import belongs, open_own_place, unsealed
from vaultd.clock import now, rfc3339
from vaultd.config import OWN, SECRETS, Config, Target, read_key, redact_url, target_from_texts
from vaultd.errors import ConfigError, PlaceError, UsageError, VaultdError
from vaultd.keys import SealingKey
from vaultd.state.own_targets import SealedTarget
from vaultd.state.store import Enrollment, State

# What a user may say besides secrets: nothing that reads files or roles of the pod's machine.
KEYS: Final = (
    "username", "digest", "insecure", "endpoint", "region", "path_style", "access_key",
    "storage_class", "checksum", "conditional", "base_path", "host_key", "app_key",
    "ca",
)  # fmt: skip
_SAME: Final = ("url", "endpoint", "base_path", "username")
_DEFAULTS: Final = Target("")


@dataclass(frozen=True, slots=True)
class OwnStatus:
    """One account's own target as `vaultd target list` shows it; `username` is empty when the
    account is not enrolled any more, `trouble` says why it cannot be used, `failure` why it was
    of no use when it was last tried."""

    username: str
    url: str
    only: bool
    set_at: str
    tried_at: str | None
    newest: str | None
    result: str
    trouble: str
    failure: OwnFailure | None


def set_own_target(
    config: Config,
    state: State,
    username: str,
    url: str,
    texts: Mapping[str, str],
    *,
    only: bool = False,
) -> Sequence[Finding]:
    """Try a target, seal it and keep it for this account; returns what the probe found.

    `texts` are keys and secrets as in a section of the config; `only`: in place of the pod's
    targets. Nothing is kept of a target that does not work. Raises UsageError, ConfigError (also
    where the podmin allows no such targets), PlaceError.
    """
    key = _key(config)
    enrollment = _enrolled(state, username)
    for name in texts:
        if name not in KEYS and name not in SECRETS:
            raise UsageError(
                f"A user's own target has no key {name[:40]!r}.",
                hint=f"There are {', '.join((*KEYS, *SECRETS))}.",
            )
    target = target_from_texts(url, texts, "target")
    place = open_own_place(config, target, create=True)
    findings = measure(place)
    wrong = next((found for found in findings if found.grave and not found.fine), None)
    if wrong is not None:
        raise PlaceError(
            f"This place cannot hold a vault: {wrong.sentence}.", hint="Nothing was kept of it."
        )
    shown = redact_url(url)
    plain = msgspec.msgpack.encode(_said(target))
    row = SealedTarget(
        enrollment.guid,
        shown,
        only,
        key.seal(plain, belongs(enrollment.guid, shown)),
        key.id,
        rfc3339(now()),
    )
    old = state.own_targets.of(enrollment.guid)
    state.own_targets.save(row, OWN, same_place=old is not None and _is_same(key, old, target))
    return findings


def _said(target: Target) -> dict[str, object]:
    """Return the keys that differ from their defaults."""
    fields = msgspec.structs.asdict(target)
    return {key: fields[key] for key in fields if fields[key] != getattr(_DEFAULTS, key)}


def _is_same(key: SealingKey, old: SealedTarget, new: Target) -> bool:
    try:
        before = unsealed(key, old)
    except VaultdError:
        return False  # nobody can tell; the vault there, if any, is found by listing it
    return all(getattr(before, each) == getattr(new, each) for each in _SAME)


def remove_own_target(state: State, username: str) -> bool:
    """Forget an account's own target; tell whether it had one. The vault there stays as it is.

    Raises UsageError for an account that is not enrolled.
    """
    return state.own_targets.remove(_enrolled(state, username).guid, OWN)


def list_own_targets(
    config: Config, state: State, usernames: Collection[str] | None = None
) -> list[OwnStatus]:
    """Return all, or those of some accounts, by username; needs no key, and says where the key
    does not fit. Raises UsageError for an account that is not enrolled."""
    for name in usernames or ():
        _enrolled(state, name)
    names = {each.guid: each for each in state.enrollments()}
    newest = {v.username: v.last_at for v in state.vaults.summaries() if v.target == OWN}
    key: SealingKey | VaultdError
    try:
        key = _key(config)
    except VaultdError as error:
        key = error
    found = []
    for row in state.own_targets.all():
        each = names.get(row.guid)
        username = "" if each is None else each.username
        found.append(
            OwnStatus(
                username,
                row.shown,
                row.only,
                row.set_at,
                row.tried_at,
                newest.get(username),
                row.result,
                _trouble(key, row),
                failure(row),
            )
        )
    wanted = (each for each in found if usernames is None or each.username in usernames)
    return sorted(wanted, key=lambda each: each.username)


def _trouble(key: SealingKey | VaultdError, row: SealedTarget) -> str:
    if isinstance(key, VaultdError):
        return str(key)
    try:
        unsealed(key, row)
    except VaultdError as error:
        return str(error)
    return ""


def open_own_target(config: Config, state: State, username: str) -> tuple[str, Backend]:
    """Return an account's own target, and its URL for people.

    Whoever asks for it waits for it: it may take any time, as a restore does.
    Raises UsageError where there is none, ConfigError, WrongKeyError, DamageError, PlaceError.
    """
    row = state.own_targets.of(_enrolled(state, username).guid)
    if row is None:
        raise UsageError(
            f"{username} has no target of its own.", hint="`vaultd target set` gives it one."
        )
    target = unsealed(_key(config), row)
    return row.shown, open_own_place(config, target, seconds=math.inf)


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many targets have the new key now, how many had it before, and whose could not be
    opened with either key."""

    resealed: int
    already: int
    left: int


def reseal_own_targets(config: Config, state: State, old: Mapping[str, str]) -> Resealed:
    """Seal all targets with the config's key that are sealed with the `old` one; all or none.

    What neither key opens stays as it is. Raises ConfigError.
    """
    new_key, old_key = _key(config), SealingKey(read_key(old, "the old key"))
    changed, already, left = [], 0, 0
    for row in state.own_targets.all():
        if row.key_id == new_key.id:
            already += 1
            continue
        bound = belongs(row.guid, row.shown)
        try:
            plain = old_key.open(row.sealed, bound, row.key_id)
        except VaultdError:
            left += 1
            continue
        after = replace(row, sealed=new_key.seal(plain, bound), key_id=new_key.id)
        changed.append((row, after))
    state.own_targets.reseal(changed)
    return Resealed(len(changed), already, left)


def _key(config: Config) -> SealingKey:
    if not config.user_targets.enabled:
        raise ConfigError(
            "user_targets.enabled: this pod allows no targets of users.",
            hint="Set it to true, and user_targets.key, if it shall.",
        )
    return SealingKey(config.user_targets.sealing_key())


def _enrolled(state: State, username: str) -> Enrollment:
    found = state.enrollments([username])
    if not found:
        raise UsageError(
            f"{username[:60]} is not enrolled.",
            hint="`vaultd enroll USER --recipient vault1…` does that.",
        )
    return found[0]
