"""What a pod needs before its first backup, and whether it has it (`vaultd check`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vaultd.backends.base import Backend, Finding
from vaultd.backends.opening import open_place
from vaultd.backends.trial import measure
from vaultd.backends.wrappers.late import LateBackend
from vaultd.backup.accounts.enroll import RECOVERY_FILE, load_recovery
from vaultd.backup.accounts.newcomers import count_sentence, names_not_enrolled
from vaultd.backup.accounts.sharing import shared_sentence
from vaultd.backup.checks.open_secrets import open_secrets
from vaultd.backup.checks.pod_signs import missing_pictures, no_folder, wrong_url
from vaultd.backup.room import Room
from vaultd.backup.user_targets.settings import open_own_target
from vaultd.clock import now, rfc3339
from vaultd.config import OWN, Config, Target, duration, redact_url
from vaultd.errors import PlaceError, UsageError, VaultdError
from vaultd.keys import PodKey
from vaultd.sizes import plural
from vaultd.sources.diaspora import DiasporaSource
from vaultd.state.census import Count
from vaultd.state.database import FILE_NAME
from vaultd.state.store import State


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `vaultd check`; `exit_code` counts where it is not fine."""

    what: str
    fine: bool
    sentence: str
    exit_code: int = 0


def open_source(config: Config) -> DiasporaSource:
    """Return the pod's source as the config names it."""
    limits = config.limits
    return DiasporaSource(
        config.pod.database_url,
        config.pod.url,
        Path(config.pod.uploads),
        statement_timeout=duration(
            limits.statement_timeout, "limits.statement_timeout"
        ).total_seconds(),
        lock_timeout=duration(limits.lock_timeout, "limits.lock_timeout").total_seconds(),
        rows_per_second=limits.rows_per_second,
    )


def check_all(
    config: Config, only: str | None = None, config_file: Path | None = None
) -> list[Check]:
    """Check database, pictures, state, keys and every target, or `only` one target.

    `only` may also be `USER@own`, the target that a user gave. Never raises for what it checks;
    UsageError when there is no such target. `config_file` is asked whether others may read it.
    """
    if only is not None and only.endswith(f"@{OWN}"):
        return _guarded(f"target {only}", partial(_own_target, config, only))
    if only is not None and only not in config.targets:
        raise UsageError(
            f"There is no target {only[:40]!r}.",
            hint=f"The config has {', '.join(config.targets)}.",
        )
    results = []
    if only is None:
        results = [
            Check("config", True, f"pod {config.pod.url}, {plural(len(config.targets), 'target')}")
        ]
        state = Path(config.state.path)
        if config_file is not None:
            lying_open = open_secrets(config_file, state / "pod.key")
            results += [Check("secrets", False, each) for each in lying_open]
        results += _guarded("database", lambda: _database(config))
        results += _guarded("uploads", lambda: _uploads(config))
        results += _guarded("state", lambda: _state(config))
        results += _guarded("recipients", lambda: _recipients(config))
        results += _guarded("enrolments", lambda: _enrolments(config))
    for name in config.targets if only is None else (only,):
        results += _guarded(f"target {name}", partial(_target, config, name))
    return results


def _guarded(what: str, action: Callable[[], list[Check]]) -> list[Check]:
    try:
        return action()
    except VaultdError as error:
        return [Check(what, False, str(error), error.exit_code)]


def _database(config: Config) -> list[Check]:
    source = open_source(config)
    info = source.info()
    wrong = wrong_url(config.pod.url, source.signs())
    url = Check("pod.url", not wrong, wrong or f"{config.pod.url} fits the accounts' handles", 2)
    return [
        Check("database", True, f"{info.engine} at {redact_url(config.pod.database)}"),
        Check(
            "schema",
            True,
            f"{info.schema_version}, diaspora* {info.release}, {plural(info.accounts, 'account')}",
        ),
        url,
    ]


def _uploads(config: Config) -> list[Check]:
    images = Path(config.pod.uploads) / "images"
    if not images.is_dir():
        return [
            Check(
                "uploads",
                False,
                no_folder(images),
                2,
            )
        ]
    if not os.access(images, os.R_OK | os.X_OK):
        return [Check("uploads", False, f"{images} cannot be read by this user.", 2)]
    if missing := missing_pictures(images, open_source(config).signs()):
        return [Check("uploads", False, missing, 2)]
    return [Check("uploads", True, f"{images} can be read")]


def _state(config: Config) -> list[Check]:
    state = Path(config.state.path)
    if not state.is_dir():
        return [Check("state", False, f"{state} does not exist; run `vaultd init`.", 2)]
    if not os.access(state, os.W_OK):
        return [Check("state", False, f"{state} cannot be written by this user.", 2)]
    pod_key = PodKey.load(state / "pod.key")
    results = [Check("state", True, f"{state}, pod key {pod_key.fingerprint}")]
    if (state / RECOVERY_FILE).exists():
        load_recovery(state)
        results.append(Check("recovery key", True, "the podmin's recovery key is set"))
    else:
        results.append(
            Check(
                "recovery key",
                False,
                "there is none, so `enroll --all` cannot work; run `vaultd init`.",
                2,
            )
        )
    return results


def _recipients(config: Config) -> list[Check]:
    """One recipient, one account: told whether or not the database can be read."""
    if not (Path(config.state.path) / FILE_NAME).exists():
        return []
    state = State(Path(config.state.path))
    try:
        shared = list(state.shared_vaults().values())
    finally:
        state.close()
    return [
        Check("recipients", False, shared_sentence(names), UsageError.exit_code) for names in shared
    ]


def _enrolments(config: Config) -> list[Check]:
    if not (Path(config.state.path) / FILE_NAME).exists():
        return []
    state = State(Path(config.state.path))
    try:
        names = names_not_enrolled(state, open_source(config))
        if not names:
            return [Check("enrolments", True, f"{plural(state.enrolled(), 'account')} enrolled")]
        last = state.census.last()
        reason = "" if last is None else last.reason
        told = count_sentence(Count("", len(names), 0, reason), config.enroll.policy, names)
        return [Check("enrolments", not reason, told, UsageError.exit_code)]
    finally:
        state.close()


def _target(config: Config, name: str) -> list[Check]:
    target = config.targets[name]
    place = open_place(target.url, target, name=name)
    return _probed(config, name, (redact_url(target.url), place), target)


def _own_target(config: Config, name: str) -> list[Check]:
    if not (Path(config.state.path) / FILE_NAME).exists():
        raise UsageError(f"{config.state.path} has no state yet.", hint="`vaultd enroll` makes it.")
    state = State(Path(config.state.path))
    try:
        place = open_own_target(config, state, name.removesuffix(f"@{OWN}"))
    finally:
        state.close()
    return _probed(config, name, place, None)


def _probed(
    config: Config, name: str, place: tuple[str, Backend], section: Target | None
) -> list[Check]:
    """Probe a place; the pod's own targets have a `section`, and with it a reserve."""
    what, (url, backend) = f"target {name}", place
    findings = measure(backend)
    space = backend.space()
    checks = [Check(what, True, f"{url} can be reached")]
    checks += [Check(what, f.fine or not f.grave, f.sentence, _exit_code(f)) for f in findings]
    if space.free is not None:
        reserve = 0 if section is None else section.reserve_bytes(space.total)
        room = Room(name, space, reserve)
        checks.append(Check(what, not room.tight, room.sentence, PlaceError.exit_code))
    return [*checks, *_since_last_time(config, name, findings)]


def _exit_code(finding: Finding) -> int:
    return PlaceError.exit_code if finding.grave and not finding.fine else 0


def _since_last_time(config: Config, name: str, findings: Sequence[Finding]) -> list[Check]:
    """Say what a target honours now and did not before, or no more; keep what was found."""
    if not (Path(config.state.path) / FILE_NAME).exists():
        return []
    state = State(Path(config.state.path))
    try:
        before = state.probes.last(name)
        state.probes.save(name, rfc3339(now()), [(f.what, f.fine, f.sentence) for f in findings])
    finally:
        state.close()
    if before is None:
        return []
    was = {what: fine for what, fine, _ in before.findings}
    changed = [f for f in findings if was.get(f.what, f.fine) != f.fine]
    gone = sorted(set(was) - {f.what for f in findings})
    told = [f"{f.what} is {'honoured now' if f.fine else 'no longer honoured'}" for f in changed]
    told += [f"nothing is known of {what} any more" for what in gone]
    if not told:
        return [Check(f"target {name}", True, f"as on {before.at}.")]
    return [Check(f"target {name}", True, f"other than on {before.at}: {'; '.join(told)}.")]


def open_targets(config: Config) -> dict[str, Backend]:
    """Return a backend per configured target, by name; raises UsageError or ConfigError.

    One that cannot be opened now (a disk that is not mounted) fails alone, and is tried again with
    each verb.
    """
    return {name: _opened(config, name) for name in config.targets}


def _opened(config: Config, name: str) -> Backend:
    target = config.targets[name]
    open_it = partial(open_place, target.url, target, name=name, at_once=config.limits.uploads)
    try:
        return open_it()
    except PlaceError:
        return LateBackend(open_it)
