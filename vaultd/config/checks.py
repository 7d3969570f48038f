"""What a configuration's values must be beyond their types."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from vaultd.config.sections import Config
from vaultd.config.targets import check_target
from vaultd.config.values import duration
from vaultd.errors import ConfigError

OWN: Final = "own"
"""How the target that a user gave is called, in every account's vaults."""

_DATABASES: Final = ("postgresql", "postgres", "mysql", "mariadb", "sqlite")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9]{0,20})(\+[a-z0-9_]+)?://")


def check_values(config: Config) -> None:
    """Raise ConfigError, naming the key, for a value that cannot be used."""
    try:
        address = urlsplit(config.pod.url)
        fine = address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        fine = False
    if not fine:
        raise ConfigError("pod.url: this must be the pod's address, like https://pod.example.")
    scheme = _SCHEME.match(config.pod.database)
    if scheme is None or scheme[1] not in _DATABASES:
        # What has no scheme may begin with a password, so it is not repeated.
        what = "this" if scheme is None else repr(scheme[1])
        raise ConfigError(
            f"pod.database: {what} is not a database vaultd reads.",
            hint="Use postgresql://, mysql:// or sqlite:///.",
        )
    if not config.targets:
        raise ConfigError("targets: there is none.", hint="Add a section [targets.main].")
    for name in config.targets:
        if name == OWN:
            raise ConfigError(
                f"targets.{name}: this name is for the targets that users bring.",
                hint="Give it another name.",
            )
        if not re.fullmatch(r"[a-z0-9_-]{1,40}", name):
            raise ConfigError(f"targets.{name}: a target's name has only a-z, 0-9, _ and -.")
        check_target(name, config.targets[name])
    if config.enroll.policy not in ("all", "opt-in"):
        raise ConfigError('enroll.policy: this must be "all" or "opt-in".')
    if not timedelta(minutes=1) <= config.schedule.period <= timedelta(days=366):
        raise ConfigError("schedule.every: this must be from 1m to 366d.")
    if not 1 <= config.limits.batch_accounts <= 1000:
        raise ConfigError("limits.batch_accounts: this must be from 1 to 1000.")
    _check_amounts(config)
    if config.log.level not in ("debug", "info", "warning", "error"):
        raise ConfigError("log.level: this must be debug, info, warning or error.")
    if config.log.format not in ("text", "json"):
        raise ConfigError("log.format: this must be text or json.")


def _check_amounts(config: Config) -> None:
    for section, names in (
        ("limits", "workers bytes_per_second rows_per_second max_load"),
        ("retention", "keep_last keep_daily keep_weekly keep_monthly keep_yearly"),
        ("backup", "photo_bytes account_bytes"),
    ):
        for name in names.split():
            if getattr(getattr(config, section), name) < 0:
                raise ConfigError(f"{section}.{name}: this must not be less than 0.")
    if config.limits.workers > 64:
        raise ConfigError("limits.workers: this must be at most 64.")
    if not 1 <= config.limits.uploads <= 64:
        raise ConfigError("limits.uploads: this must be from 1 to 64.")
    if config.scrub.period < timedelta(minutes=1):
        raise ConfigError("scrub.every: this must be at least 1m.")
    _ = config.retention.age, config.scrub.part, config.user_targets.networks
    if not 1 <= config.user_targets.seconds <= 86400:
        raise ConfigError("user_targets.time: this must be from 1s to 24h.")
    textfile = config.metrics.textfile
    if textfile and not (textfile.startswith("/") and textfile.endswith(".prom")):
        raise ConfigError(
            "metrics.textfile: this must be an absolute path that ends with .prom.",
            hint="Other names are not read by Prometheus' node_exporter.",
        )
    for name in ("statement_timeout", "lock_timeout"):
        duration(getattr(config.limits, name), f"limits.{name}")
