"""What a pod needs before its first backup, and whether it has it (`vaultd check`)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vaultd.backends.base import Backend
from vaultd.backends.place import open_place
from vaultd.backup.enroll import RECOVERY_FILE, load_recovery
from vaultd.config import Config, duration, redact_url
from vaultd.errors import VaultdError
from vaultd.keys import PodKey
from vaultd.sources.diaspora import DiasporaSource


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
        config.pod.database,
        config.pod.url,
        Path(config.pod.uploads),
        statement_timeout=duration(
            limits.statement_timeout, "limits.statement_timeout"
        ).total_seconds(),
        lock_timeout=duration(limits.lock_timeout, "limits.lock_timeout").total_seconds(),
        rows_per_second=limits.rows_per_second,
    )


def check_all(config: Config) -> list[Check]:
    """Check database, pictures, state, keys and every target; never raises for what it checks."""
    results = [Check("config", True, f"pod {config.pod.url}, {len(config.targets)} target(s)")]
    results += _guarded("database", lambda: _database(config))
    results += _guarded("uploads", lambda: _uploads(config))
    results += _guarded("state", lambda: _state(config))
    for name, target in config.targets.items():
        results += _guarded(f"target {name}", partial(_target, name, target.url))
    return results


def _guarded(what: str, action: Callable[[], list[Check]]) -> list[Check]:
    try:
        return action()
    except VaultdError as error:
        return [Check(what, False, str(error), error.exit_code)]


def _database(config: Config) -> list[Check]:
    info = open_source(config).info()
    return [
        Check("database", True, f"{info.engine} at {redact_url(config.pod.database)}"),
        Check(
            "schema",
            True,
            f"{info.schema_version}, diaspora* {info.release}, {info.accounts} accounts",
        ),
    ]


def _uploads(config: Config) -> list[Check]:
    images = Path(config.pod.uploads) / "images"
    if not images.is_dir():
        return [
            Check(
                "uploads",
                False,
                f"{images} is not a folder; photos would be missing. Set pod.uploads to the pod's "
                "public/uploads.",
                2,
            )
        ]
    if not os.access(images, os.R_OK | os.X_OK):
        return [Check("uploads", False, f"{images} cannot be read by this user.", 2)]
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


def _target(name: str, url: str) -> list[Check]:
    backend = open_place(url)
    findings = [
        Check(f"target {name}", finding.fine, finding.sentence, 0 if finding.fine else 6)
        for finding in backend.probe()
    ]
    space = backend.space()
    free = "" if space.free is None else f", {space.free // 2**20:,} MiB free"
    return [
        Check(f"target {name}", True, f"{redact_url(url)} can be reached{free}"),
        *findings,
    ]


def open_targets(config: Config) -> dict[str, Backend]:
    """Return a backend per configured target, by name; raises UsageError or PlaceError."""
    return {name: open_place(target.url) for name, target in config.targets.items()}
